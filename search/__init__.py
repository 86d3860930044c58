"""Search: the best networks for a budget. Optuna chooses, Dask places the work, the pipeline does it."""

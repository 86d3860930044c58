"""Networks that are trained on: in simulated int8, pruned, clustered; and their form for tfmot."""

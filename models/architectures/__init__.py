"""The zoo's members, one module to a family."""

"""What several rooms share: errors, registries, affine arithmetic, atomic files, the graph."""

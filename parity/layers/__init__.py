"""Tensors inside a network, taken from each runtime and matched by layer."""

"""Post-training quantization: integers from ranges, layers that stay in float, storage types."""

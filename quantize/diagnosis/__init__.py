"""Where a quantized network loses accuracy, and what its integers may overflow."""

"""The quantized network: its parts, the rules of its operators, and what it computes."""

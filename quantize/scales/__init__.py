"""Scales of activations: their choice, and scales under which no result is a tie."""

"""Improvements after training, without labels."""

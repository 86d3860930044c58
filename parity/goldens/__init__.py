"""Goldens of integers: what a file itself answered, kept with its images, checked wherever the file runs."""

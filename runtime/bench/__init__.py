"""Measurements of many models, each runtime in a process of its own."""

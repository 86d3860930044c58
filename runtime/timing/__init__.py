"""Latency, memory and time by operator, with statistics."""

"""Integers compared and proved: what every implementation of a file must answer."""

"""Puts the rooms in order: a `Job` in, a report and its files out. Needs no command line."""

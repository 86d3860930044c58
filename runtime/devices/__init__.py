"""Other machines' kernels on this machine: what would this file answer in another runtime, on another core."""

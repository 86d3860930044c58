"""Other devices' kernels on this machine: what a file answers in another runtime."""

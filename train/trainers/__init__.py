"""The two ways to train, one module each."""

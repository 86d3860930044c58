"""What a job is: its options and their defaults, and how it reports progress."""

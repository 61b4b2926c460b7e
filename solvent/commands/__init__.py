"""What is typed, one file a verb, thin."""

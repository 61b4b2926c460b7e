"""What is seen while a model reads: patterns, shares of attention, the log of an intervention."""

"""Many cells: planned, composed, watched, paired."""

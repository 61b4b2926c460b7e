"""Tests that look at answers as they were read, not at the probabilities of options."""

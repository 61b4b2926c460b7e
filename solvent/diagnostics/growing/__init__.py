"""Tests of what a growing text does."""

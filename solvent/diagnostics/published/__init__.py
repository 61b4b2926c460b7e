"""Tests that others published in 2025 and 2026, each in a file of its own."""

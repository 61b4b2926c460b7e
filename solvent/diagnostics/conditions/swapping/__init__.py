"""Donors that leave statistics honest: drawn inside small blocks, and never distorted."""

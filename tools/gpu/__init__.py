"""Checks of everything that a GPU may do otherwise than a CPU: `python -m tools.gpu --help`."""

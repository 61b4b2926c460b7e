"""Finished cells, looked at again: what they were asked, and where their models look."""

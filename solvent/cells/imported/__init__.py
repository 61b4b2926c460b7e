"""Cells made of answers that somebody else's run saved: labelled so wherever they are shown."""

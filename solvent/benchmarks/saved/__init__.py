"""Answers that somebody else's run saved, and the questions that they are answers to."""

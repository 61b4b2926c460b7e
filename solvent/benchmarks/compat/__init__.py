"""The reading rules of other harnesses, to compare with a number that they published.

They are never the default: they miss answers that are plain, find answers that are not there, and
some guess where they can read nothing. Each rule is written from its description and its behaviour,
without its bugs corrected. A cell that uses them says so in every table.
"""

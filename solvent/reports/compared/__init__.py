"""A comparison of a study's cells, for people: tables, figures, questions whose answer flips, and
one page. All of it is made of the frames of `frames.py`.
"""

"""What paired answers show, and how surely. Pure functions of arrays.

Axes: N questions, C clusters (independent units, such as images), R draws of an intervention's
randomness (seeds), A arms, L arms of one curve.
"""

"""The procedural world: coloured shapes on a 4 x 4 grid, drawn on the fly, with language priors.

`world` says what can be in a picture and how likely it is, `drawing` paints it, `questions` asks
about it, `source` turns a seed into benchmark samples.
"""

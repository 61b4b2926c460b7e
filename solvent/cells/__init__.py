"""The life of a run: asked, identified, loaded, answered, judged, scored.

`run` is the way through.
"""

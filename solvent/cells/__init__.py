"""The life of a run: asked, identified, loaded, answered, judged, scored.

`session` is the way through.
"""

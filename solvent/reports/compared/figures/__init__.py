"""Figures of a comparison that a paper could print, as PNG and PDF: `every_figure.draw_all`.

One module per kind says what could be drawn (`Plan`); nothing is drawn that has nothing to show.
"""

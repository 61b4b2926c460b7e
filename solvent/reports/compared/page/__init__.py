"""One page per study that opens from disk: `write_page` of `document.py`.

Plots are SVG inside of templates, placed in percent, and not a plotting library's: plotly alone
weighs 4.7 MB before the first point, draws nothing without its script, and its points cannot be
reached by keyboard; figures of matplotlib neither reflow on a phone nor turn dark. The ticks are
matplotlib's. Tables are sorted and filtered by `templates/page.js`, without a library.
"""

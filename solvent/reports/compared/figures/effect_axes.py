"""Axes on which differences lie: how far they go, the margin of equivalence, points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from solvent.core.plotting import COLOURS
from solvent.reports.compared.figures.verdict_marks import Mark

BAND = {"color": COLOURS[5], "alpha": 0.22, "linewidth": 0}  # of the margin of equivalence
LATTICE = {"color": "0.9", "linewidth": 0.5}


def reach(ends: Sequence[float], margin: float) -> float:
    """How far an axis goes to one side, in points: to the last end, but so that a few extreme arms
    leave room for the others, of what is far beyond four fifths of the ends only to the edge.
    """
    known = sorted(each for each in ends if each > 0)
    least = 1.3 * margin if margin > 0 else 0.5
    if not known:
        return least
    usual = max(3 * least, 2.5 * known[len(known) * 4 // 5])
    kept = known if known[-1] <= 1.5 * usual else [each for each in known if each <= usual]
    return max(least, 1.06 * kept[-1])


def draw_margin(span: Callable[..., object], line: Callable[..., object], margin: float) -> None:
    """The line of no change inside the band of the margin, a share; missing: no band.

    Args:
        span: `axvspan` or `axhspan` of the axes.
        line: `axvline` or `axhline`.
    """
    if not math.isnan(margin):
        span(-100 * margin, 100 * margin, **BAND)
    line(0, color="black", linewidth=0.7)


def draw_points(
    axes: Axes, x: Sequence[float], y: Sequence[float], marks: Sequence[Mark], size: float = 16
) -> None:
    """A point per mark; those that look alike at once."""
    for mark in dict.fromkeys(marks):
        which = [at for at, each in enumerate(marks) if each == mark]
        axes.scatter(
            [x[at] for at in which], [y[at] for at in which], s=size, marker=mark.shape,
            facecolors=mark.colour if mark.full else "white", edgecolors=mark.colour,
            linewidths=0.9, zorder=3,
        )  # fmt: skip


def draw_arrows(
    axes: Axes,
    places: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    colours: Sequence[str],
) -> None:
    """At the edge of the axes, on every row where something leads beyond it."""
    left, right = axes.get_xlim()
    for edge, shape, beyond in (
        (left, "<", [each < left for each in low]),
        (right, ">", [each > right for each in high]),
    ):
        at = [row for row, leads in enumerate(beyond) if leads]
        axes.scatter(
            [edge] * len(at), [places[row] for row in at], s=18, marker=shape,
            c=[colours[row] for row in at], clip_on=False, zorder=4,
        )  # fmt: skip

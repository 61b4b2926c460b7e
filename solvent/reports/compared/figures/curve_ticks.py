"""Ticks of a curve: names of layers and doses that lie on nothing, on an axis that fits them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from solvent.reports.compared.figures.lettering import LINE, width_of, wrapped

SLANT = 35.0  # degrees
APART = 0.06  # inches between two names
LONGEST = 1.2  # inches of a name
WIDE_RANGE = 8.0  # largest over smallest dose from which the axis is logarithmic
AROUND = 0.07  # of the axis, beyond the first and the last point


def scale_of(x: pd.Series) -> str:
    """`log` where doses span it, `symlog` where one of them is 0, else `linear`."""
    above = x[x > 0]
    if (x < 0).any() or above.nunique() < 2 or above.max() / above.min() < WIDE_RANGE:
        return "linear"
    return "log" if len(above) == len(x) else "symlog"


def set_dose_axis(axes: Axes, x: pd.Series) -> None:
    """Scale and limits of the axis of doses."""
    scale = scale_of(x)
    if scale == "symlog":
        axes.set_xscale(scale, linthresh=x[x > 0].min(), linscale=0.5)
        axes.margins(x=AROUND)
        return
    axes.set_xscale(scale)
    ends = np.log(x) if scale == "log" else x
    beyond = AROUND * (ends.max() - ends.min())
    limits = ends.min() - beyond, ends.max() + beyond
    axes.set_xlim(np.exp(limits) if scale == "log" else limits)


def set_dose_ticks(axes: Axes, x: Sequence[float], labels: Sequence[str]) -> None:
    """At the doses, as far as their names have room. The points must be drawn before."""
    inches = axes.transData.transform([(each, 0.0) for each in x])[:, 0] / axes.figure.dpi
    kept = thinned(inches, [width_of(label) for label in labels])
    axes.set_xticks([x[at] for at in kept], [labels[at] for at in kept])
    axes.minorticks_off()


def layer_places(x: pd.Series, width: float) -> tuple[list[float], tuple[float, float]]:
    """Where windows lie, in inches on an axis so wide, and the limits of that axis."""
    span = max(float(x.max() - x.min()), 1e-9)
    low, high = x.min() - AROUND * span, x.max() + AROUND * span
    return [width * (each - low) / (high - low) for each in x], (low, high)


def slanted(places: Sequence[float], labels: Sequence[str]) -> bool:
    """Whether names of layers are too long to stand side by side."""
    return len(thinned(places, [width_of(label) for label in labels])) < len(labels)


def depth(labels: Sequence[str]) -> float:
    """Inches that slanted names take below the axis."""
    angle = math.radians(SLANT)
    return math.sin(angle) * max(map(width_of, labels)) + math.cos(angle) * LINE


def short(label: str) -> str:
    """A name that a tick can carry."""
    return wrapped(label, LONGEST, lines=1)


def set_layer_ticks(
    axes: Axes, x: Sequence[float], places: Sequence[float], labels: Sequence[str], slant: bool
) -> None:
    """At the windows, as far as their names have room."""
    if slant:
        kept = thinned(places, [LINE / math.sin(math.radians(SLANT))] * len(labels))
    else:
        kept = list(range(len(labels)))
    axes.set_xticks([x[at] for at in kept], [labels[at] for at in kept])
    if slant:
        for label in axes.get_xticklabels():
            label.set(rotation=SLANT, ha="right", rotation_mode="anchor")


def thinned(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """Which of the names, centred at their places, are kept so that none touches another."""
    kept: list[int] = []
    for at in sorted(range(len(places)), key=lambda each: places[each]):
        room = (widths[at] + widths[kept[-1]]) / 2 + APART if kept else 0.0
        if not kept or places[at] - places[kept[-1]] >= room:
            kept.append(at)
    return kept

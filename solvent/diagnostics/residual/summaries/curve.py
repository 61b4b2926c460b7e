"""Measures against the number of tokens that they are of, in the same prompts.

Axes: N samples, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from solvent.core.plotting import COLOURS, draw_curve
from solvent.diagnostics.residual.depth_table import ENDS, mean_over
from solvent.diagnostics.residual.geometry_figure import PARTS
from solvent.diagnostics.residual.lens import AT
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = ("kappa", "rid", "row_innovation", "spectral_change", "relative_norm")


def sets_of(found: MeasuredUpdates) -> list[str]:
    """The sets of tokens that are no points of a curve."""
    return [name for name in found.sets if AT not in name]


def curve_of(found: MeasuredUpdates, clusters: Int[np.ndarray, " N"]) -> list[dict[str, Any]]:
    """Points by number of tokens, from the fewest: means over layers, of the prompts that have
    enough tokens for all points, with intervals over images. Empty where no curve was asked for,
    or no prompt is long enough.
    """
    sizes = sorted((int(name.partition(AT)[2]), name) for name in found.sets if AT in name)
    points = []
    for size, name in sizes:
        point: dict[str, Any] = {"tokens": size}
        for part in PARTS:
            for measure in MEASURES:
                mean = mean_over(found.of(name, f"{part}.{measure}"), clusters)
                ends = {end: None if mean is None else getattr(mean, end) for end in ENDS}
                point[f"{part}.{measure}"] = ends
        there = np.isfinite(found.of(name, "attention.relative_norm")).any(axis=1)
        points.append(point | {"samples": int(there.sum())})
    return points


def draw_size_curve(axes: Axes, points: list[Mapping[str, Any]], measure: str) -> None:
    """One measure of both updates against the number of tokens."""
    for (part, said), colour in zip(PARTS.items(), COLOURS, strict=False):
        known = [each for each in points if each[f"{part}.{measure}"]["value"] is not None]
        means = [each[f"{part}.{measure}"] for each in known]
        draw_curve(axes, [each["tokens"] for each in known], means, colour, said)
    axes.set_xlabel("tokens")

"""Figures of what layers add to the residual stream: a plane of two measures, and measures by
depth, controls beside the updates.

Tables are those of `depth_table`, by part and measure: `attention.rid`, `ffn_haar.kappa`, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from solvent.core.plotting import COLOURS
from solvent.diagnostics.residual.beside_controls import ROTATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = {"attention": "attention", "ffn": "feed-forward"}  # as they are called in words
TURNED = "rotation on against off"
MARKERS = ("s", "^", "v", "x", "D", "P", "*", "o")  # of controls
Tables = Mapping[str, Mapping[str, Any]]


def controls_of(tables: Tables) -> list[str]:
    """What stands beside the updates, in the order of the tables."""
    parts = [name.partition(".")[0] for name in tables]
    made = [part.partition("_")[2] for part in parts if part.partition("_")[0] in PARTS]
    return [name for name in dict.fromkeys(made) if name]


def draw_plane(axes: Axes, tables: Tables, x: str, y: str) -> None:
    """Every layer as a dot, later ones darker; means over layers of every control as a mark."""
    for (part, said), colour in zip(PARTS.items(), COLOURS, strict=False):
        across, up = (tables[f"{part}.{name}"]["layers"]["value"] for name in (x, y))
        axes.plot(_known(across), _known(up), "-", color=colour, linewidth=0.5, alpha=0.5)
        shades = np.linspace(0.35, 1.0, len(across))
        axes.scatter(_known(across), _known(up), color=colour, alpha=shades, s=14, label=said)
        for control, marker in zip(controls_of(tables), MARKERS, strict=False):
            columns = [tables.get(f"{part}_{control}.{name}") for name in (x, y)]
            if all(columns):
                means = [np.nanmean(_known(each["layers"]["value"])) for each in columns if each]
                axes.plot(*means, marker, color=colour, markersize=5, markerfacecolor="none")
    for control, marker in zip(controls_of(tables), MARKERS, strict=False):
        axes.plot([], [], marker, color="grey", markerfacecolor="none", label=control)
    if x == "rid" and f"{ROTATION}.rid" in tables:
        turned = np.nanmean(_known(tables[f"{ROTATION}.rid"]["layers"]["value"]))
        axes.axvline(turned, color="grey", linestyle="-.", linewidth=1, label=TURNED)
    axes.axhline(0, color="grey", linestyle=":", linewidth=1)


def draw_depth(axes: Axes, tables: Tables, measure: str) -> None:
    """One measure by layer: both updates with the bands of their 95 % intervals, controls as
    broken lines with their marks.
    """
    for (part, said), colour in zip(PARTS.items(), COLOURS, strict=False):
        columns = tables[f"{part}.{measure}"]["layers"]
        layers = np.arange(len(columns["value"]))
        value, low, high = (_known(columns[end]) for end in ("value", "low", "high"))
        axes.plot(layers, value, "o-", color=colour, markersize=3, label=said)
        axes.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
        for control, marker in zip(controls_of(tables), MARKERS, strict=False):
            shown = tables.get(f"{part}_{control}.{measure}")
            if shown:
                axes.plot(
                    layers, _known(shown["layers"]["value"]), marker, color=colour, alpha=0.6,
                    linestyle="--", linewidth=0.6, markersize=3.5, markerfacecolor="none",
                )  # fmt: skip
    turned = tables.get(f"{ROTATION}.{measure}")
    if turned:
        axes.plot(_known(turned["layers"]["value"]), "-.", color="grey", linewidth=1, label=TURNED)
    axes.set_xlabel("decoder layer")


def _known(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What is undefined is not drawn."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

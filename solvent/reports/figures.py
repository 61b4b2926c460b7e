"""Figures a paper could print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from solvent.core.plotting import COLOURS, STYLE, draw_estimate, legend_below
from solvent.core.text import visible
from solvent.reports.table import as_share, cell_title, imported


def draw_cell(metrics: Mapping[str, Any], folder: Path) -> Path:
    """One cell: the score by slice, and the visual mass by layer. Returns the PNG's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = slices(metrics)
    height = max(3.2, 1.2 + 0.19 * len(rows))  # inches
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, height), width_ratios=(3, 2))
        _draw_slices(left, rows, metrics["chance"])
        nothing = "imported: not measured" if imported(metrics) else "no image was shown"
        _draw_layers(right, metrics["visual_mass"], nothing)
        figure.suptitle(visible(cell_title(metrics)), x=0.01, ha="left", weight="bold")
        figure.tight_layout()
        path = folder / "cell.png"
        figure.savefig(path)
        plt.close(figure)
    return path


def slices(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The score of all questions, then of every slice."""
    rows = {"all": as_share(metrics["score"])}
    for tag, values in metrics["score"]["by_tag"].items():
        rows |= {f"{tag} = {value}": as_share(estimate) for value, estimate in values.items()}
    return rows


def _draw_slices(axes: Axes, rows: Mapping[str, Mapping[str, Any]], chance: float) -> None:
    for place, estimate in enumerate(rows.values()):
        draw_estimate(axes, place, estimate, COLOURS[0] if place else COLOURS[6])
    labels = [f"{visible(name)} (n = {estimate['n']:,})" for name, estimate in rows.items()]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(chance, color="grey", linestyle=":", linewidth=1)
    axes.annotate("chance, all", (chance, 1.01), xycoords=("data", "axes fraction"), color="grey",
                  ha="center", va="bottom", fontsize=8)  # fmt: skip
    axes.set(xlim=(0, 1.02), xlabel="score, with 95 % interval")


def _draw_layers(axes: Axes, masses: Mapping[str, Any], said: str) -> None:
    if masses["before"] is None:
        axes.text(0.5, 0.5, said, ha="center", color="grey")
        axes.set_axis_off()
        return
    for when, line, colour in (("before", "o-", COLOURS[0]), ("after", "s--", COLOURS[1])):
        values = enumerate(masses[f"{when}_by_layer"])  # None: a layer without attention
        known = [(layer, value) for layer, value in values if value is not None]
        axes.plot(*zip(*known, strict=True), line, color=colour, label=when, markersize=4)
    axes.set(
        ylim=(0, 1), xlabel="decoder layer", ylabel="visual mass\n(share of attention on the image)"
    )
    axes.legend()
    legend_below(axes, 0.7 / axes.figure.get_figheight())

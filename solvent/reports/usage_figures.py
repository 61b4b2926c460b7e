"""Figures of the modality-usage tests: one panel per test, and the modality card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from solvent.core.types import Diagnostic
from solvent.reports.card import draw_card
from solvent.reports.facts import Found, facts_of, in_order
from solvent.reports.figures import STYLE


def draw_usage(
    findings: Mapping[str, Found], tests: Mapping[str, Diagnostic], title: str, folder: Path
) -> None:
    """`modality_card.png` for everybody, `modality_usage.png` with what is behind it.

    Args:
        findings: by test.
        tests: those that found it, by the same names; each draws its own panel.
        title: of both.
        folder: of both; it is made.
    """
    draw_card(findings, title, folder)
    names = in_order({name: facts_of(name, finding) for name, finding in findings.items()})
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.4 * columns, 2.9 * rows), squeeze=False
        )
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid.flat, strict=False):
            tests[name].draw(axes, findings[name])
            _legend_below(axes)
            axes.set_title(f"{name}: {findings[name]['verdict']}")
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        figure.tight_layout()
        figure.savefig(folder / "modality_usage.png")
        plt.close(figure)


def _legend_below(axes: Axes) -> None:
    """Put a legend that a test has drawn under its panel, where it hides no data."""
    legend = axes.get_legend()
    if legend is None:
        return
    labels = [text.get_text() for text in legend.get_texts()]
    axes.legend(
        handles=legend.legend_handles, labels=labels, title=legend.get_title().get_text() or None,
        loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=min(3, len(labels)), frameon=False,
        fontsize=7, title_fontsize=7, columnspacing=1.0,
    )  # fmt: skip

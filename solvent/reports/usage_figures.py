"""Figures of the modality-usage tests: one panel per test, and the modality card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt

from solvent.core.plotting import legend_below
from solvent.core.types import Diagnostic
from solvent.reports.card import draw_card
from solvent.reports.facts import Found, facts_of, in_order
from solvent.reports.figures import STYLE


def draw_usage(
    findings: Mapping[str, Found], tests: Mapping[str, Diagnostic], title: str, folder: Path
) -> None:
    """`modality_card.png` for everybody, `modality_usage.png` with what is behind it, and a figure
    of its own, by its name, of every test that has one.

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
            legend_below(axes)
            axes.set_title(f"{name}: {findings[name]['verdict']}")
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        figure.tight_layout()
        figure.savefig(folder / "modality_usage.png")
        plt.close(figure)
        for name in names:
            figure = plt.figure(layout="constrained")
            if tests[name].draw_alone(figure, findings[name]):
                figure.suptitle(f"{title}: {name}", x=0.01, ha="left", weight="bold")
                figure.savefig(folder / f"{name}.png")
            plt.close(figure)

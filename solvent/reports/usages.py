"""The modality-usage tests of many cells side by side: which models look, and under what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked, spreadsheet
from solvent.reports.card import CHIPS
from solvent.reports.figures import STYLE
from solvent.reports.findings import coloured
from solvent.reports.judged import LINES
from solvent.reports.table import cell_title

Metrics = Mapping[str, Any]


def compare_usage(screen: Console, cells: Sequence[Metrics], folder: Path) -> None:
    """Print verdicts by cell and test; write `usage.csv` and `usage.png`. Nothing without tests."""
    tested = [cell for cell in cells if cell.get("diagnostics")]
    if not tested:
        return
    names = [name for name in LINES if any(name in cell["diagnostics"] for cell in tested)]
    _show(screen, tested, names)
    spreadsheet(tabulate(tested)).to_csv(folder / "usage.csv", index=False)
    _draw(tested, names, folder / "usage.png")
    for name in ("usage.csv", "usage.png"):
        screen.print(f"tests   [dim]{marked(str(folder / name))}[/dim]", highlight=False)


def tabulate(cells: Sequence[Metrics]) -> pd.DataFrame:
    """One line per cell, test and number."""
    lines = []
    for cell in cells:
        labels = {
            key: cell[key] for key in ("model", "benchmark", "intervention", "layers", "seed")
        }
        for test, found in cell["diagnostics"].items():
            verdicts = {"test": test, "verdict": found["verdict"], "strict": found["strict"]}
            for metric, value in found["metrics"].items():
                number = value if isinstance(value, Mapping) else {"value": value}
                lines.append(labels | verdicts | {"metric": metric} | number)
    return pd.DataFrame(lines)


def _show(screen: Console, cells: Sequence[Metrics], names: Sequence[str]) -> None:
    table = Table(title="modality usage", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("test")
    for cell in cells:
        table.add_column(marked(cell_title(cell)))
    for name in names:
        table.add_row(name, *(_cell(cell["diagnostics"].get(name), name) for cell in cells))
    screen.print(table)


def _cell(found: Mapping[str, Any] | None, name: str) -> str:
    if found is None:
        return ""
    number = found["metrics"].get(LINES[name].number)
    spread = (
        f"\n{number['value']:.3f} [{number['low']:.3f}, {number['high']:.3f}]"
        if isinstance(number, Mapping)
        else ""
    )
    return coloured(found["verdict"]) + spread


def _draw(cells: Sequence[Metrics], names: Sequence[str], path: Path) -> None:
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    titles = [cell_title(cell) for cell in cells]
    height = 0.9 + 0.28 * len(cells)  # inches per row of panels
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.2 * columns + 1.5, height * rows), squeeze=False, sharey=True
        )
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid.flat, strict=False):
            for place, cell in enumerate(cells):
                _draw_point(axes, place, cell["diagnostics"].get(name), LINES[name].number)
            axes.axvline(LINES[name].neutral, color="grey", linestyle=":", linewidth=1)
            axes.set_title(LINES[name].asks, fontsize=8)
            axes.set_xlabel(LINES[name].unit, fontsize=8)
            axes.margins(x=0.1)
        grid[0, 0].set_yticks(range(len(cells)), titles)
        grid[0, 0].set_ylim(len(cells) - 0.5, -0.5)
        handles = [
            plt.Line2D([], [], marker="o", linestyle="", color=colour, label=verdict)
            for verdict, (colour, _) in CHIPS.items()
        ]
        figure.legend(
            handles=handles, loc="lower center", ncols=len(CHIPS), frameon=False, fontsize=8,
            bbox_to_anchor=(0.5, -0.05),
        )  # fmt: skip
        figure.tight_layout()
        figure.savefig(path)
        plt.close(figure)


def _draw_point(axes: Any, place: int, found: Mapping[str, Any] | None, metric: str) -> None:
    number = found["metrics"].get(metric) if found else None
    colour = CHIPS[found["verdict"]][0] if found else "#999999"
    if isinstance(number, Mapping):
        axes.plot([number["low"], number["high"]], [place, place], color=colour, linewidth=1.8)
        axes.plot(number["value"], place, "o", color=colour, markersize=4.5)
    elif found:
        axes.annotate(
            found["verdict"].lower(), (0.5, place), xycoords=("axes fraction", "data"),
            ha="center", va="center", fontsize=7, color="grey",
        )  # fmt: skip

"""The modality-usage tests of many cells side by side: which models look, and under what."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.plotting import interval_of
from solvent.core.text import marked, spreadsheet, visible
from solvent.core.types import Facts
from solvent.reports.card import CHIPS
from solvent.reports.facts import facts_of, in_order
from solvent.reports.figures import STYLE
from solvent.reports.findings import coloured, with_interval
from solvent.reports.overall_reading import ASKS, overall_reading
from solvent.reports.table import cell_title, imported

Metrics = Mapping[str, Any]
WRAP = 48  # characters of a panel's title


def compare_usage(screen: Console, cells: Sequence[Metrics], folder: Path) -> None:
    """Print verdicts by cell and test; write `usage.csv` and `usage.png`. Nothing without tests."""
    tested = [cell for cell in cells if cell.get("diagnostics")]
    if not tested:
        return
    tests = shown(tested)
    _show(screen, tested, tests)
    spreadsheet(tabulate(tested)).to_csv(folder / "usage.csv", index=False)
    _draw(tested, tests, folder / "usage.png")
    for name in ("usage.csv", "usage.png"):
        screen.print(
            f"tests   [dim]{marked(str(folder / name))}[/dim]", highlight=False, soft_wrap=True
        )


def shown(cells: Sequence[Metrics]) -> dict[str, Facts]:
    """All tests that some cell has, in their order, as the first cell that keeps facts has them."""
    found: dict[str, Facts] = {}
    for known in (True, False):
        for cell in cells:
            for name, finding in cell["diagnostics"].items():
                if bool(finding.get("facts")) is known:
                    found.setdefault(name, facts_of(name, finding))
    return in_order(found)


def tabulate(cells: Sequence[Metrics]) -> pd.DataFrame:
    """One line per cell, test and number."""
    lines = []
    for cell in cells:
        labels = {
            key: cell[key] for key in ("model", "benchmark", "intervention", "layers", "seed")
        }
        labels["imported"] = imported(cell)
        labels["overall"] = _overall(cell)
        for test, found in cell["diagnostics"].items():
            verdicts = {"test": test, "verdict": found["verdict"], "strict": found["strict"]}
            for metric, value in found["metrics"].items():
                number = value if isinstance(value, Mapping) else {"value": value}
                lines.append(labels | verdicts | {"metric": metric} | number)
    return pd.DataFrame(lines)


def _show(screen: Console, cells: Sequence[Metrics], tests: Mapping[str, Facts]) -> None:
    table = Table(title="modality usage", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("test")
    for cell in cells:
        table.add_column(marked(cell_title(cell)))
    readings = [_overall(cell) for cell in cells]
    if any(readings):
        said = [coloured(reading) if reading else "" for reading in readings]
        table.add_row(ASKS.lower(), *said, end_section=True)
    for name, facts in tests.items():
        found = (cell["diagnostics"].get(name) for cell in cells)
        table.add_row(marked(name), *(_told(each, facts.number) for each in found))
    screen.print(table)


def _overall(cell: Metrics) -> str | None:
    """What all tests of a cell say together."""
    reading = overall_reading(cell["diagnostics"])
    return reading.overall if reading else None


def _title(cell: Metrics) -> str:
    """Of a cell, and below it what all its tests say together."""
    reading = _overall(cell)
    return f"{cell_title(cell)}\n{reading.lower()}" if reading else cell_title(cell)


def _told(found: Mapping[str, Any] | None, metric: str) -> str:
    if found is None:
        return ""
    number = found["metrics"].get(metric)
    verdict = coloured(found["verdict"])
    if not isinstance(number, Mapping):
        return verdict
    return f"{verdict}\n{with_interval(number)}  n {number['n']:,}"


def _draw(cells: Sequence[Metrics], tests: Mapping[str, Facts], path: Path) -> None:
    columns = min(3, len(tests))
    rows = -(-len(tests) // columns)
    titles = [_title(cell) for cell in cells]
    height = 0.9 + 0.34 * len(cells)  # inches per row of panels
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.2 * columns + 1.5, height * rows), squeeze=False, sharey=True
        )
        for axes in grid.flat[len(tests) :]:
            axes.set_axis_off()
        for (name, facts), axes in zip(tests.items(), grid.flat, strict=False):
            for place, cell in enumerate(cells):
                _draw_point(axes, place, cell["diagnostics"].get(name), facts.number)
            if facts.neutral is not None:
                axes.axvline(facts.neutral, color="grey", linestyle=":", linewidth=1)
            if facts.margin is not None:
                axes.axvline(facts.margin, color="black", linestyle="--", linewidth=0.8)
            axes.set_title(textwrap.fill(visible(facts.asks), WRAP), fontsize=8)
            axes.set_xlabel(visible(facts.unit), fontsize=8)
            axes.margins(x=0.1)
        grid[0, 0].set_yticks(range(len(cells)), titles)
        grid[0, 0].set_ylim(len(cells) - 0.5, -0.5)
        said = {found["verdict"] for cell in cells for found in cell["diagnostics"].values()}
        handles = [
            plt.Line2D([], [], marker="o", linestyle="", color=colour, label=verdict)
            for verdict, (colour, _) in CHIPS.items()
            if verdict in said
        ]
        figure.legend(
            handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8,
            bbox_to_anchor=(0.5, min(-0.05, -0.23 / figure.get_figheight())),  # 0.23 inches
        )  # fmt: skip
        figure.tight_layout()
        figure.savefig(path)
        plt.close(figure)


def _draw_point(axes: Any, place: int, found: Mapping[str, Any] | None, metric: str) -> None:
    number = found["metrics"].get(metric) if found else None
    colour = CHIPS[found["verdict"]][0] if found else "#999999"
    if isinstance(number, Mapping):
        axes.plot(interval_of(number), [place, place], color=colour, linewidth=1.8)
        axes.plot(number["value"], place, "o", color=colour, markersize=4.5)
    elif found:
        axes.annotate(
            found["verdict"].lower(), (0.5, place), xycoords=("axes fraction", "data"),
            ha="center", va="center", fontsize=7, color="grey",
        )  # fmt: skip

"""What the modality-usage tests found, as a table a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked
from solvent.reports.overall_reading import ASKS, overall_reading

COLOURS = {
    **{"PASS": "green", "FAIL": "red", "ERROR": "red", "VACUOUS": "yellow", "COUPLED": "yellow"},
    **{"USES IT": "green", "USES IT WEAKLY": "yellow", "MOVED BUT MISLED": "red", "BLIND": "red"},
    **{"BETTER": "green", "EQUIVALENT": "green", "NOT INFERIOR": "green", "NOT SHOWN": "yellow"},
    "WORSE": "red",
}


def show_findings(screen: Console, findings: Mapping[str, Mapping[str, Any]]) -> None:
    """What all say together, one line per test, then the numbers behind it."""
    table = Table(title="modality usage", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("test", "verdict", "every sample", "why"):
        table.add_column(column)
    if reading := overall_reading(findings):
        said = coloured(reading.overall)
        table.add_row(ASKS.lower(), said, "", marked(reading.reason), end_section=True)
    for name, finding in findings.items():
        why = marked(finding["reason"])
        table.add_row(marked(name), coloured(finding["verdict"]), marked(finding["strict"]), why)
    screen.print(table)
    numbers = Table(box=box.SIMPLE_HEAD)
    numbers.add_column("number")
    for column in ("value [95 % interval]", "n"):
        numbers.add_column(column, justify="right")
    for name, finding in findings.items():
        numbers.add_section()
        for metric, value in finding["metrics"].items():
            numbers.add_row(marked(f"{name}: {metric.replace('_', ' ')}"), *_cells(value))
    screen.print(numbers)


def coloured(verdict: str) -> str:
    """A verdict in its colour."""
    colour = COLOURS.get(verdict)
    return f"[{colour}]{verdict}[/{colour}]" if colour else marked(verdict)


def with_interval(number: Mapping[str, Any]) -> str:
    """`0.123 [0.100, 0.150]`, marked where there are too few images for a verdict."""
    low, high = number["low"], number["high"]
    interval = "no interval" if low is None or high is None else f"{low:.3f}, {high:.3f}"
    few = number.get("doubt") or not number.get("reliable", True)  # the latter in older files
    return f"{number['value']:.3f} [{interval}]{' (few images)' if few else ''}"


def _cells(value: Any) -> tuple[str, str]:
    if isinstance(value, Mapping):
        return with_interval(value), f"{value['n']:,}"
    if value is None:
        return "undefined", ""
    return (f"{value:,}" if isinstance(value, int) else f"{value:.4g}"), ""

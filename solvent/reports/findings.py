"""What the modality-usage tests found, as a table a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked

COLOURS = {"PASS": "green", "FAIL": "red", "ERROR": "red", "VACUOUS": "yellow"}


def show_findings(screen: Console, findings: Mapping[str, Mapping[str, Any]]) -> None:
    """One line per test, then the numbers behind it."""
    table = Table(title="modality usage", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("test", "verdict", "every sample", "why"):
        table.add_column(column)
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


def _cells(value: Any) -> tuple[str, str]:
    if isinstance(value, Mapping):
        spread = f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        doubt = "" if value["reliable"] else " (few images)"
        return spread + doubt, f"{value['n']:,}"
    if value is None:
        return "undefined", ""
    return (f"{value:,}" if isinstance(value, int) else f"{value:.4g}"), ""

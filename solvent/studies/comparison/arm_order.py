"""In which order arms of a family are read."""

from __future__ import annotations

import re
from typing import Any

from solvent.studies.comparison.compared_cells import ComparedCell

REAL = "real"  # the condition that shows the pictures themselves
THIRDS = ("early", "middle", "late")
PARTS = re.compile(r"(?<==)-\d+(?:\.\d+)?|\d+(?:\.\d+)?|=|[^\d=]+")  # numbers, and what is none


def order(cell: ComparedCell, name: str, untouched: bool) -> tuple[Any, ...]:
    """What to sort arms by: the untouched control first, then what it was shown else, then
    interventions by name, doses by size and layers by depth.

    Args:
        cell: the first one of an arm.
        name: of the arm.
        untouched: whether it is a control, or the baseline shown something else.
    """
    metrics = cell.metrics
    return (
        not untouched,
        cell.condition != REAL,
        _natural(metrics["intervention"]),
        _natural(metrics["variant"]),
        _depth(metrics["layers"] or ""),
        name,
    )


def _depth(layers: str) -> tuple[Any, ...]:
    return (0, THIRDS.index(layers)) if layers in THIRDS else (1, *_natural(layers))


def _natural(text: str) -> tuple[tuple[bool, float, str], ...]:
    """Numbers in a text by their size: `factor=10` behind `factor=9`, and that behind -2."""
    return tuple(
        (False, float(part), "") if part[-1].isdecimal() else (True, 0.0, part)
        for part in PARTS.findall(text)
    )

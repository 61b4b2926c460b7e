"""Numbers as the page shows them; a dash stands for what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

DASH = "–"
MINUS = "−"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Its lines, with None for all that is missing."""
    plain = frame.astype(object)
    return [
        {str(key): value for key, value in line.items()}
        for line in plain.where(frame.notna(), None).to_dict("records")
    ]


def points(value: float | None) -> str:
    """A difference in [-1, 1] in points, signed: `−1.2`."""
    if value is None:
        return DASH
    said = f"{100 * value:+.1f}"
    return "0.0" if said in ("+0.0", "-0.0") else said.replace("-", MINUS)


def interval(line: Mapping[str, Any], of: str = "difference") -> str:
    """`[−2.2, −0.2]`, of `of_low` and `of_high`; of `low` and `high` where `of` is empty."""
    low, high = (line.get(f"{of}_{end}" if of else end) for end in ("low", "high"))
    return DASH if low is None or high is None else f"[{points(low)}, {points(high)}]"


def share(value: float | None) -> str:
    """A share in percent: `86.0 %`."""
    return DASH if value is None else f"{100 * value:.1f} %"


def share_interval(low: float | None, high: float | None) -> str:
    """`[84.5, 87.5]`, in percent."""
    return DASH if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def p_value(value: float | None) -> str:
    """`0.031`, `<0.0001`."""
    if value is None:
        return DASH
    return "<0.0001" if value < 0.0001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def whole(value: float | None) -> str:
    """`2,250`"""
    return DASH if value is None else f"{value:,.0f}"


def decimal(value: float | None, places: int = 2) -> str:
    """`0.41`"""
    return DASH if value is None else f"{value:,.{places}f}".replace("-", MINUS)


def change(line: Mapping[str, Any], of: str) -> str:
    """`0.41 → 0.12`, of `of_before` and `of_after`."""
    before, after = (line.get(f"{of}_{when}") for when in ("before", "after"))
    return DASH if before is None and after is None else f"{decimal(before)} → {decimal(after)}"


def yes_no(value: object) -> str:
    """`yes`, `no`"""
    return DASH if value is None else "yes" if value else "no"


def text(value: object) -> str:
    """As it is."""
    return DASH if value is None or value == "" else str(value)

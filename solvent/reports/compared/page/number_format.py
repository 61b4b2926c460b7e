"""Numbers as the page shows them; a dash stands for what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvent.reports.compared import arm_texts

DASH = "–"
MINUS = "−"


def points(value: float | None) -> str:
    """A difference in [-1, 1] in points, signed: `−1.2`."""
    return DASH if value is None else arm_texts.points(value).replace("-", MINUS)


def interval(line: Mapping[str, Any], of: str = "difference") -> str:
    """`[−2.2, −0.2]`, of `of_low` and `of_high`; of `low` and `high` where `of` is empty."""
    low, high = (line.get(f"{of}_{end}" if of else end) for end in ("low", "high"))
    return DASH if low is None or high is None else f"[{points(low)}, {points(high)}]"


def share(value: float | None) -> str:
    """A share in percent: `86.0 %`."""
    return DASH if value is None else arm_texts.share(value)


def measure(line: Mapping[str, Any]) -> str:
    """A line of `measures`: `80.0 % [78.0, 82.0]`, `95.1 words`."""
    return DASH if line.get("value") is None else arm_texts.measure(line)


def share_interval(low: float | None, high: float | None) -> str:
    """`[84.5, 87.5]`, in percent."""
    return DASH if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def p_value(value: float | None) -> str:
    """`0.031`, `< 0.0001`."""
    return DASH if value is None else arm_texts.p_value(value)


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

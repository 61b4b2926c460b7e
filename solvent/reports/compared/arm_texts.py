"""Lines of a comparison in the words that its tables share: numbers with units, never "nan"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

DASH = "-"  # what stands for a number that is not there
Line = Mapping[str, Any]
"""Of a frame, by column; None where something is missing."""


def lines(frame: pd.DataFrame) -> list[Line]:
    """All lines of a frame."""
    plain = frame.astype(object)
    return plain.where(plain.notna(), None).to_dict("records")


def points(value: float | None) -> str:
    """A difference in [-1, 1] in percentage points, signed: `-1.2`, `0.0`"""
    if value is None:
        return DASH
    said = f"{100 * value:+.1f}"
    return said[1:] if float(said) == 0 else said


def difference(line: Line, of: str = "difference_") -> str:
    """`-12.0 [-15.3, -8.7]`, of the columns that begin with `of`"""
    value, low, high = (line.get(f"{of}{end}") for end in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return points(value)
    return f"{points(value)} [{points(low)}, {points(high)}]"


def share(value: float | None) -> str:
    """`93.2 %`"""
    return DASH if value is None else f"{100 * value:.1f} %"


def share_with_interval(line: Line, of: str = "") -> str:
    """`93.2 % [91.0, 95.1]`"""
    value, low, high = (line.get(f"{of}{end}") for end in ("value", "low", "high"))
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return share(value) + interval


def measure(line: Line) -> str:
    """A line of `measures`: `80.0 % [78.0, 82.0]`, `95.1 words`"""
    unit, value, low, high = (line.get(name) for name in ("unit", "value", "low", "high"))
    if unit is None:
        return share_with_interval(line)
    interval = "" if low is None or high is None else f" [{low:,.1f}, {high:,.1f}]"
    return DASH if value is None else f"{value:,.1f} {unit}{interval}"


def p_value(value: float | None) -> str:
    """`0.031`, `< 0.0001`"""
    if value is None:
        return DASH
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def mass(line: Line, places: int = 3) -> str:
    """Visual mass `0.410 → 0.000`"""
    before, after = (line.get(f"visual_mass_{when}") for when in ("before", "after"))
    return DASH if before is None or after is None else f"{before:.{places}f} → {after:.{places}f}"


def unread(line: Line) -> str:
    """Rates of answers without credit because nobody could read them, or with credit by a guess:
    `0.4 + 0.0 %`, and a line more for each that is not 0.
    """
    unparsed, errors = line.get("unparsed"), line.get("errors")
    told = [f"{100 * (unparsed or 0):.1f} + {100 * (errors or 0):.1f} %"]
    if unparsed is None and errors is None:
        told = [DASH]
    told += [f"{name} {share(line[name])}" for name in ("cut", "guessed") if line.get(name)]
    if line.get("skipped"):
        told.append(f"left out {line['skipped']:,.0f}")
    return "\n".join(told)


def cost(line: Line) -> str:
    """Seconds over those of the control: `1.07 x`"""
    return DASH if line.get("cost") is None else f"{line['cost']:.2f} x"


def questions(family: Sequence[Line]) -> str:
    """`3,000 questions about 500 images`, or `2,990 to 3,000 questions about 500 images`"""
    asked, images = (_span(line.get(name) for line in family) for name in ("n", "clusters"))
    return f"{asked} question{_s(asked)} about {images} image{_s(images)}"


def margins(family: Sequence[Line]) -> str:
    """`2.0 points`; nothing where no arm has one."""
    found = {margin_points(line["margin"]) for line in family if line.get("margin") is not None}
    return f"{' or '.join(sorted(found, key=float))} points" if found else ""


def margin_points(margin: float) -> str:
    """`2.0`; a margin near nothing is not told as 0: `0.012`"""
    points = 100 * margin
    return f"{points:.1f}" if points >= 0.95 else f"{points:.2g}"


def corrections(family: Sequence[Line]) -> str:
    """`Holm of 3, BH of 40`; nothing where no p is corrected."""
    found = [line.get("correction") for line in family]
    return ", ".join(dict.fromkeys(filter(None, found)))


def by_family(arms: pd.DataFrame) -> list[list[Line]]:
    """Lines of each family, in their order."""
    families: dict[str, list[Line]] = {}
    for line in lines(arms):
        families.setdefault(line["family"], []).append(line)
    return list(families.values())


def _s(number: str) -> str:
    return "" if number == "1" else "s"


def _span(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "an unknown number of"
    low, high = min(known), max(known)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"

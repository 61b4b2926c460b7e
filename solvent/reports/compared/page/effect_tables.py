"""Tables whose fields are coloured by an effect: arms by family, and arms by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from solvent.reports.compared.page.number_format import interval, points, whole

Line = Mapping[str, Any]
View = dict[str, Any]
STEPS = 8  # of colour, to each side of zero
MARGINS = 5  # of equivalence, at which the colour is full
FULL = 0.1  # where no margin is known


def full_colour(arms: Sequence[Line]) -> float:
    """The difference from which on a field has its full colour."""
    margins = [arm["margin"] for arm in arms if arm.get("margin") is not None]
    return MARGINS * max(margins) if margins else FULL


def shade(value: float | None, full: float) -> str:
    """A class of the style sheet: `less-3`, `even`, `more-8`."""
    if value is None:
        return ""
    step = min(STEPS, round(STEPS * abs(value) / full))
    return "even" if step == 0 else f"{'more' if value > 0 else 'less'}-{step}"


def heat_map(arms: Sequence[Line], families: Mapping[str, str]) -> View:
    """One line per name of an arm, one column per family.

    Args:
        arms: with a difference.
        families: their titles.
    """
    full = full_colour(arms)
    held = {(arm["name"], arm["family"]): arm for arm in arms}
    names = list(dict.fromkeys(arm["name"] for arm in arms))
    lines = []
    for name in names:
        found = [held.get((name, family)) for family in families]
        lines.append({"name": name, "fields": [_field(arm, full) for arm in found]})
    return {"families": list(families.values()), "lines": lines, "full": full}


def _field(arm: Line | None, full: float) -> View | None:
    if arm is None:
        return None
    value = arm["difference_value"]
    return {
        "value": points(value),
        "ends": interval(arm),
        "verdict": arm.get("verdict"),
        "shade": shade(value, full),
    }


def slice_table(lines: Sequence[Line], arms: Sequence[Line]) -> View | None:
    """One line per arm of a family, one column per tag and value; None without slices.

    Args:
        lines: of the frame `slices`, of these arms.
        arms: of one family, controls left out.
    """
    if not lines:
        return None
    full = full_colour(arms)
    columns: dict[tuple[str, str], Line] = {}
    held: dict[str, dict[tuple[str, str], Line]] = {}
    for line in lines:
        place = (str(line["tag"]), str(line["value"]))
        columns.setdefault(place, line)
        held.setdefault(line["key"], {})[place] = line
    tags = list(dict.fromkeys(tag for tag, _ in columns))
    order = [place for tag in tags for place in columns if place[0] == tag]
    return {
        "full": full,
        "tags": [{"tag": tag, "width": sum(each[0] == tag for each in order)} for tag in tags],
        "columns": [{"value": value, "n": whole(columns[tag, value]["n"])} for tag, value in order],
        "lines": [
            {
                "arm": arm,
                "fields": [_slice(held[arm["key"]].get(place), full) for place in order],
            }
            for arm in arms
            if arm["key"] in held
        ],
    }


def _slice(line: Line | None, full: float) -> View | None:
    if line is None:
        return None
    value, adjusted = line["difference_value"], line["p_adjusted"]
    return {
        "value": points(value),
        "ends": interval(line),
        "sure": adjusted is not None and adjusted < 0.05,
        "shade": shade(value, full),
    }

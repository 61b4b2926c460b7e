"""Which cells of a study are the controls of another: the same edit of as many heads chosen at
random, and the same change of the visual mass alone. Found by what the cells say they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from solvent.reports.pairing import Row

RANDOM = re.compile(r"random:(\d+):\d+")
IMAGE = ["image"]
PLACES = ("layers", "heads", "rows", "phase")  # where an intervention edits
FIELDS = {
    *PLACES,
    "keys",
    "probe",
    "pattern",
    "calibration",
    "mass",
    "mix",
    "value_gain",
    "head_gain",
}
UNLIKE = 0.05  # relative difference of edited entries up to which heads count as equally many
Definition = Mapping[str, Any]


def definition(row: Row) -> Definition:
    """What a cell's intervention is; empty where nothing is edited, or nobody knows."""
    found = (row.cell.identity or {}).get("intervention")
    return found if isinstance(found, Mapping) and found.keys() >= FIELDS else {}


def is_random(row: Row) -> bool:
    """Whether its heads are drawn, so that it is a control and no method."""
    heads = definition(row).get("heads")
    return _drawn(heads) is not None or _is(heads, "Shuffled")


def random_heads(arm: Row, rows: Sequence[Row]) -> list[Row]:
    """Cells that do the same to as many heads, chosen at random; one per draw."""
    ours = definition(arm)
    if not ours or ours["heads"] == "all":
        return []
    return [
        other
        for other in _beside(arm, rows)
        if is_random(other)
        and _without_heads(definition(other)) == _without_heads(ours)
        and _as_many(other, arm)
    ]


def mass_only(arm: Row, rows: Sequence[Row]) -> Row | None:
    """Of the cells that change nothing but how much attention the image receives, where the arm
    edits, the one that leaves it as much as the arm does, as nearly as any.
    """
    ours, wanted = definition(arm), arm.cell.metrics["visual_mass"]["after"]
    if not ours or wanted is None or keeps_mass(arm) or moves_mass_alone(arm):
        return None
    found = {
        abs(mass - wanted): other
        for other in reversed(_beside(arm, rows))
        if moves_mass_alone(other)
        and all(definition(other)[place] == ours[place] for place in PLACES)
        and (mass := other.cell.metrics["visual_mass"]["after"]) is not None
    }
    return found[min(found)] if found else None


def keeps_mass(row: Row) -> bool:
    """Whether the image, and nothing else, is edited and receives what it received before."""
    found = definition(row)
    return bool(found) and _is(found["mass"], "Keep") and found["keys"] == IMAGE


def moves_mass_alone(row: Row) -> bool:
    """Whether it changes how much attention the image receives, and not how it is spread there."""
    found = definition(row)
    return (
        bool(found)
        and found["keys"] == IMAGE
        and _is(found["pattern"], "Learned")
        and not _is(found["mass"], "Keep")
        and found["calibration"] is None
        and found["probe"] is None
        and (found["mix"], found["value_gain"], found["head_gain"]) == (1.0, 1.0, 1.0)
    )


def _beside(arm: Row, rows: Sequence[Row]) -> list[Row]:
    """Other cells that answered the same questions in the same setting."""
    uids = {row.uid for row in arm.cell.predictions}
    return [
        other
        for other in rows
        if other is not arm
        and other.difference is not None
        and definition(other)
        and other.cell.family == arm.cell.family
        and other.cell.setting == arm.cell.setting
        and {row.uid for row in other.cell.predictions} == uids
    ]


def _as_many(control: Row, arm: Row) -> bool:
    """Whether a control edits as many heads as the arm."""
    theirs, ours = definition(control)["heads"], definition(arm)["heads"]
    if _is(theirs, "Shuffled"):
        return bool(theirs["of"] == ours)
    if isinstance(ours, Sequence) and not isinstance(ours, str):
        return _drawn(theirs) == len(set(ours))
    if isinstance(ours, int):
        return _drawn(theirs) == 1
    entries = [row.cell.metrics["cells_edited"] for row in (control, arm)]
    return bool(abs(entries[0] - entries[1]) <= UNLIKE * entries[1])


def _drawn(heads: Any) -> int | None:
    """How many heads of every layer `random:N:SEED` draws."""
    found = RANDOM.fullmatch(heads) if isinstance(heads, str) else None
    return found and int(found[1])


def _without_heads(found: Definition) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("heads", "seed")}


def _is(part: Any, name: str) -> bool:
    """Whether a stored part of an intervention is of our class of that name."""
    target = part.get("_target_", "") if isinstance(part, Mapping) else ""
    return target.startswith("interventions.") and target.rpartition(".")[2] == name

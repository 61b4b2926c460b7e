"""Which cells of a study are the controls of another: the same edit of as many heads chosen at
random, and the same change of the visual mass alone. Found by what the cells say they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from solvent.studies.comparison.arms import Arm, Pair

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


def definition(arm: Arm) -> Definition:
    """What an arm's intervention is; empty where nothing is edited, or nobody knows."""
    found = arm.first.definition
    return found if found.keys() >= FIELDS else {}


def is_random(arm: Arm) -> bool:
    """Whether its heads are drawn, so that it is a control and no method."""
    heads = definition(arm).get("heads")
    return _drawn(heads) is not None or _is(heads, "Shuffled")


def random_heads(pair: Pair, pairs: Sequence[Pair]) -> list[Pair]:
    """Arms that do the same to as many heads, chosen at random; one per draw."""
    ours = definition(pair.arm)
    if not ours or ours["heads"] == "all":
        return []
    return [
        other
        for other in _beside(pair, pairs)
        if is_random(other.arm)
        and _without_heads(definition(other.arm)) == _without_heads(ours)
        and _as_many(other.arm, pair.arm)
    ]


def mass_only(pair: Pair, pairs: Sequence[Pair]) -> Pair | None:
    """Of the arms that change nothing but how much attention the image receives, where this one
    edits, the one that leaves it as much as this one does, as nearly as any.
    """
    arm = pair.arm
    ours, wanted = definition(arm), arm.metrics["visual_mass"]["after"]
    if not ours or wanted is None or keeps_mass(arm) or moves_mass_alone(arm):
        return None
    found = {
        abs(mass - wanted): other
        for other in reversed(_beside(pair, pairs))
        if moves_mass_alone(other.arm)
        and all(definition(other.arm)[place] == ours[place] for place in PLACES)
        and (mass := other.arm.metrics["visual_mass"]["after"]) is not None
    }
    return found[min(found)] if found else None


def keeps_mass(arm: Arm) -> bool:
    """Whether the image, and nothing else, is edited and receives what it received before."""
    found = definition(arm)
    return bool(found) and _is(found["mass"], "Keep") and found["keys"] == IMAGE


def moves_mass_alone(arm: Arm) -> bool:
    """Whether it changes how much attention the image receives, and not how it is spread there."""
    found = definition(arm)
    return (
        bool(found)
        and found["keys"] == IMAGE
        and _is(found["pattern"], "Learned")
        and not _is(found["mass"], "Keep")
        and found["calibration"] is None
        and found["probe"] is None
        and (found["mix"], found["value_gain"], found["head_gain"]) == (1.0, 1.0, 1.0)
    )


def _beside(pair: Pair, pairs: Sequence[Pair]) -> list[Pair]:
    """Other arms that answered the same questions in the same setting."""
    return [
        other
        for other in pairs
        if other is not pair
        and other.control is pair.control
        and definition(other.arm)
        and other.arm.questions is pair.arm.questions
    ]


def _as_many(control: Arm, arm: Arm) -> bool:
    """Whether a control edits as many heads as the arm."""
    theirs, ours = definition(control)["heads"], definition(arm)["heads"]
    if _is(theirs, "Shuffled"):
        return bool(theirs["of"] == ours)
    if isinstance(ours, Sequence) and not isinstance(ours, str):
        return _drawn(theirs) == len(set(ours))
    if isinstance(ours, int):
        return _drawn(theirs) == 1
    entries = [each.metrics["cells_edited"] for each in (control, arm)]
    return bool(abs(entries[0] - entries[1]) <= UNLIKE * entries[1])


def _drawn(heads: Any) -> int | None:
    """How many heads of every layer `random:N:SEED` draws."""
    found = RANDOM.fullmatch(heads) if isinstance(heads, str) else None
    return found and int(found[1])


def _without_heads(found: Definition) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "heads"}


def _is(part: Any, name: str) -> bool:
    """Whether a stored part of an intervention is of our class of that name."""
    target = part.get("_target_", "") if isinstance(part, Mapping) else ""
    return target.startswith("interventions.") and target.rpartition(".")[2] == name

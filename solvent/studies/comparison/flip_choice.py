"""Which questions a gallery shows of those whose credit changed: few, of all kinds, the same ones
whenever it is made.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from solvent.core.types import Prediction

SHORTLIST = 4  # candidates that are looked at for every place, in each direction
DIRECTIONS = ("lost", "gained")
CHANGE_DIGITS = 6  # credits that differ by less are alike


@dataclass(frozen=True, kw_only=True, eq=False)
class Flippable:
    """An arm's first seed and its control's, the credit of both in one order of questions."""

    key: str  # of the arm
    arm_folder: Path
    control_folder: Path
    uids: Sequence[str] | pa.StringArray  # not made a list of: most pairs show nothing
    arm_credit: Float[np.ndarray, " question"]
    control_credit: Float[np.ndarray, " question"]

    def uid(self, row: int) -> str:
        """Of a question."""
        found = self.uids[row]
        return found if isinstance(found, str) else found.as_py()


@dataclass(eq=False)
class Shown:
    """How often images and slices are in the gallery so far."""

    images: Counter[str] = field(default_factory=Counter)
    slices: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, asked: Prediction) -> None:
        """One more question is shown."""
        self.images[_image(asked)] += 1
        self.slices.update(asked.tags.items())

    def of(self, asked: Prediction) -> tuple[int, int]:
        """How often its image, and its slices, are there already."""
        return self.images[_image(asked)], sum(self.slices[each] for each in asked.tags.items())


def shares(pairs: Sequence[Flippable], each: int, total: int) -> list[int]:
    """How many flips every pair shows: one after the other gets one more, the first ones first,
    until all have `each` or as many as they have, or there are `total`.
    """
    wanted = [min(each, int((change_of(pair) != 0).sum())) for pair in pairs]
    given = [0] * len(pairs)
    while sum(given) < total and given != wanted:
        for place, most in enumerate(wanted):
            if given[place] < most and sum(given) < total:
                given[place] += 1
    return given


def change_of(pair: Flippable) -> Float[np.ndarray, " question"]:
    """Credit of the arm minus that of the control; 0 where either is missing."""
    return np.nan_to_num(np.round(pair.arm_credit - pair.control_credit, CHANGE_DIGITS))


def shortlist(pair: Flippable, share: int) -> dict[str, dict[str, float]]:
    """Candidates by direction, each with the size of its change: the largest changes first, equal
    ones by a hash of the uid.
    """
    change, found = change_of(pair), {}
    for direction, sign in zip(DIRECTIONS, (-1, 1), strict=True):
        rows = np.flatnonzero(sign * change > 0).tolist()
        sizes = {pair.uid(row): float(abs(change[row])) for row in rows}
        ranked = sorted(sizes, key=lambda uid: (-sizes[uid], _hash(uid)))
        found[direction] = {uid: sizes[uid] for uid in ranked[: SHORTLIST * share]}
    return found


def choose(
    pair: Flippable,
    share: int,
    first: int,
    asked: Callable[[Sequence[str]], Mapping[str, Prediction]],
    shown: Shown,
) -> list[tuple[str, str]]:
    """Direction and uid of the flips of one pair.

    Both directions in turn, as long as there are such flips. Of equal changes those come first
    whose image, then whose slices, were shown the least.

    Args:
        share: how many, at most as many as there are.
        first: number in `DIRECTIONS` of the direction that begins.
        asked: reads the answers to some questions, for their groups and tags.
        shown: what is in the gallery; the chosen ones are added.
    """
    listed = shortlist(pair, share)
    known = asked([uid for uids in listed.values() for uid in uids])
    chosen = []
    for turn in range(share):
        turns = [DIRECTIONS[(first + turn + step) % 2] for step in (0, 1)]
        direction = next(each for each in turns if listed[each])
        left = listed[direction]
        uid = min(left, key=lambda uid: (-left[uid], shown.of(known[uid]), _hash(uid)))
        del left[uid]
        shown.add(known[uid])
        chosen.append((direction, uid))
    return sorted(chosen, key=lambda each: DIRECTIONS.index(each[0]))


def _image(asked: Prediction) -> str:
    """What questions about one image share; its own uid where none is known to."""
    return repr(sorted(asked.groups.items())) if asked.groups else asked.uid


def _hash(uid: str) -> str:
    return hashlib.blake2b(uid.encode(), digest_size=8).hexdigest()

"""What was read of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from solvent.core.types import Status


@dataclass(frozen=True)
class Reading:
    """What was read: an option's index or a free answer with status "ok", else None."""

    value: int | str | None
    status: Status
    guessed: bool = False  # picked where none could be read, as only the rules of others do


NOTHING = Reading(None, "none")
AMBIGUOUS = Reading(None, "ambiguous")


def one_of(indices: Iterable[int]) -> Reading:
    """The only distinct index; none without any, ambiguous with several."""
    distinct = set(indices)
    if not distinct:
        return NOTHING
    return Reading(distinct.pop(), "ok") if len(distinct) == 1 else AMBIGUOUS

"""What a caption names, compared with what is in the picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from solvent.core.types import Accepted


@dataclass(frozen=True, kw_only=True)
class NothingAbsent:
    """1 where a caption names no object that is absent, also where it names none at all, else 0.

    Attributes:
        safe: objects that are neither there nor absent, whatever the picture.
    """

    safe: Sequence[str]

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1, of the JSON list that `Mentions` reads."""
        return float(not absent(json.loads(value), gold, self.safe))


def absent(named: Sequence[str], gold: Accepted, safe: Sequence[str]) -> list[str]:
    """The mentions of objects that are not in the picture, with repeats."""
    there = {word for answer in gold.answers for word in words_of(answer)} | set(safe)
    return [name for name in named if name not in there]


def marked(named: Sequence[str], answers: Sequence[str], safe: Sequence[str]) -> set[int]:
    """Which of some objects are named; a mention stands for one of them alone.

    For the first whose associated words it is among, else for the first of that name: so does the
    script of https://github.com/junyangwang0410/AMBER. A safe word stands for none.
    """
    words = [words_of(answer) for answer in answers]
    places: dict[str, int] = {}
    for part in (slice(1, None), slice(1)):  # associated words, then names
        for place, each in enumerate(words):
            for word in each[part]:
                places.setdefault(word, place)
    return {places[name] for name in named if name in places and name not in safe}


def answer_of(name: str, associated: Sequence[str]) -> str:
    """An object of a picture as a gold answer: "ship (boat, vessel)" is named by three words."""
    return f"{name} ({', '.join(associated)})" if associated else name


def words_of(answer: str) -> list[str]:
    """The words that name an object: its name first, then those that are associated with it."""
    name, bracket, rest = answer.partition(" (")
    return [name, *rest.removesuffix(")").split(", ")] if bracket else [name]

"""The rules of the benchmarks' own scripts."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from solvent.benchmarks.freeform import said
from solvent.benchmarks.parsers import Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

ENDS = (",", ".", "!", "?", ";", ":", "'")


class Pick(Protocol):
    """Chooses an option where none could be read."""

    def __call__(self, raw: str, options: Sequence[str]) -> int:
        """The option's index."""


@dataclass(frozen=True, kw_only=True)
class HashedPick:
    """Any option, equally likely over answers; a pure function of the answer and the options.

    Attributes:
        seed: another seed gives other picks.
    """

    seed: int

    def __call__(self, raw: str, options: Sequence[str]) -> int:
        """The option's index."""
        key = repr((self.seed, raw, tuple(options))).encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:8]) % len(options)


@dataclass(frozen=True, kw_only=True)
class SequentialPick:
    """The picks of one seeded generator, one after the other, as the script of MMMU makes them.

    They depend on which answers came before: for replaying all answers in their published order.

    Attributes:
        seed: of the generator.
    """

    seed: int
    state: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", random.Random(self.seed))

    def __call__(self, raw: str, options: Sequence[str]) -> int:
        """The option's index."""
        return self.state.choice(range(len(options)))


@dataclass(frozen=True, kw_only=True)
class MmmuLetter:
    """MMMU's rule for multiple choice, https://github.com/MMMU-Benchmark/MMMU.

    Punctuation goes from both ends; then the first of these forms that occurs for any letter
    decides: "(B)", a "B" between spaces, "B."; else, in answers of more than five words, an
    option's text. Of several the one that occurs last is taken. Without any, an option is picked.

    Attributes:
        pick: the script's generator is seeded with 42 and runs through all answers
            (`SequentialPick`); a run needs picks that do not depend on the order (`HashedPick`).
    """

    pick: Pick

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; never "none" or "ambiguous"."""
        text = raw
        for mark in ENDS:
            text = text.strip(mark)
        text = f" {text} "
        for form in self._forms(text, options):
            places = [text.rfind(each) for each in form]
            if max(places) >= 0:
                return Reading(places.index(max(places)), "ok")
        if len(text.split()) > 5:
            places = [text.lower().rfind(option.lower()) for option in options]
            if max(places) >= 0:
                return Reading(places.index(max(places)), "ok")
        return Reading(self.pick(raw, options), "ok", guessed=True)

    @staticmethod
    def _forms(text: str, options: Sequence[str]) -> Iterator[list[str]]:
        names = letters(len(options))
        for template in ("({})", " {} ", "{}."):
            yield [template.format(name) for name in names]


@dataclass(frozen=True, kw_only=True)
class MmmuOpen:
    """MMMU's rule for open questions; `solvent.benchmarks.matchers.Contains` matches.

    As `solvent.benchmarks.freeform.Open`, but an answer is cut at line breaks only: the script
    lower-cases it before it looks for a capital after ". ".
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The candidates as a JSON list; never "none"."""
        return Reading(said(raw.strip().strip(".").lower().split("\n")), "ok")


@dataclass(frozen=True, kw_only=True)
class PopeYesNo:
    """POPE's rule, https://github.com/AoiDragon/POPE.

    Of the text before the first period, without commas: any of the words "No", "not" and "no" means
    no, and everything else yes, an empty answer included; a yes without the word is counted as
    guessed.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; never "none" or "ambiguous"."""
        names = [option.casefold() for option in options]
        words = raw.split(".")[0].replace(",", "").split(" ")
        if {"No", "not", "no"} & set(words):
            return Reading(names.index("no"), "ok")
        stated = re.search(r"(?i)\byes\b", raw) is not None
        return Reading(names.index("yes"), "ok", guessed=not stated)

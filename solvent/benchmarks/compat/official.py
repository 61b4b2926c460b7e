"""The rules of the benchmarks' own scripts: MMMU's at its commit 44b45b5, POPE's at 08d957b."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from solvent.benchmarks.parsers import Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

ENDS = (",", ".", "!", "?", ";", ":", "'")
MARKERS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_POWER = r"[eE][+-]?\d+"
NUMBERS = (  # with commas; with a power of ten; neither
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    rf"-?\d+(?:\.\d+)?{_POWER}",
    rf"-?(?:\d*\.\d+|\d+\b)(?!{_POWER})(?![,\d])",
)


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
    decides: "(B)", a "B" between spaces; else, in answers of more than five words, an option's
    text. Of several the one that occurs last is taken. Without any, as in "B. green", an option is
    picked.

    Attributes:
        pick: the script's generator is seeded with 42 and runs through all answers
            (`SequentialPick`); a run needs picks that do not depend on the order (`HashedPick`).
    """

    pick: Pick

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; never "none" or "ambiguous"."""
        text = without_ends(raw)
        names = letters(len(options))
        for form in ("({})", " {} "):
            found = last_of(text, [form.format(name) for name in names])
            if found is not None:
                return Reading(found, "ok")
        found = mentioned(text, options)
        if found is not None:
            return Reading(found, "ok")
        return Reading(self.pick(raw, options), "ok", guessed=True)


def without_ends(raw: str) -> str:
    """An answer without punctuation at its ends, between two spaces."""
    text = raw
    for mark in ENDS:
        text = text.strip(mark)
    return f" {text} "


def last_of(text: str, pieces: Sequence[str]) -> int | None:
    """Index of the piece that occurs last in a text, or None."""
    places = [text.rfind(piece) for piece in pieces]
    return places.index(max(places)) if max(places) >= 0 else None


def mentioned(text: str, options: Sequence[str]) -> int | None:
    """Index of the option that a text of more than five words mentions last, or None."""
    if len(text.split()) <= 5:
        return None
    return last_of(text.lower(), [option.lower() for option in options])


@dataclass(frozen=True, kw_only=True)
class MmmuOpen:
    """MMMU's rule for open questions; `MmmuContains` matches.

    Of every line what follows its last marker ("is", "so", ..., in the last line also "="), for the
    marker that leaves least; of an answer without markers all. And the numbers in these pieces: a
    whole number counts where a word ends with it ("3d" has none), and not before a comma.
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The candidates as a JSON list; never "none"."""
        text = raw.strip().strip(".").lower()
        *lines, last = text.split("\n")
        ends = [*(_shortest_end(line, MARKERS) for line in lines),
                _shortest_end(last, (*MARKERS, "="))]  # fmt: skip
        pieces = [end for end in ends if end not in ("", *":,.!?;'")] or [text]
        numbers = [n for piece in pieces for form in NUMBERS for n in re.findall(form, piece)]
        known = [each for piece in (*pieces, *numbers) for each in _compared(piece)]
        return Reading(json.dumps(list(dict.fromkeys(known))), "ok")


@dataclass(frozen=True, kw_only=True)
class MmmuContains:
    """1 where a candidate of `MmmuOpen` agrees with an accepted answer.

    A number agrees with an equal one to two decimals, a text with a text that it contains.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        wanted = [each for answer in gold.answers for each in _compared(answer)]
        texts = [each for each in wanted if isinstance(each, str)]
        return float(
            any(
                any(text in said for text in texts) if isinstance(said, str) else said in wanted
                for said in json.loads(value)
            )
        )


def _shortest_end(line: str, markers: Sequence[str]) -> str:
    """What follows the last occurrence of a marker, for the marker that leaves least."""
    shortest = ""
    for marker in markers:
        if marker in line:
            end = line.split(marker)[-1].strip()
            # An empty end gives way to that of the next marker, however long that is.
            if not shortest or len(end) < len(shortest):
                shortest = end
    return shortest


def _compared(text: str) -> list[str | float]:
    """A text as it is compared: a number to two decimals; a lone character beside a space."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        low = text.lower()
        return [f" {low}", f"{low} "] if len(low) == 1 else [low]


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

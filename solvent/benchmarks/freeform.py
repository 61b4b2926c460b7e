"""Answers to questions without options: what was said, and how right it is.

No parser guesses: an answer that states several different numbers or lists is `ambiguous`, one that
states none is `none`. Values are text: a number as "1200.5", several as a JSON list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from solvent.benchmarks.free.conclusions import number_read
from solvent.benchmarks.free.number_words import words_of
from solvent.benchmarks.numbers import as_number, numbers_in
from solvent.benchmarks.parsers import (
    AMBIGUOUS,
    NOTHING,
    Reading,
    YesNo,
    normalised,
    without_reasoning,
)
from solvent.core.types import Accepted


class FreeParser(Protocol):
    """Reads a generated answer to a question without options."""

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """What was said.

        Args:
            raw: the answer.
            gold: only its kind and precision may play a role.
            question: as it was asked; "" where nobody knows.
        """


class Matcher(Protocol):
    """Compares a free answer with what is accepted."""

    def __call__(self, value: str, gold: Accepted) -> float:
        """How right it is, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class FreeForm:
    """How free answers are read and matched."""

    parser: FreeParser
    matcher: Matcher


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """The whole answer, without reasoning and markdown, in one line. Without a word: `none`."""

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The phrase."""
        text = " ".join(without_reasoning(raw).split())
        return Reading(text, "ok") if re.search(r"\w", text) else NOTHING


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The answer exactly as it is, but for outer spaces: what other harnesses compare."""

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The answer; `none` where it is empty."""
        return Reading(raw.strip(), "ok") if raw.strip() else NOTHING


@dataclass(frozen=True, kw_only=True)
class Number:
    """The number that is stated, by the first of these rules that yields something.

    1. The last explicit statement: a box, curly brackets, or "answer", "result" and the like, then
       "is", ":" or nothing, and a number. If another came before, it must say that it is the final
       one; if "wait" or "sorry" and another number follow, it is `ambiguous`.
    2. Of the last sentence that has a number: what follows "=", "so", "therefore" or "which gives".
    3. The only number that is said; else the only one before "because"; else that outside of
       brackets, if those inside say the same or sum up to it; else that on a line of its own.

    Number words count, also inside sentences and in some other languages; the pronoun "one",
    ordinals, versions and digits inside words do not. "1,200" and "1 200" are one number, "0,52" is
    0.52, "3/4" is 0.75, "50 %" is 50, and "2 million" is 2000000 unless the question speaks of
    millions.

    Beside a number that is said these do not count: one of the question, a name ("figure 2"), a
    part of what is spoken of ("the two bars", "3 of 8"), a year that is not asked for, and what is
    denied ("not 5"). A number of the question is said only where nothing but it is. Several that
    are left, a bound ("more than 5") and what is not written out ("2√3") are `ambiguous`; who says
    that it cannot be told says `none`. "No cars" is 0 where cars are to be counted.
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The number as text."""
        return number_read(raw, question)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A list of numbers: the only distinct one in brackets, or else all numbers in their order.

    Of several bracketed lists only one after "answer" counts. Number words count where there are no
    digits. A single number is no list: `none`.
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The list as JSON."""
        text = without_reasoning(raw)
        stated = re.findall(rf"(?is)\b(?:answer|result)\b[^\n\[(]*({BRACKETS})", text)[-1:]
        for lists in (stated, re.findall(BRACKETS, text)):
            found = {json.dumps([float(n) for n in numbers_in(each)]) for each in lists}
            found = {each for each in found if each.count(",")}
            if found:
                return Reading(found.pop(), "ok") if len(found) == 1 else AMBIGUOUS
        found = [float(number) for number in numbers_in(text) or words_of(text, question)]
        return Reading(json.dumps(found), "ok") if len(found) > 1 else NOTHING


@dataclass(frozen=True, kw_only=True)
class Affirmed:
    """ "yes" or "no", as `YesNo` reads them; the whole answer may also be true, false, 1 or 0."""

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The word."""
        whole = normalised(without_reasoning(raw))
        read = YesNo()(TRUTHS.get(whole, raw), YES_NO)
        return replace(read, value=YES_NO[read.value]) if isinstance(read.value, int) else read


@dataclass(frozen=True, kw_only=True)
class Short:
    """A short answer of the kind that is accepted: `Number`, `Numbers`, `Affirmed` or `Phrase`."""

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """What was said."""
        parsers = {"number": Number(), "list": Numbers(), "yesno": Affirmed()}
        return parsers.get(gold.kind, Phrase())(raw, gold, question)


@dataclass(frozen=True, kw_only=True)
class Braced:
    """What the last curly brackets with a word in them hold, else the answer; read by `Short`.

    For questions that ask for their answer in such brackets: "3 of the 4 legs are bent, so {4}".
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """What was said."""
        held = re.findall(r"\{([^{}]*\w[^{}]*)\}", without_reasoning(raw))
        return Short()(held[-1] if held else raw, gold, question)


@dataclass(frozen=True, kw_only=True)
class Open:
    """MMMU's open questions: all that the answer may be taken to say, as a JSON list.

    Every sentence gives what follows its last marker ("is", "so", "answer", ... and, in the last
    sentence, "="), the shortest such end; without any marker the answer is taken whole. All numbers
    in these pieces are listed too, rounded to two decimals. The rule is that of
    https://github.com/MMMU-Benchmark/MMMU, with sentences really told apart; `Contains` matches.
    """

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The list, texts before numbers."""
        text = without_reasoning(raw)
        if not re.search(r"\w", text):
            return NOTHING
        sentences = re.split(r"\.\s(?=[A-Z])|\n", text.strip().strip("."))
        return Reading(said([sentence.lower() for sentence in sentences]), "ok")


def said(sentences: Sequence[str]) -> str:
    """The candidates in lower-case sentences of an answer, as a JSON list without repetitions."""
    pieces = [
        piece
        for number, sentence in enumerate(sentences, start=1)
        if (piece := _shortest_end(sentence, last=number == len(sentences)))
    ] or [" ".join(sentences)]
    numbers = [number for piece in pieces for number in numbers_in(piece, anywhere=True)]
    known = [
        candidate for piece in [*pieces, *map(str, numbers)] for candidate in candidates(piece)
    ]
    texts = sorted({each for each in known if isinstance(each, str)})
    return json.dumps([*texts, *sorted({each for each in known if isinstance(each, float)})])


def candidates(text: str) -> list[str | float]:
    """A text as MMMU compares it: a number to two decimals; a lone character beside a space."""
    text = text.strip()
    number = as_number(text)
    if number is not None:
        return [round(float(number), 2)]
    text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def _shortest_end(sentence: str, last: bool) -> str | None:
    """What follows the last occurrence of a marker, for the marker that leaves least."""
    ends = [
        sentence.split(marker)[-1].strip()
        for marker in (*MARKERS, *(("=",) if last else ()))
        if marker in sentence
    ]
    shortest = min(ends, key=len, default="")
    return None if shortest in ("", *":,.!?;'") else shortest


YES_NO = ("yes", "no")
TRUTHS = MappingProxyType({"true": "yes", "1": "yes", "false": "no", "0": "no"})
MARKERS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
BRACKETS = r"[\[(][^\[\]()]*[\])]"

"""The rules of lmms-eval, https://github.com/EvolvingLMMs-Lab/lmms-eval, at its commit 75571cf.

Written from what its functions read; `tests/benchmarks/compat/test_peer_answers.py` has answers and
what they read at that commit.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solvent.benchmarks.parsers import NOTHING, Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

ENDS = (",", ".", "!", "?", ";", ":", "'", '"')
FOUR = "ABCD"  # looked for whatever the options are; a letter that names none is no answer
PHRASES = (
    *("answer is", "the answer is", "correct answer is", "the correct answer is"),
    *("best answer is", "the best answer is", "my answer is"),
    *("correct option is", "the correct option is", "best option is", "the best option is"),
    *("choice is", "the choice is", "correct choice is", "the correct choice is", "my choice is"),
    *("i choose", "i select", "i pick"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)


@dataclass(frozen=True, kw_only=True)
class SharedLetter:
    """The rule that most multiple-choice tasks share; the capitals A to D count.

    Places are ranked by their form: the start of the answer, its end, anywhere after the first
    occurrence of a phrase as "answer is", then "(B)", "B.", "B:", "B)", a "B" before a space; of
    one form the last place wins. Without any, the last such letter anywhere, also inside a word.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        text = raw.strip()
        for mark in ENDS:
            text = text.strip(mark)
        for places in self._forms(f" {text} ", text.strip()):
            found = [place for place in places if place[0] >= 0]
            if found:
                return _named(max(found)[1], options)
        return NOTHING

    @staticmethod
    def _forms(padded: str, text: str) -> Iterator[list[tuple[int, str]]]:
        """For every form the last place of every letter."""
        yield [(0, name) for name in FOUR if text[:1] == name and not text[1:2].isalpha()]
        yield [(0, name) for name in FOUR if text[-1:] == name and not text[-2:-1].isalpha()]
        low = padded.lower()
        starts = [low.find(phrase) + len(phrase) for phrase in PHRASES if phrase in low]
        yield [(padded.find(name, start), name) for start in starts for name in FOUR]
        for form in ("({})", "{}.", "{}:", "{})", "{} ", "{}"):
            yield [(padded.rfind(form.format(name)), name) for name in FOUR]


@dataclass(frozen=True, kw_only=True)
class FirstLetter:
    """The rule of its CV-Bench and BLINK tasks: the letter that the answer begins with.

    An opening bracket is skipped, and the letter may belong to a word: "Based on ..." is B.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        start = re.match(r"\s*\(?([A-Za-z])", raw)
        return _named(start[1] if start else "", options)


@dataclass(frozen=True, kw_only=True)
class OrderedLetter:
    """The rule of its 3DSRBench task: the first form that occurs, at its first place.

    A capital from A to D at the start before a space, ".", ")" or nothing; after "answer" or "the
    answer is" and a space or colon; "(B)"; "B."; any that stands alone. "A person is on the left.
    (B)" is A.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        text = raw.strip()
        for form in (
            r"\A([A-D])(?:[.\s)]|\Z)",
            r"[Aa]nswer[:\s]+([A-D])",
            r"(?:[Tt]he|[Mm]y) answer is[:\s]+([A-D])",
            r"\(([A-D])\)",
            r"([A-D])\.",
            r"\b([A-D])\b",
        ):
            if found := re.search(form, text):
                return _named(found[1], options)
        return NOTHING


@dataclass(frozen=True, kw_only=True)
class FirstCharacter:
    """The rule of its SEED-Bench task: the first character of the answer, in any case."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        return _named(raw.strip()[:1], options)


@dataclass(frozen=True, kw_only=True)
class BareLetter:
    """The rule of its ScienceQA task: a lone letter, or a capital and "." at the start."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        text = raw.strip()
        start = re.match(r"([A-Z])\.", text)
        return _named(start[1] if start else text, options)


@dataclass(frozen=True, kw_only=True)
class LetterAmongMarks:
    """The rule of its AI2D task: the answer but for ASCII punctuation, or a capital and "." first.

    "(b)" is B. Spaces count: "B " is none.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        start = re.match(r"\s*([A-Z])\.", raw)
        marks = str.maketrans("", "", string.punctuation)
        return _named(start[1] if start else raw.translate(marks), options)


@dataclass(frozen=True, kw_only=True)
class SameButForPeriod:
    """The matcher of its RealWorldQA task: equal in lower case, without outer spaces and last "."s.

    Only the answer may end in periods.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        said = value.lower().strip().rstrip(".")
        return float(any(said == answer.lower().strip() for answer in gold.answers))


@dataclass(frozen=True, kw_only=True)
class ExactYesNo:
    """The rule of its POPE task: the answer is the word itself, in any case: "Yes." is none."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        return _word(raw.strip().lower(), options)


@dataclass(frozen=True, kw_only=True)
class MmeYesNo:
    """The rule of its MME task, without periods: "yes", "y", or "yes" in the first 4 characters."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        text = raw.lower().strip().replace(".", "")
        short = {"y": "yes", "n": "no"}.get(text)
        near = next((word for word in ("yes", "no") if word in text[:4]), "")
        return _word(short or near, options)


@dataclass(frozen=True, kw_only=True)
class ContainsYes:
    """The judge-free rule of its HallusionBench task: yes where "yes" occurs, else no."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; never "none"."""
        return _word("yes" if "yes" in raw.lower() else "no", options)


@dataclass(frozen=True, kw_only=True)
class RelaxedAsWritten:
    """The matcher of its ChartQA task: ChartQA's relaxed accuracy, where form counts.

    "1,200" is no number, "14%" is 0.14, a gold answer of 0 and all text must be equal but for case:
    "Yes." is wrong.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        return float(any(_near(value, answer) for answer in gold.answers))


def _near(value: str, answer: str) -> bool:
    said, wanted = _as_float(value), _as_float(answer)
    if said is not None and wanted:
        return abs(said - wanted) / abs(wanted) <= 0.05
    return value.lower() == answer.lower()


def _as_float(text: str) -> float | None:
    percent = text.endswith("%")
    try:
        return float(text.rstrip("%")) / 100 if percent else float(text)
    except ValueError:
        return None


def _named(letter: str, options: Sequence[str]) -> Reading:
    valid = letters(len(options))
    return Reading(valid.index(letter.upper()), "ok") if letter.upper() in valid else NOTHING


def _word(word: str, options: Sequence[str]) -> Reading:
    names = [option.casefold() for option in options]
    return Reading(names.index(word), "ok") if word in names else NOTHING

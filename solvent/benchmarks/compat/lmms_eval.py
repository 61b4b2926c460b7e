"""The rules of lmms-eval, https://github.com/EvolvingLMMs-Lab/lmms-eval, in August 2026."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solvent.benchmarks.parsers import NOTHING, Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

ENDS = (",", ".", "!", "?", ";", ":", "'", '"')
NOUNS = ("answer", "option", "choice")
PHRASES = (*(f"{noun} is" for noun in NOUNS), "i choose", "i select", "i pick")


@dataclass(frozen=True, kw_only=True)
class SharedLetter:
    """The rule that most multiple-choice tasks share; letters count as capitals only.

    Places are ranked by their form: the start of the answer, its end, anywhere after a phrase as
    "answer is", then "(B)", "B.", "B:", "B)", a "B" before a space; of one form the last place
    wins. Without any, the last such letter anywhere, also inside a word.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        names = letters(len(options))
        text = raw.strip()
        for mark in ENDS:
            text = text.strip(mark)
        for places in self._forms(f" {text} ", text, names):
            found = [place for place in places if place[0] >= 0]
            if found:
                return Reading(max(found)[1], "ok")
        return NOTHING

    @staticmethod
    def _forms(padded: str, text: str, names: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
        """For every form the last place of every letter, and the letter's index."""
        numbered = list(enumerate(names))
        yield [(0, i) for i, name in numbered if re.match(rf"{name}(?![^\W\d_])", text)]
        yield [(0, i) for i, name in numbered if re.search(rf"(?<![^\W\d_]){name}\Z", text)]
        starts = [padded.lower().find(phrase) + len(phrase) for phrase in PHRASES
                  if phrase in padded.lower()]  # fmt: skip
        yield [(padded.find(name, start), i) for start in starts for i, name in numbered]
        for form in ("({})", "{}.", "{}:", "{})", "{} ", "{}"):
            yield [(padded.rfind(form.format(name)), i) for i, name in numbered]


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

    A capital at the start before a space or mark; "answer is B" and the like; "(B)"; "B."; any
    capital that stands alone. "A person is on the left. (B)" is A.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        valid = f"([{''.join(letters(len(options)))}])"
        for form in (
            rf"^\s*\(?{valid}(?=[\s.,:;)]|\Z)",
            rf"(?i:\b(?:answer|option|choice)\b(?:\s+is)?\s*:?)\s*\(?{valid}\b",
            rf"\({valid}\)",
            rf"\b{valid}\.",
            rf"\b{valid}\b",
        ):
            if found := re.search(form, raw):
                return _named(found[1], options)
        return NOTHING


@dataclass(frozen=True, kw_only=True)
class FirstCharacter:
    """The rule of its SEED-Bench task: the first character of the answer, as it is."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        first = raw.strip()[:1]
        return _named(first, options) if first.isupper() else NOTHING


@dataclass(frozen=True, kw_only=True)
class BareLetter:
    """The rule of its ScienceQA and AI2D tasks: a lone letter, or a capital and "." first."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option."""
        text = raw.strip()
        start = re.match(r"([A-Z])\.", text)
        return _named(start[1] if start else text, options)


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

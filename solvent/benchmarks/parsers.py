"""From a model's free text to one of the options, or to an honest "cannot tell".

No parser guesses: nothing is random, nothing is matched by similarity, an empty answer is `none`,
and an answer that names two options is `ambiguous`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from solvent.benchmarks.reading.choosing import chosen
from solvent.benchmarks.reading.cleaning import normalised, without_reasoning
from solvent.benchmarks.reading.outcome import AMBIGUOUS, NOTHING, Reading
from solvent.benchmarks.reading.polarity import yes_or_no

__all__ = (
    "AMBIGUOUS",
    "NOTHING",
    "Letter",
    "Parser",
    "Reading",
    "Words",
    "YesNo",
    "normalised",
    "without_reasoning",
)


class Parser(Protocol):
    """Reads a generated answer."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The answer equals one option, or contains exactly one option as whole words.

    Letter case, markdown and outer punctuation do not count. An option inside a longer option that
    matches at the same place is not a mention ("red" in "dark red"). A denied option ("not true")
    is no answer: `ambiguous`, as what it leaves open is not for the parser to decide.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        return chosen(raw, options, by_letter=False)


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Yes or no, for questions whose options are "yes" and "no" in any case and order.

    As `Words`, so that "There is no dog" means no and "Yes ... no" is `ambiguous`; a lone "y" or
    "n" counts, too. A denial without either word ("There isn't a dog") is not read: `none`.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names. Raises `ValueError` where the options are others."""
        names = [option.casefold() for option in options]
        if sorted(names) != ["no", "yes"]:
            raise ValueError(
                f"YesNo reads the options yes and no, not {list(options)}; for others use Words"
            )
        return yes_or_no(raw, options)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """The letter of an option, by the first of these rules that yields something.

    1. The whole answer is one valid letter, in any case, with or without brackets and punctuation.
    2. The last explicit statement: "answer", "option" or "choice", then perhaps "is" or ":", then a
       valid capital letter (in brackets: in any case).
    3. Exactly one distinct letter in brackets; else exactly one distinct letter at the start of a
       line before ". ) :".
    4. The whole answer equals the text of one option.
    5. The answer contains exactly one option's text as whole words.
    6. Exactly one distinct valid capital letter that stands alone.

    Before that, reasoning blocks and markdown are dropped, and so are letters that are not labels:
    the article "A" before a lower-case noun, the pronoun "I", and a letter that the answer denies
    ("not B", "B is wrong"). Two letters inside one rule are `ambiguous`.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        return chosen(raw, options, by_letter=True)

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
    """The text of an option, by the first of these rules that yields something.

    1. The whole answer equals the text of one option, whatever its letter case, punctuation and
       article; a number may be in digits or in words.
    2. What the answer states: it begins with an option ("True. The box ..."), or says that one is
       the answer ("the answer is", "so it is", ...). Of different statements the last one counts if
       the answer turns before it ("but", "actually", "so", ...), else it is `ambiguous`.
    3. The answer names exactly one option, as whole words. Not where it says that it cannot tell:
       then only what follows a later "but" counts.

    An option inside a longer one at the same place is not named ("red" in "dark red"). What is
    denied, supposed or said by others is not stated. An option that the answer only denies ("not
    true") is `ambiguous`, as what that leaves open is not for the parser to decide.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        return chosen(raw, options, by_letter=False)


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Yes or no, for questions whose options are "yes" and "no" in any case and order.

    1. A lone "y" or "n".
    2. Exclamations: "yes" or "no" where the answer begins, after "so", "the answer is" and the
       like, or on its own between stops. All must be the same, else `ambiguous`; a "no" that
       belongs to a noun ("a man with no hat") is none. Where an answer begins, the words of some
       other languages count as well.
    3. "There is no ..." and its like mean no.

    A denial without either word ("There isn't a dog") is not read, as its opposite ("There is a
    dog") cannot be without the question: `none`. Markdown and reasoning do not count.
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
    """The letter of an option or its text, by the first of these rules that yields something.

    1. The whole answer is one valid letter, in any case, with or without brackets and punctuation.
    2. The whole answer equals the text of one option.
    3. What the answer states, by letter or by text: it begins with an option ("B. The vehicle is
       blue"), says that one is the answer ("the answer is B", "so B", "B is correct", a box), in
       English or one of eleven other languages. Of different statements the last one counts if the
       answer turns before it ("but", "actually", "so", ...), else it is `ambiguous`.
    4. The only letter that ends a line behind a stop ("Based on the image, B").
    5. An enumeration of the options is `ambiguous`.
    6. Exactly one distinct letter in brackets; else exactly one option whose text occurs. Not where
       the answer says that it cannot tell: then only what follows a later "but" counts.

    What is denied ("not B", "B is wrong"), supposed ("if it were red, A"), conceded ("although A is
    close") or said by others is not stated. No letters of options are: the article "A", the pronoun
    "I", and letters in abbreviations, units and names ("N/A", "5 A.M.", "vitamin C"). A small
    letter counts only in brackets or where it is stated. Reasoning and markdown do not count.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        return chosen(raw, options, by_letter=True)

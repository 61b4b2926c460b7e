"""Why a number that stands alone in an answer may still not be meant as one."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

from solvent.benchmarks.free.cues import (
    COMPUTED,
    COMPUTES,
    EVERYWHERE,
    LABEL,
    PROCEDURE,
    SAME,
    SPEAKS_OF_IT,
    THING,
)
from solvent.benchmarks.free.mentions import Mention, stems
from solvent.benchmarks.free.number_words import IS_ENGLISH
from solvent.benchmarks.free.numerals import text_before
from solvent.benchmarks.free.passages import SENTENCE_END, sentences


def is_a_step(text: str, said: Sequence[Mention]) -> bool:
    """Whether a number stands in a sentence that says what to do: "Add the cost of 3 tickets"."""
    return any(
        PROCEDURE.match(text, start) and any(start <= each.start < end for each in said)
        for start, end in sentences(text, 0, len(text))
    )


def are_parts(text: str, said: Sequence[Mention]) -> bool:
    """Whether equal numbers are of different things: "2 on the left and 2 on the right"."""
    for one, other in itertools.pairwise(said):
        if all(LABEL.search(text_before(text, each.start)) for each in (one, other)):
            return True
        between = text[one.end : other.start]
        things = {THING.match(text, each.end)[1] for each in (one, other)}
        if len(things) > 1 and not (SENTENCE_END.search(between) or SAME.fullmatch(between)):
            return True
    return False


def lacks_computation(text: str, question: str) -> bool:
    """Whether a sentence names no sum, difference and the like where one is asked for."""
    asked = IS_ENGLISH.search(question) and COMPUTED.search(question)
    return bool(asked) and len(text.split()) > 3 and COMPUTES.search(text) is None


def speaks_of_it(text: str, words: Collection[str], question: str) -> bool:
    """Whether an answer shares a word with an English question, or says "it", "they" or "there".

    Args:
        text: of the answer.
        words: its `stems`.
        question: that is answered.
    """
    if not IS_ENGLISH.search(question):
        return True
    return not (stems(question) - EVERYWHERE).isdisjoint(words) or bool(SPEAKS_OF_IT.search(text))

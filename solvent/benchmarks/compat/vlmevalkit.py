"""The rules of VLMEvalKit, https://github.com/open-compass/VLMEvalKit, in August 2026, no judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from solvent.benchmarks.parsers import NOTHING, Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)


@dataclass(frozen=True, kw_only=True)
class InferredLetter:
    """Its rule before any judge: the first of these that yields something.

    1. A letter right after "answer is", in any case, also the first of a word: "The answer is blue"
       is B.
    2. The only distinct capital letter that is a word of its own once marks are spaces, where it
       first stands among the last five words; or the whole answer, in any case.
    3. The only option whose text occurs in the answer, as part of a word, too, unless the answer is
       more than twice as long as all options together.

    A refusal is none.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; what it cannot infer is "none"."""
        if any(refusal in raw for refusal in REFUSALS):
            return NOTHING
        names = letters(len(options))
        stated = re.search(rf"(?i)answer is\s*([{''.join(names)}])", raw)
        if stated:
            return Reading(names.index(stated[1].upper()), "ok")
        words = raw.translate(MARKS).split()
        words = [words[0].upper()] if len(words) == 1 else words
        found = [index for index, name in enumerate(names) if name in words]
        if len(found) == 1 and words.index(names[found[0]]) > len(words) - 5:
            return Reading(found[0], "ok")
        if len(raw) > 2 * sum(map(len, options)):
            return NOTHING
        low = raw.lower()
        found = [index for index, option in enumerate(options) if option.lower() in low]
        return Reading(found[0], "ok") if len(found) == 1 else NOTHING


@dataclass(frozen=True, kw_only=True)
class GoldAsOption:
    """Its matcher for MMMU's open questions: option A is the gold answer and B "Other Answers".

    1 where `InferredLetter` reads A from the answer.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        options = (str(gold.answers[0]), "Other Answers")
        return float(InferredLetter()(value, options).value == 0)


@dataclass(frozen=True, kw_only=True)
class OneOfYesNo:
    """Its yes/no rule: "yes" or "no" among the answer's words without punctuation, but not both."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; "none" where it would ask a judge."""
        words = set(re.sub(r"[^\w\s]", " ", raw.lower()).split())
        names = [option.casefold() for option in options]
        found = [names.index(word) for word in ("yes", "no") if word in words]
        return Reading(found[0], "ok") if len(found) == 1 else NOTHING

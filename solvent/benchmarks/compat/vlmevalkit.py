"""The rules of VLMEvalKit, https://github.com/open-compass/VLMEvalKit, at its commit e8e78f0.

Without a judge; what it would ask one is not read. Written from what its functions read;
`tests/benchmarks/compat/test_peer_answers.py` has answers and what they read at that commit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from solvent.benchmarks.compat.official import Pick, last_of, mentioned, without_ends
from solvent.benchmarks.parsers import NOTHING, Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted

MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
FAILED = "Failed to obtain answer via API"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
STATED = re.compile(r"(?i)answer\s+is\s+\**([A-D])")
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'


@dataclass(frozen=True, kw_only=True)
class InferredLetter:
    """Its rule before any judge: the first of these that yields something.

    1. The only distinct capital letter that is a word of its own once marks are spaces, where it
       first stands among the last four words.
    2. The letter from A to D, in any case, after the first "answer is" and asterisks, also the
       first of a word: "The answer is blue" is B.
    3. The only option whose text occurs in the answer, as part of a word, too, unless the answer is
       more than twice as long as all options together.

    A refusal is none, and so is a lone "Z" among the words.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; what it cannot infer is "none"."""
        names = letters(len(options))
        if FAILED not in raw:
            words = raw.translate(MARKS).split()
            found = [index for index, name in enumerate(names) if name in words]
            if any(refusal in raw for refusal in REFUSALS) or (not found and "Z" in words):
                return NOTHING
            if len(found) == 1 and words.index(names[found[0]]) > len(words) - 5:
                return Reading(found[0], "ok")
            stated = STATED.search(raw)
            if stated and stated[1].upper() in names:
                return Reading(names.index(stated[1].upper()), "ok")
        low = raw.lower()
        if len(low) > 2 * sum(map(len, options)):
            return NOTHING
        found = [index for index, option in enumerate(options) if option.lower() in low]
        return Reading(found[0], "ok") if len(found) == 1 else NOTHING


@dataclass(frozen=True, kw_only=True)
class VmcLetter:
    """Its rule for VMCBench, that of MMMU but for its first form: "(B)", or "B. " with a space.

    Of several letters in the first form the one that stands last in brackets is taken; where none
    does, the first of the options.

    Attributes:
        pick: it takes any option at random where it reads none.
    """

    pick: Pick

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; never "none" or "ambiguous"."""
        text = without_ends(raw)
        names = letters(len(options))
        stated = [i for i, name in enumerate(names) if f"({name})" in text or f"{name}. " in text]
        if stated:
            return Reading(max(stated, key=lambda i: text.rfind(f"({names[i]})")), "ok")
        found = last_of(text, [f" {name} " for name in names])
        if found is None:
            found = mentioned(text, options)
        if found is None:
            return Reading(self.pick(raw, options), "ok", guessed=True)
        return Reading(found, "ok")


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
    """Its yes/no rule: "yes" or "no" among the answer's words, but not both.

    A mark of `PUNCTUATION` is dropped where it stands beside a space anywhere in the answer, or
    where a number has a comma, else it becomes a space; a period that is in no number is dropped,
    and all other marks stay: "**Yes**" and "Yes.It is" are none.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option; "none" where it would ask a judge."""
        text = low = raw.lower()
        commas = re.search(r"\d,\d", low) is not None
        for mark in PUNCTUATION:
            dropped = commas or f"{mark} " in low or f" {mark}" in low
            text = text.replace(mark, "" if dropped else " ")
        words = re.sub(r"(?<!\d)\.(?!\d)", "", text, count=32).split()
        names = [option.casefold() for option in options]
        found = [names.index(word) for word in ("yes", "no") if word in words]
        return Reading(found[0], "ok") if len(found) == 1 else NOTHING

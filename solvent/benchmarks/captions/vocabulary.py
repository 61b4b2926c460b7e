"""The objects that a caption names, found by a vocabulary."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from solvent.benchmarks.parsers import NOTHING, Reading, without_reasoning
from solvent.core.types import Accepted

TOKEN = re.compile(
    r"[^\W_]+(?:(?:['\u2019]s)?-[^\W_]+)*|[^\w\s]"
)  # a word, or a mark, which parts phrases
IRREGULAR = MappingProxyType({"geese": "goose", "mice": "mouse", "oxen": "ox"})
ENDINGS = tuple(  # of plurals, and what stands there in the singular; the first known word counts
    (re.compile(f"{plural}$"), singular)
    for plural, singular in (
        ("men", "man"),
        ("children", "child"),
        ("ves", "fe"),
        ("ves", "f"),
        ("ies", "y"),
        ("(?<=[sxzo])es", ""),
        ("(?<=[cs]h)es", ""),
        ("s", ""),
    )
)


@dataclass(frozen=True, kw_only=True)
class Mentions:
    """The objects of a vocabulary that a caption names, in its order and with repeats, as a JSON
    list of their names.

    Words are compared in lower case; an unknown one is tried as a plural of a known one. Two words
    side by side are looked up before each of them. A caption without any object is read as an empty
    list; an empty answer is `none`. Nouns are not told from verbs or adjectives: "orange" is a
    fruit. The rules are those of https://github.com/LisaAnne/Hallucination, whose lemmas come from
    NLTK.

    Attributes:
        objects: name -> other words for it, one or two each; the name itself counts, too.
        forms: word -> the known word that it is taken for, beside plurals.
        qualifiers: word -> words before which it is no mention of its own: a "baby bird" is a bird.
        nothing: two words that together name none of the objects that either names.
        beside: word -> words that are no mention in a caption that has it: the seat of a toilet.
    """

    objects: Mapping[str, Sequence[str]]
    forms: Mapping[str, str]
    qualifiers: Mapping[str, Sequence[str]]
    nothing: Sequence[str]
    beside: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        homes: dict[str, str] = {}
        for name, others in self.objects.items():
            for word in (name, *others):
                if homes.setdefault(word, name) != name:
                    raise ValueError(
                        f"the word {word!r} stands for {homes[word]!r} and {name!r}: list it once "
                        "in the vocabulary's objects"
                    )
        wrong = [each for each in (*homes, *self.nothing) if len(each.split()) > 2]
        lone = [each for each in self.nothing if len(each.split()) < 2]
        if wrong or lone:
            raise ValueError(
                f"the vocabulary has {[*wrong, *lone]}: an object has one or two words, and "
                "`nothing` lists two at a time"
            )

    def __call__(self, raw: str, gold: Accepted, question: str) -> Reading:
        """The mentions; neither the gold answer nor the question plays a role."""
        text = without_reasoning(raw)
        if not re.search(r"\w", text):
            return NOTHING
        return Reading(json.dumps(self.named(text)), "ok")

    def named(self, caption: str) -> list[str]:
        """Names of the objects that a caption mentions, in its order and with repeats."""
        words = self._joined([self._known_form(each) for each in tokens(caption)])
        silent = {each for word in words for each in self.beside.get(word, ())}
        return [self._names[word] for word in words if word in self._names and word not in silent]

    def _joined(self, words: Sequence[str]) -> list[str]:
        """Words with two that belong together made one, from left to right."""
        joined, place = [], 0
        while place < len(words):
            pair = " ".join(words[place : place + 2])
            joined.append(self._pairs.get(pair, words[place]))
            place += 2 if pair in self._pairs else 1
        return joined

    def _known_form(self, word: str) -> str:
        if word in self._known:
            return word
        if word in self.forms:
            return self.forms[word]
        tried = [IRREGULAR.get(word, ""), *(end.sub(new, word) for end, new in ENDINGS)]
        return next((each for each in tried if each in self._known), word)

    @cached_property
    def _names(self) -> dict[str, str]:
        """Word or two words -> the object's name."""
        return {word: name for name, each in self.objects.items() for word in (name, *each)}

    @cached_property
    def _pairs(self) -> dict[str, str]:
        """Two words -> what they are taken for."""
        return {
            **{word: word for word in (*self._names, *self.nothing) if " " in word},
            **{f"{word} {each}": each for word, row in self.qualifiers.items() for each in row},
        }

    @cached_property
    def _known(self) -> frozenset[str]:
        """Single words that play a role, parts of two words included."""
        return frozenset(part for word in (*self._names, *self._pairs) for part in word.split())


def tokens(caption: str) -> list[str]:
    """Words in lower case, and marks between them; a hyphen joins, "'s" is no part of a word but
    before a hyphen ("bird's-eye").
    """
    return TOKEN.findall(re.sub(r"['\u2019]s\b(?!-)", " ", caption.lower()))


def count_words(caption: str) -> int:
    """How long a caption is: words between blanks that have a letter or a digit."""
    return sum(bool(re.search(r"\w", word)) for word in without_reasoning(caption).split())

"""What a class is called in a sentence, by the name of its folder: `black_swan` is "a black swan".

English by rule, which errs now and then ("a ewe" is read as "an ewe"): settings correct it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solvent.core.names import nearest

KEYS = ("name", "article", "plural")
NUMBERED = re.compile(r"\d+[.]")  # 001.Black_footed_Albatross
MEANINGLESS = re.compile(r"n\d{8}|\d+")  # the ids of WordNet and ImageNet, and plain numbers
CONSONANTS = ("uni", "use", "eu", "one")  # that begin with a vowel's letter: a unicorn
VOWELS = ("hour", "honest", "heir")
SAME = ("fish", "sheep", "deer", "craft", "moose", "bison", "salmon", "trout", "squid", "species",
        "series")  # fmt: skip
IRREGULAR = {
    "person": "people", "child": "children", "mouse": "mice", "goose": "geese", "tooth": "teeth",
    "foot": "feet", "ox": "oxen", "leaf": "leaves", "loaf": "loaves", "knife": "knives",
    "wolf": "wolves", "shelf": "shelves", "calf": "calves", "scarf": "scarves", "wife": "wives",
    "thief": "thieves", "hoof": "hooves", "potato": "potatoes", "tomato": "tomatoes",
    "mosquito": "mosquitoes", "buffalo": "buffaloes", "human": "humans", "caiman": "caimans",
    "talisman": "talismans", "ottoman": "ottomans",
}  # fmt: skip
NO_PLURALS = ("gas", "canvas", "atlas", "lens", "rhinoceros", "thermos", "cosmos")


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A class in words."""

    name: str  # as an answer: black swan
    single: str  # after "a photo of": a black swan
    plural: str  # after "photos of": black swans


def noun(folder: str, given: str | Mapping[str, str] | None) -> Noun:
    """What a class is called.

    Args:
        folder: of its photos. A number before a full stop is left out, underscores are blanks. A
            name that is a plural already (`cats`) has no article.
        given: the name, or some of name, article ("" for none) and plural; None: by rule.

    Raises:
        ValueError: the folder's name says nothing, or something else than these is given.
    """
    said: Mapping[str, Any] = given if isinstance(given, Mapping) else {"name": given}
    if unknown := [key for key in said if key not in KEYS]:
        raise ValueError(
            f"benchmark.source.names has {unknown[0]!r} for {folder!r}; {nearest(unknown[0], KEYS)}"
        )
    name = said.get("name")
    if name is None and MEANINGLESS.fullmatch(folder):
        raise ValueError(
            f"the folder {folder!r} does not say what its photos show; name it, and others like "
            f"it, with +benchmark.source.names.{folder}=NAME"
        )
    name = " ".join(str(name or NUMBERED.sub("", folder)).replace("_", " ").split())
    several = _is_plural(name)
    article = said.get("article", "" if several else _article(name))
    plural = said.get("plural", name if several else _plural(name))
    return Noun(name=name, single=f"{article} {name}".strip(), plural=str(plural))


def _article(name: str) -> str:
    word = name.lower()
    vowel = word.startswith(VOWELS) or (word[:1] in "aeiou" and not word.startswith(CONSONANTS))
    return "an" if vowel else "a"


def _is_plural(name: str) -> bool:
    word = name.lower()
    return word.endswith("s") and not word.endswith(("ss", "us", "is", *SAME, *NO_PLURALS))


def _plural(name: str) -> str:
    head, of, rest = name.partition(" of ")  # cups of tea
    before, word = head[: head.rfind(" ") + 1], head[head.rfind(" ") + 1 :]
    return before + _plural_word(word) + of + rest


def _plural_word(word: str) -> str:
    low = word.lower()
    for single, plural in IRREGULAR.items():
        if low == single:
            return word[0] + plural[1:]
    if low.endswith(SAME):
        return word
    if low.endswith("man"):
        return f"{word[:-2]}en"
    if low.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if low.endswith("y") and low[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"

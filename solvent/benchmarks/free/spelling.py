"""When two words are the same: number words, plurals and articles, by rule."""

from __future__ import annotations

import re
from types import MappingProxyType

from solvent.benchmarks.numbers import word_number

ARTICLES = frozenset({"a", "an", "the"})
IRREGULAR = MappingProxyType(
    {
        "people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot",
        "teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox", "dice": "die",
        "knives": "knife", "wives": "wife", "lives": "life", "leaves": "leaf", "wolves": "wolf",
        "halves": "half", "shelves": "shelf", "thieves": "thief", "loaves": "loaf",
        "calves": "calf", "scarves": "scarf", "cacti": "cactus", "fungi": "fungus",
        "gas": "gas", "gases": "gas", "lens": "lens", "lenses": "lens",
    }
)  # fmt: skip
ENDINGS = (  # the first that fits; those with "s?" take a singular to the same stem as its plural
    (re.compile(r"(?<=\w\w)ies?\Z"), "y"),  # cherries, movies
    (re.compile(r"(?<=ch|sh|.s|.x|.z|.o)es?\Z"), ""),  # boxes, houses, shoes
    (re.compile(r"(?<=\w\w)(?<![siu])s\Z"), ""),
)


def same_words(text: str) -> str:
    """Lower-case words without articles, stems for nouns, numbers in digits; "" stays "".

    Both sides of a comparison go through this.
    """
    words = [word for word in text.split() if word not in ARTICLES] or text.split()
    number = word_number(" ".join(words))
    return " ".join(map(stem, words)) if number is None else str(number)


def stem(word: str) -> str:
    """What a noun and its plural share: "box", "cherry", "hous"; "bus" and "glass" stay."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    fits = next(((ending, rest) for ending, rest in ENDINGS if ending.search(word)), None)
    return word if fits is None else fits[0].sub(fits[1], word)

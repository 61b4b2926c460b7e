"""The normalisation of answers in the VQA evaluation, https://visualqa.org/evaluation.html."""

from __future__ import annotations

import re
from types import MappingProxyType

from solvent.benchmarks.numbers import WORDS

ARTICLES = frozenset({"a", "an", "the"})
DIGITS = MappingProxyType({word: str(n) for n, word in enumerate(WORDS[:11])} | {"none": "0"})
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
# Contractions that people write without their apostrophe.
NEGATED = re.compile(
    r"^(?:ai|are|ca|could|did|do|does|had|has|have|is|might|must|need|ought|sha|should|was|were|wo"
    r"|would)nt$"
)
OTHERS = MappingProxyType(
    {
        "im": "i'm", "ive": "i've",
        "hes": "he's", "lets": "let's", "oclock": "o'clock", "thats": "that's",
        "theres": "there's", "theyre": "they're", "theyve": "they've", "whats": "what's",
        "wheres": "where's", "whos": "who's", "whys": "why's", "yall": "y'all",
        "youd": "you'd", "youll": "you'll", "youre": "you're", "youve": "you've",
        "itll": "it'll", "weve": "we've", "howd": "how'd", "hows": "how's",
        "couldve": "could've", "shouldve": "should've", "wouldve": "would've",
        "mightve": "might've", "mustve": "must've", "maam": "ma'am", "somebodys": "somebody's",
        "someones": "someone's", "everyones": "everyone's",
    }
)  # fmt: skip


def vqa_normalised(answer: str) -> str:
    """An answer as the VQA evaluation compares it.

    Lower case in one line; a period goes unless it stands before a digit; other punctuation goes
    where it stands beside a space, and everywhere in an answer with a grouped number ("1,200"), and
    else becomes a space; number words up to ten are digits, articles go, and contractions get their
    apostrophe back.
    """
    text = given = " ".join(answer.lower().split())
    grouped = re.search(r"\d,\d", given) is not None
    for mark in PUNCTUATION:
        drops = grouped or f"{mark} " in given or f" {mark}" in given
        text = text.replace(mark, "" if drops else " ")
    text = re.sub(r"\.(?!\d)", "", text)
    words = (DIGITS.get(word, word) for word in text.split() if word not in ARTICLES)
    return " ".join(_with_apostrophe(word) for word in words)


def _with_apostrophe(word: str) -> str:
    return f"{word[:-1]}'t" if NEGATED.match(word) else OTHERS.get(word, word)

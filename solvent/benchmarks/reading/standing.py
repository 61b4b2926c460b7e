"""What the words around an option's name make of it: stated, denied, supposed, or only named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from solvent.benchmarks.reading import other_languages as others
from solvent.benchmarks.reading import phrases
from solvent.benchmarks.reading.option_marks import Mark
from solvent.benchmarks.reading.phrases import pattern

Role = Literal["denied", "supposed", "stated", "listed", "referred", "closing", "named"]

WINDOW = 120  # characters before an option in which what is said of it begins
LONGEST = 500  # characters of a sentence before an option
SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|[。!?;\n]|,\s+(?:but|however)\b", re.IGNORECASE)
CLAUSE_END = re.compile(
    r"[.!?;:](?=\s|$)|[。,、\n–—]|\s-\s"
    r"|\b(?:but|so|because|since|and\s+then|while|whereas|though|although|thus|therefore|hence"
    r"|sondern|mais|sino|mas|а)\b|بل|而是|なく|아니라",
    re.IGNORECASE,
)
LINE_END = re.compile(r"\s*[\"')\]}]?[^\w\n?([{]*(?:$|\n)")
ENDED = re.compile(
    r"\s*[\"')\]}]?\s*(?:[.,;:!)।。、]|$|\n|[–—-]\s|\s(?:because|since|as|for|due|rather|instead"
    r"|over|and\s+not|not|while|whereas|which|but|I\s+(?:believe|think)|here|है|입니다)\b"
    r"|です|입니다|을|를)",
    re.IGNORECASE,
)
OPENING = re.compile(r"[\W_]*(?:(?:the|an?)\s+)?", re.IGNORECASE)
LED = re.compile(  # behind an option with which the answer begins
    r"\s*[\"')\]]?\s*(?:$|\n|[.):;!](?:\s|$)|,\s|\s[–—-]\s|[–—]|\s(?:because|since|as|over|rather"
    r"|not|while|whereas|instead|for|due)\b|\s\((?:not|as|since|because|the|i\.e)\b|。|、|です"
    r"|입니다|\s*<)",
    re.IGNORECASE,
)
QUESTION = re.compile(r"\s*[\"')\]]*\s*\?")


def _with(english: Sequence[str], table: Mapping[str, Sequence[str]]) -> list[str]:
    return [*english, *(piece for pieces in table.values() for piece in pieces)]


STATED = pattern(_with(phrases.STATING, others.STATING), r"{}\Z")
CONCLUDED = pattern(_with(phrases.CONCLUDING, others.CONCLUDING), r"{}\Z")
CLOSED = pattern(phrases.CLOSING, r"{}\Z")
CONFIRMED = pattern(_with(phrases.CONFIRMING, others.CONFIRMING), r"\s*{}")
DENYING = pattern(_with(phrases.DENYING, others.DENYING))
UNDOUBTED = pattern(phrases.NOT_DENYING)
COMPARED = pattern(
    [
        f"(?:{phrases.COMPARED.replace('{others}', others.COMPARED)}){phrases.COMPARED_TAIL}",
        phrases.PREFERRED_TO,
    ],
    r"{}\Z",
)
DENIED_BEHIND = pattern(
    _with(phrases.DENIED_AFTER, others.DENIED), r"\s*(?:(?:option|choice)\s+)?{}"
)
SUPPOSED = pattern([phrases.SUPPOSING, others.SUPPOSING])
TRULY = pattern(phrases.NOT_SUPPOSING)
CONCEDED = pattern(phrases.CONCEDING, r"{}\Z")
LEFT_OPEN = pattern(phrases.LEAVING_OPEN, r"{}\Z")
CONTRASTED = pattern(phrases.CONTRASTED, r"{}\Z")
REFERRED = pattern(phrases.REFERRING, r"{}\Z")


def role(text: str, group: Sequence[Mark], marks: Sequence[Mark], listed: Sequence[Mark]) -> Role:
    """The first of these that holds of options that are named together.

    Args:
        text: the answer.
        group: marks that a comma or an "or" joins.
        marks: all that a statement must not reach across.
        listed: those of an enumeration.
    """
    start, end = group[0].start, group[-1].end
    if is_denied(text, start, end):
        return "denied"
    if is_supposed(text, start, end):
        return "supposed"
    if _is_confirmed(text, group):
        return "stated"
    if group[0] in listed:
        return "listed"
    if _leads(text, start, end) or _is_stated(text, group, marks):
        return "stated"
    if stands_before(REFERRED, text, start):
        return "referred"
    return "closing" if _is_closing(text, group) else "named"


def is_denied(text: str, start: int, end: int) -> bool:
    """The clause before characters [start, end) says no, or what follows them does."""
    clause = text[_last(CLAUSE_END, text, start) : start]
    return bool(
        DENYING.search(UNDOUBTED.sub(" ", clause))
        or stands_before(COMPARED, text, start)
        or DENIED_BEHIND.match(text, end)
    )


def is_supposed(text: str, start: int, end: int) -> bool:
    """The sentence says "if", or the clause before tells what may be or what others say."""
    return bool(SUPPOSED.search(sentence_at(text, start, end)) or is_conceded(text, start))


def is_conceded(text: str, start: int) -> bool:
    """The clause before tells what may be, what others say, or only concedes."""
    return stands_before(CONCEDED, text, start)


def is_left_open(text: str, mark: Mark) -> bool:
    """It stands in a clause that begins with "if" or "whether", or says what may be."""
    return stands_before(LEFT_OPEN, text, mark.start)


def is_contrasted(text: str, mark: Mark) -> bool:
    """It stands after ", not" or "rather than": what is meant was said before."""
    return stands_before(CONTRASTED, text, mark.start)


def sentence_at(text: str, start: int, end: int) -> str:
    """The sentence around characters [start, end), without an "if" that supposes nothing."""
    after = SENTENCE_END.search(text, end)
    begin = _last(SENTENCE_END, text, start)
    return TRULY.sub(" ", text[begin : after.start() if after else None])


def _is_stated(text: str, group: Sequence[Mark], marks: Sequence[Mark]) -> bool:
    """The words before say that it is the answer.

    A question is no statement, nor is one that would begin before another option's name. A small
    letter has to end there, as small letters are words, too.
    """
    first, last = group[0], group[-1]
    named = max((mark.end for mark in marks if mark.end <= first.start), default=0)
    begin = max(named, first.start - WINDOW)
    ended = bool(ENDED.match(text, last.end))
    if QUESTION.match(text, last.end) or (first.form == "small" and not ended):
        return False
    stated = STATED.search(text, begin, first.start)
    return bool(stated or (ended and CONCLUDED.search(text, begin, first.start)))


def _is_confirmed(text: str, group: Sequence[Mark]) -> bool:
    """The words after a letter say that it is the answer: "B is correct"."""
    named = any(mark.form != "text" for mark in group)
    return named and bool(CONFIRMED.match(text, group[-1].end))


def _is_closing(text: str, group: Sequence[Mark]) -> bool:
    """It ends a line behind a stop, without a word that says what it is."""
    start, end = group[0].start, group[-1].end
    closed = CLOSED.search(text, max(0, start - WINDOW), start)
    if not closed or not LINE_END.match(text, end):
        return False
    return group[0].form in ("capital", "bracketed") or closed[0][:1] in ("", ":", "\n")


def _leads(text: str, start: int, end: int) -> bool:
    """The answer begins with it: "B. The vehicle is blue."."""
    return bool(OPENING.fullmatch(text, 0, start) and LED.match(text, end))


def stands_before(words: re.Pattern[str], text: str, start: int) -> bool:
    """Whether words, a pattern that ends in `\\Z`, end at a place in the text."""
    return bool(words.search(text, max(0, start - WINDOW), start))


def _last(boundary: re.Pattern[str], text: str, start: int) -> int:
    """Where the piece begins that reaches up to a place in the text."""
    begin = max(0, start - LONGEST)
    return max((match.end() for match in boundary.finditer(text, begin, start)), default=begin)

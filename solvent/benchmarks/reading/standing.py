"""What the words around an option's name make of it: stated, denied, supposed, or only named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from solvent.benchmarks.reading.marks import Mark
from solvent.benchmarks.reading.phrases import (
    CLOSING,
    COMPARED,
    CONCEDING,
    CONCLUDING,
    CONFIRMING,
    CONTRASTED,
    DENIED_AFTER,
    DENYING,
    NOT_DENYING,
    NOT_SUPPOSING,
    PREFERRED_TO,
    STATING,
    SUPPOSING,
)

WINDOW = 120  # characters before an option in which a statement begins
SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|[。!?;\n]|,\s+(?:but|however)\b", re.IGNORECASE)
CLAUSE_END = re.compile(
    r"[.!?;:](?=\s|$)|[。,、\n–—]|\s-\s"
    r"|\b(?:but|so|because|since|and\s+then|while|whereas|though|although|thus|therefore|hence"
    r"|sondern|mais|sino|mas|а)\b|بل|而是|なく|아니라",
    re.IGNORECASE,
)
LINE_END = re.compile(r"\s*[\"')\]}]?[^\w\n?([{]*(?:$|\n)")
ENDED = re.compile(
    r"\s*[\"')\]}]?\s*(?:[.,;:!)।。、]|$|\n|[–—-]\s|\s(?:because|since|as|for|due|rather|instead|over|and"
    r"\s+not|not|while|whereas|which|but|I\s+(?:believe|think)|here|है|입니다)\b|です|입니다|을|를)",
    re.IGNORECASE,
)


def _joined(table: Mapping[str, Sequence[str]], form: str) -> re.Pattern[str]:
    pieces = "|".join(f"(?:{piece})" for pieces in table.values() for piece in pieces)
    return re.compile(form.format(pieces), re.IGNORECASE)


STATED = _joined(STATING, r"(?:{})\Z")
CONCLUDED = _joined(CONCLUDING, r"(?:{})\Z")
CLOSED = re.compile(rf"(?:{CLOSING})\Z", re.IGNORECASE)
CONFIRMED = _joined(CONFIRMING, r"\s*(?:{})")
DENIED = re.compile(DENYING, re.IGNORECASE)
UNDOUBTED = re.compile(NOT_DENYING, re.IGNORECASE)
COMPARED_WITH = re.compile(rf"(?:{COMPARED}|{PREFERRED_TO})\Z", re.IGNORECASE)
DENIED_BEHIND = re.compile(rf"\s*{DENIED_AFTER}", re.IGNORECASE)
SUPPOSED = re.compile(SUPPOSING, re.IGNORECASE)
CONDITION = re.compile(r"\b(?:if|unless|whether)\b[^,.;:\n]*\Z", re.IGNORECASE)
CONCEDED = re.compile(rf"(?:{CONCEDING})\Z", re.IGNORECASE)
CONTRAST = re.compile(rf"(?:{CONTRASTED})\Z", re.IGNORECASE)
MAYBE = re.compile(r"\b(?:might|may|could)\s+(?:also\s+)?be\b[^,.;:\n]*\Z", re.IGNORECASE)
TRULY = re.compile(NOT_SUPPOSING, re.IGNORECASE)


def is_denied(text: str, group: Sequence[Mark]) -> bool:
    """The clause before the group says no, or what follows it does."""
    before = text[: group[0].start]
    clause = before[_last(CLAUSE_END, before) :]
    return bool(
        DENIED.search(UNDOUBTED.sub(" ", clause))
        or COMPARED_WITH.search(text, max(0, len(before) - WINDOW), len(before))
        or DENIED_BEHIND.match(text, group[-1].end)
    )


def is_supposed(text: str, group: Sequence[Mark]) -> bool:
    """Its sentence says "if", or tells what others might say, or its clause only concedes it."""
    start = group[0].start
    return bool(
        SUPPOSED.search(sentence_at(text, start, group[-1].end)) or CONCEDED.search(text, 0, start)
    )


def is_contrasted(text: str, mark: Mark) -> bool:
    """It stands after ", not" or "rather than": what is meant was said before."""
    return bool(CONTRAST.search(text, 0, mark.start))


def in_condition(text: str, mark: Mark) -> bool:
    """It stands in a clause that begins with "if" or "whether", or says what may be."""
    return bool(CONDITION.search(text, 0, mark.start) or MAYBE.search(text, 0, mark.start))


def sentence_at(text: str, begin: int, finish: int) -> str:
    """The sentence around characters [begin, finish), without an "if" that supposes nothing."""
    start = _last(SENTENCE_END, text[:begin])
    end = SENTENCE_END.search(text, finish)
    return TRULY.sub(" ", text[start : end.start() if end else None])


def is_stated(text: str, group: Sequence[Mark], marks: Sequence[Mark]) -> bool:
    """The words before or after the group say that it is the answer.

    A question is no statement, nor is one that would begin before another option's name.
    """
    first, last = group[0], group[-1]
    if re.match(r"\s*[\"')\]]*\s*\?", text[last.end :]):
        return False
    named = max((mark.end for mark in marks if mark.end <= first.start), default=0)
    begin = max(named, first.start - WINDOW)
    ended = bool(ENDED.match(text, last.end))
    if first.form == "small" and not (ended or CONFIRMED.match(text, last.end)):
        return False
    if STATED.search(text, begin, first.start):
        return True
    if ended and CONCLUDED.search(text, begin, first.start):
        return True
    return False


def is_closing(text: str, group: Sequence[Mark]) -> bool:
    """It ends a line behind a stop, without a word that says what it is."""
    closed = CLOSED.search(text, max(0, group[0].start - WINDOW), group[0].start)
    if not closed or not LINE_END.match(text, group[-1].end):
        return False
    return group[0].form in ("capital", "bracketed") or closed[0][:1] in ("", ":", "\n")


def is_confirmed(text: str, group: Sequence[Mark]) -> bool:
    """The words after a letter say that it is the answer: "B is correct"."""
    named = any(mark.form != "text" for mark in group)
    return named and bool(CONFIRMED.match(text, group[-1].end))


def _last(boundary: re.Pattern[str], text: str) -> int:
    """Where the last piece of the text begins."""
    return max((match.end() for match in boundary.finditer(text)), default=0)

"""Which of the numbers in an answer it gives as its result, by rules that never guess."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from solvent.benchmarks.free.mentions import Mention, counted, mentions, names_counted
from solvent.benchmarks.free.numerals import plain_text
from solvent.benchmarks.free.phrases import (
    ASSIGNED,
    BRACKETS,
    CHANGES,
    COMES_TO,
    CORRECTED,
    DEPENDS,
    FILLED,
    FINAL,
    HOWEVER,
    LABEL,
    NEAR,
    NO_SUCH,
    REASON,
    REFUSED,
    REPEATED_NAME,
    RESULT,
    SAME,
    SENTENCE_END,
    STATEMENT,
    THEREFORE,
    THING,
    UNIT,
)
from solvent.benchmarks.free.spelling import stem
from solvent.benchmarks.parsers import AMBIGUOUS, NOTHING, Reading

Claim = Decimal | None  # None: several numbers, or one that is not sure


def number_read(raw: str, question: str) -> Reading:
    """The number that an answer states; `solvent.benchmarks.freeform.Number` has the rules."""
    text = plain_text(raw)
    answer = _Answer(text, question, mentions(text, question))
    said = {each.value for each in answer.found if each.role == "said"}
    if len(said) > 1 and DEPENDS.search(text):
        return AMBIGUOUS
    stated = answer.stated()
    if stated:
        return _reading(stated[0])
    if refusal := REFUSED.search(text):
        turn = HOWEVER.search(text, refusal.end())
        rest = answer.found_in(turn.end(), len(text)) if turn else []
        if not any(each.role == "said" for each in rest):
            return NOTHING
        return _reading(answer.settled(turn.end(), len(text)))
    none = _says_none(text, question)
    if not answer.found:
        return Reading("0", "ok") if none else NOTHING
    return AMBIGUOUS if none else _reading(answer.settled(0, len(text)))


def written(number: Decimal) -> str:
    """A number in digits, without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class _Answer:
    text: str
    question: str
    found: Sequence[Mention]

    def found_in(self, start: int, end: int) -> list[Mention]:
        return [each for each in self.found if start <= each.start and each.end <= end]

    def stated(self) -> list[Claim]:
        """The last explicit statement, where there is one.

        Where it differs from one before it, it must say that it is the last; and nothing that
        follows may take it back.
        """
        places = list(self._statements())
        claims = [self.settled(start, end, stated=True) for start, end in places]
        if not claims:
            return []
        start, end = places[-1]
        if set(claims[:-1]) - {claims[-1]} and not FINAL.search(self.text[places[-2][1] : start]):
            return [None]
        rest = self.found_in(end, len(self.text))
        others = {each.value for each in rest if each.role in ("said", "repeated")} - {claims[-1]}
        return [None] if others and CORRECTED.search(self.text[end:]) else claims[-1:]

    def _statements(self) -> Iterator[tuple[int, int]]:
        """Where explicit statements that name a number begin and end."""
        for match in STATEMENT.finditer(self.text):
            start = match.end()
            end = _closing(self.text, start) if match["box"] else _sentence_end(self.text, start)
            inside = [
                each for each in self.found_in(start, end) if each.role not in ("denied", "aside")
            ]
            if inside and (match["box"] or FILLED.fullmatch(self.text[start : inside[0].start])):
                yield start, end

    def settled(self, start: int, end: int, stated: bool = False) -> Claim:
        """The one number that a part of the answer comes to, else None."""
        found, part = self.found_in(start, end), self.text[start:end]
        direct = stated or len(part.split()) <= 4
        claims = [
            self._concluded(start, end),
            None if self._are_parts(found) and not stated else only(found, direct),
            self._before_the_reason(start, end, direct),
            self._beside_brackets(start, end, stated),
            self._on_its_own_line(start, end),
        ]
        return next((claim for claim in claims if claim is not None), None)

    def _concluded(self, start: int, end: int) -> Claim:
        """What the last sentence that has a number concludes, if none before it comes to another
        result.
        """
        sentences = [place for place in _sentences(self.text, start, end) if self.found_in(*place)]
        if not sentences:
            return None
        claim = self._conclusion(*sentences[-1])
        results = {self._conclusion(*p) for p in sentences[:-1] if RESULT.search(self.text, *p)}
        return (
            None
            if results - {None, claim} and not RESULT.search(self.text, *sentences[-1])
            else claim
        )

    def _conclusion(self, start: int, end: int) -> Claim:
        """What follows the last "=", "so" and the like of a sentence."""
        for place, far in sorted(_conclusions(self.text, start, end), reverse=True):
            rest = self.found_in(place, end)
            near = rest and NEAR.fullmatch(self.text[place : rest[0].start])
            if not rest or not (far or near):
                continue
            equated = self.text[place - 1] in "=≈"
            claim = only(rest, direct=equated)
            other = equated and self._assigns_others(place)
            other = other or (not far and self._converts(start, place, claim))
            return None if other or self._counts_another(claim) else claim
        return None

    def _converts(self, start: int, place: int, claim: Claim) -> bool:
        """Whether "=" stands between two numbers, in different units: "2500 g = 2.5 kg"."""
        marks = [end for end, _ in _conclusions(self.text, start, place) if end < place]
        head = self.found_in(max([start, *marks]), place)
        if claim is None or [each.role for each in head] != ["said"]:
            return False
        return abs(head[0].value - claim) > abs(claim) / 100

    def _counts_another(self, claim: Claim) -> bool:
        """Whether another number than this stands before what is to be counted.

        Where some come or go, several numbers may.
        """
        if CHANGES.search(self.question):
            return False
        values = {
            each.value
            for each in self.found
            if each.role == "said" and names_counted(self.text, each, self.question)
        }
        return bool(values) and claim not in values

    def _assigns_others(self, place: int) -> bool:
        """Whether several names get their values, and this one is not the one asked for."""
        names = {match[1] for match in ASSIGNED.finditer(self.text)}
        if len(names) < 2:
            return REPEATED_NAME.search(self.text) is not None
        name = re.search(r"([^\W\d_]+)\s*[=≈]\Z", self.text[:place])
        asked = {each for each in names if re.search(rf"\b{each}\b", self.question)}
        return name is None or asked != {name[1]}

    def _are_parts(self, found: Sequence[Mention]) -> bool:
        """Whether equal numbers are of different things: "2 on the left and 2 on the right"."""
        said = [each for each in found if each.role == "said"]
        for one, other in itertools.pairwise(said):
            between = self.text[one.end : other.start]
            things = [THING.match(self.text[each.end :])[1] for each in (one, other)]
            labels = [LABEL.search(self.text[: each.start][-80:]) for each in (one, other)]
            if all(labels):
                return True
            if not (
                SENTENCE_END.search(between) or SAME.fullmatch(between) or things[0] == things[1]
            ):
                return True
        return False

    def _before_the_reason(self, start: int, end: int, direct: bool) -> Claim:
        """The only number before the reason for it, which ends the part."""
        reason = REASON.search(self.text, start + 1, end)
        if reason is None or self.found_in(_sentence_end(self.text, reason.end()), end):
            return None
        return only(self.found_in(start, reason.start()), direct)

    def _beside_brackets(self, start: int, end: int, stated: bool) -> Claim:
        """The number outside of brackets, if those inside say the same, sum up to it, or explain
        what is stated.
        """
        inside = [
            each
            for match in BRACKETS.finditer(self.text, start, end)
            for each in self.found_in(match.start(), match.end())
        ]
        outside = [each for each in self.found_in(start, end) if each not in inside]
        claim = only(outside, direct=stated)
        values = [each.value for each in inside if each.role != "denied"]
        fits = stated or (None not in values and (set(values) <= {claim} or sum(values) == claim))
        return claim if inside and fits else None

    def _on_its_own_line(self, start: int, end: int) -> Claim:
        """The only number that has a line of its own, the first or the last of several."""
        lines = [p for p in _lines(self.text, start, end) if self.text[p[0] : p[1]].strip()]
        bare = {
            each.value: place
            for place in lines
            for each in self.found_in(*place)
            if UNIT.fullmatch(self.text[each.end : place[1]])
            and not re.search(r"\w", self.text[place[0] : each.start])
        }
        if len(lines) < 2 or len(bare) != 1:
            return None
        value, place = bare.popitem()
        return value if place in (lines[0], lines[-1]) else None


def only(found: Sequence[Mention], direct: bool) -> Claim:
    """The only distinct number that is said, else the only year.

    A number of the question counts where it is given directly, and no other is.
    """
    if any(each.role == "unsure" for each in found):
        return None
    for role in ("said", "year", "repeated"):
        values = {each.value for each in found if each.role == role}
        if values:
            return values.pop() if len(values) == 1 and (direct or role != "repeated") else None
    return None


def _reading(claim: Claim) -> Reading:
    return AMBIGUOUS if claim is None else Reading(written(claim), "ok")


def _says_none(text: str, question: str) -> bool:
    """Whether the answer says that there are none of what is counted: "No red cars are there"."""
    wanted = {stem(word) for word in counted(question)}
    if wanted and re.fullmatch(r"(?i)none(?:\sof\s(?:them|the\s\w+))?\W*", text):
        return True
    denied = NO_SUCH.match(text)
    return bool(denied) and bool(wanted & {stem(word) for word in denied[1].lower().split()})


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    ends = [match.end() for match in SENTENCE_END.finditer(text, start, end)]
    return list(zip([start, *ends], [*ends, end], strict=True))


def _sentence_end(text: str, start: int) -> int:
    match = SENTENCE_END.search(text, start)
    return match.end() if match else len(text)


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    ends = [match.end() for match in re.compile(r"\n").finditer(text, start, end)]
    return list(zip([start, *ends], [*ends, end], strict=True))


def _closing(text: str, start: int) -> int:
    """Where the curly bracket that was opened before `start` is closed."""
    depth = 1
    for place, character in enumerate(text[start:], start=start):
        depth += (character == "{") - (character == "}")
        if not depth:
            return place
    return len(text)


def _conclusions(text: str, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """Where what a conclusion says begins, and whether a number may come much later."""
    yield from ((match.end(), False) for match in COMES_TO.finditer(text, start, end))
    yield from ((match.end(), True) for match in THEREFORE.finditer(text, start, end))

"""Which of the numbers in an answer it gives as its result, by rules that never guess."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from solvent.benchmarks.free.cues import (
    ASSIGNED,
    BRACKETS,
    CHANGES,
    COMES_TO,
    COPULA,
    CORRECTED,
    DEPENDS,
    FILLED,
    FINAL,
    HOWEVER,
    NO_SUCH,
    REASON,
    REFUSED,
    REPEATED_NAME,
    RESULT,
    SOON,
    STATEMENT,
    SUMMED,
    THEREFORE,
    UNIT,
    UNSOLVED,
)
from solvent.benchmarks.free.doubts import are_parts, is_a_step, lacks_computation, speaks_of_it
from solvent.benchmarks.free.mentions import (
    Mention,
    counted,
    mentions,
    names_counted,
    of_another_thing,
    stems,
)
from solvent.benchmarks.free.numerals import NEAR, plain_text
from solvent.benchmarks.free.passages import closing, lines, sentence_end, sentences
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

    @cached_property
    def _starts(self) -> list[int]:
        return [each.start for each in self.found]

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(stems(self.text))

    def found_in(self, start: int, end: int) -> list[Mention]:
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return [each for each in self.found[first:last] if each.end <= end]

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
            end = closing(self.text, start) if match["box"] else sentence_end(self.text, start)
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
            only(found, direct) if stated or not found or self._is_plain(found) else None,
            self._before_the_reason(start, end, direct),
            self._beside_brackets(start, end, stated),
            self._on_its_own_line(start, end),
        ]
        return next((claim for claim in claims if claim is not None), None)

    def _concluded(self, start: int, end: int) -> Claim:
        """What the last sentence that has a number concludes, if none before it comes to another
        result.
        """
        places = [place for place in sentences(self.text, start, end) if self.found_in(*place)]
        if not places:
            return None
        claim = self._conclusion(*places[-1])
        final = RESULT.search(self.text, *places[-1])
        results = {self._conclusion(*p) for p in places[:-1] if RESULT.search(self.text, *p)}
        return claim if final or not results - {None, claim} else None

    def _conclusion(self, start: int, end: int) -> Claim:
        """What follows the last "=", "so" and the like of a sentence."""
        for place, far in sorted(_conclusions(self.text, start, end), reverse=True):
            rest = self.found_in(place, end)
            near = rest and SOON.fullmatch(self.text[place : rest[0].start])
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
        return (bool(values) and claim not in values) or self._sums_up()

    def _sums_up(self) -> bool:
        """Whether what is asked for is only a part of a sum: "3 open + 2 closed = 5"."""
        parts = {match[1].lower() for match in SUMMED.finditer(self.text)}
        return any(re.search(rf"(?i)\b{part}\b", self.question) for part in parts)

    def _assigns_others(self, place: int) -> bool:
        """Whether an equation is not solved, or several names get their values, and this one is
        not the one asked for.
        """
        if UNSOLVED.search(self.text[:place]):
            return True
        names = {match[1] for match in ASSIGNED.finditer(self.text)}
        if len(names) < 2:
            return REPEATED_NAME.search(self.text) is not None
        name = re.search(r"([^\W\d_]+)\s*[=≈]\Z", self.text[:place])
        asked = {each for each in names if re.search(rf"\b{each}\b", self.question)}
        return name is None or asked != {name[1]}

    def _is_plain(self, found: Sequence[Mention]) -> bool:
        """Whether numbers without a statement may be the answer: not those of a step to it, of
        parts, or of other things than what is asked for.
        """
        said = [each for each in found if each.role == "said"]
        afters = (self.text[each.end : each.end + NEAR] for each in said)
        others = any(of_another_thing(after, self._words, self.question) for after in afters)
        doubted = others or is_a_step(self.text, said) or are_parts(self.text, said)
        words = len(self.text.split()) - sum(
            len(self.text[each.start : each.end].split()) for each in self.found
        )
        phrase = words < 5 and not COPULA.search(self.text)
        linked = phrase or speaks_of_it(self.text, self._words, self.question)
        doubted = doubted or lacks_computation(self.text, self.question)
        return linked and not doubted

    def _before_the_reason(self, start: int, end: int, direct: bool) -> Claim:
        """The only number before the reason for it, which ends the part."""
        reason = REASON.search(self.text, start + 1, end)
        if reason is None or self.found_in(sentence_end(self.text, reason.end()), end):
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
        places = [p for p in lines(self.text, start, end) if self.text[p[0] : p[1]].strip()]
        bare = {
            each.value: place
            for place in places
            for each in self.found_in(*place)
            if UNIT.fullmatch(self.text[each.end : place[1]])
            and not re.search(r"\w", self.text[place[0] : each.start])
        }
        if len(places) < 2 or len(bare) != 1:
            return None
        value, place = bare.popitem()
        return value if place in (places[0], places[-1]) else None


def only(found: Sequence[Mention], direct: bool) -> Claim:
    """The only distinct number that is said.

    A number of the question, or a year, counts where it is given directly, and no other is.
    """
    if any(each.role == "unsure" for each in found):
        return None
    for role in ("said", "year", "repeated"):
        values = {each.value for each in found if each.role == role}
        if values:
            return values.pop() if len(values) == 1 and (direct or role == "said") else None
    return None


def _reading(claim: Claim) -> Reading:
    return AMBIGUOUS if claim is None else Reading(written(claim), "ok")


def _says_none(text: str, question: str) -> bool:
    """Whether the answer says that there are none of what is counted: "No red cars are there"."""
    wanted = {stem(word) for word in counted(question)}
    if wanted and re.fullmatch(r"(?i)none(?:\sof\s(?:them|the\s\w+))?\W*", text):
        return True
    denied = NO_SUCH.match(text)
    return bool(denied) and bool(wanted & stems(denied[1]))


def _conclusions(text: str, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """Where what a conclusion says begins, and whether a number may come much later."""
    yield from ((match.end(), False) for match in COMES_TO.finditer(text, start, end))
    yield from ((match.end(), True) for match in THEREFORE.finditer(text, start, end))

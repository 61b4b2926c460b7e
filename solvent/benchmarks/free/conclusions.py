"""Which of the numbers in an answer it gives as its result, by rules that never guess."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from solvent.benchmarks.free.mentions import Mention, counted, mentions, names_counted
from solvent.benchmarks.free.numerals import plain_text
from solvent.benchmarks.free.spelling import stem
from solvent.benchmarks.parsers import AMBIGUOUS, NOTHING, Reading

Claim = Decimal | None  # None: several numbers, or one that is not sure


def number_read(raw: str, question: str) -> Reading:
    """The number that an answer states; `solvent.benchmarks.freeform.Number` has the rules."""
    text = plain_text(raw)
    answer = _Answer(text, question, mentions(text, question))
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
            only(found, direct),
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
            return None if other or self._counts_another(claim) else claim
        return None

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


_MARKERS = (
    r"\b(?:answer|result|solution|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado"
    r"|risposta|risultato|resposta|ответ)\b|答案|答え|정답|الجواب|الإجابة|उत्तर"
)
STATEMENT = re.compile(rf"(?i)(?P<box>\\boxed\s*\{{|(?<![\w\\^_}}√=])\{{)|{_MARKERS}\s*")
FILLED = re.compile(
    r"(?i)(?:[\s:=≈~\-–—>\"'(\[*$,|]|to\b[^.:\n]{0,40}?(?=\bis\b)"
    r"|\b(?:is|are|be|was|would|should|will|must|could|equals?|equal|to|therefore|thus|so|hence|then"
    r"|probably|likely|about|approximately|around|roughly|exactly|just|only|the|number|an?|total"
    r"|of|simply|clearly|ist|est|es|è|é|это)\b|은|는|是|は|为|هو|है)*"
)
FINAL = re.compile(
    r"(?i)\b(?:final|so|therefore|thus|hence|correct|correction|wait|actually|again|sorry"
    r"|conclusion|second thought|no,)"
)
CORRECTED = re.compile(
    r"(?i)\b(?:wait|actually|sorry|correction|corrected|no,|no\.|on second|meant?|let me|re-?check"
    r"|re-?count|mistake|hmm|oops|but it|rather)\b|\bno[,.]"
)
_NO = r"(?:can(?:no|')t|cannot|can not|could not|couldn't|unable|not able|impossible|not possible)"
_NOT = r"(?:does|do|did|is|are|was)(?:n't| not)"
_GIVEN = (
    r"(?:say|state|specif\w+|mention\w*|provide\w*|given?|contain|include|show|indicate|tell"
    r"|clear|known|legible|visible|readable|listed|possible|described|enough)"
)
REFUSED = re.compile(
    rf"(?i)\b{_NO}\b|\b{_NOT}\s(?:\w+\s){{0,2}}{_GIVEN}\b|\bnot\s(?:\w+\s)?{_GIVEN}\b"
    r"|\b(?:do not|don't)\s(?:know|see|have)|\bnot (?:sure|certain)|\b(?:hard|difficult) to\b"
    r"|\b(?:insufficient|unknown|unclear|sorry)\b|\bno (?:information|data|image|picture|way)\b"
    r"|\bno\s(?:\w+\s){1,3}(?:is|are|was|were)\s(?:\w+\s)?(?:listed|given|provided|specified|mentioned)"
    r"|\b(?:we|i|you) (?:would )?need\b(?! to)|\bplease\b|\bwithout (?:the|an?) (?:image|picture|chart)\b"
    r"|无法|不能|不知道|わかりません|알 수 없|\bnicht (?:\w+ )?(?:sagen|bestimmen|erkennen)"
    r"|\bimpossible\b|\bne p(?:eut|uis)\b|\bno (?:se )?pued[eo]\b"
)
HOWEVER = re.compile(r"(?i)\b(?:but|however|though|although|still|maybe|perhaps|probably)\b")
NO_SUCH = re.compile(
    r"(?i)(?:(?:there|i see|i can see)\s(?:(?:is|are|were)\s)?)?\s*no\s((?:\w+\s?){1,3})"
)
SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!i\.e\.)(?<!e\.g\.)\s+|\n+|(?<=[。！？])")
COMES_TO = re.compile(
    r"(?i)[=≈→⇒]|\b(?:which (?:is|gives|makes|leaves|equals)|giving|making|leaving|leaves?|gives?"
    r"|makes?|results? in|resulting in|we (?:get|have|obtain)|that is|that's|i\.e\.|equals)(?=\W)"
)
THEREFORE = re.compile(
    r"(?i)\b(?:so(?!\s(?:many|much|that|far|called))|therefore|thus|hence|consequently"
    r"|in conclusion|(?:which|this|that) means)\b"
)
RESULT = re.compile(r"(?i)\b(?:therefore|thus|hence|in conclusion)\b")
NEAR = re.compile(r"\W*(?:[^\W\d]+\W+){0,3}")
ASSIGNED = re.compile(r"(?<!\w)(?<!\d\s)([^\W\d_]+)\s*=(?=\s*[-−$]?[\d.])")
REPEATED_NAME = re.compile(r"([^\W\d_]+)\s*=[^=]*\b(?:or|and)\b\s*\1\s*=")
REASON = re.compile(
    r"(?i)\W(?:because|since|given that|due to|as (?:there|the|it|they|each|one|all))\b"
)
BRACKETS = re.compile(r"\([^()]*\)")
CHANGES = re.compile(
    r"(?i)\b(?:left|remain\w*|more|fewer|less|difference|total|altogether|in all)\b"
)
UNIT = re.compile(r"\s?[^\W\d]*\W*")

"""The numbers in an answer, and what each is there for."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from solvent.benchmarks.free.number_words import NUMBER_WORD, words_in
from solvent.benchmarks.free.numerals import NEAR, Found, digits_in, text_before
from solvent.benchmarks.free.spelling import stem

Role = Literal["said", "repeated", "year", "aside", "unsure", "denied"]
"""What a number may be: an answer; a number that the question has; a year that says when; a name or
a part of what is spoken of ("figure 2", "the two bars"); something between ("more than 5"); or one
that is denied ("not 5").
"""


@dataclass(frozen=True)
class Mention:
    """A number in an answer."""

    value: Decimal | None  # None: it is not written out, as "2√3"
    role: Role
    start: int
    end: int


def numbers_asked(question: str) -> frozenset[Decimal]:
    """The numbers that a question has, without those of examples and those to choose from."""
    text = EXAMPLES.sub(" ", question)
    text = CHOICES.sub(" ", text)
    found = [*digits_in(text), *words_in(text)]
    return frozenset(each.value for each in found if each.value is not None)


def mentions(text: str, question: str) -> list[Mention]:
    """All numbers of an answer, in their order."""
    asked = numbers_asked(question)
    found = sorted([*digits_in(text, question), *words_in(text, question)], key=lambda f: f.start)
    numbering = _numbering(text)
    known: list[Mention] = []
    for each in found:
        if known and each.start < known[-1].end:
            continue
        role = _role(each, text, question, asked, known)
        if role is None:  # the pronoun "one"
            continue
        if each.start in numbering:
            role = "aside"
        negative = each.value is not None and NEGATIVE.search(text_before(text, each.start))
        known.append(Mention(-each.value if negative else each.value, role, each.start, each.end))
    return known


def _role(
    each: Found, text: str, question: str, asked: frozenset[Decimal], known: Sequence[Mention]
) -> Role | None:
    before, after = text_before(text, each.start), text[each.end : each.end + NEAR]
    if each.word and text[each.start : each.end].lower() == "one":
        one = _one(before, after, text, question)
        if one != "said":
            return one
    if DENIED_BEFORE.search(before) or DENIED_AFTER.match(after):
        return "denied"
    joined = known and LISTED.fullmatch(text[known[-1].end : each.start])
    if (
        joined
        and known[-1].role in ("aside", "year")
        and LABELLED.search(text_before(text, known[-1].start))
    ):
        return "aside"
    if LABELLED.search(before) or (COUNTING.search(question) and NAME.search(before)):
        return "aside"
    if _is_year(each, before, question, known, bool(joined)):
        return "year"
    bound = BOUND_BEFORE.search(before) or BOUND.match(after)
    if each.value in asked:
        return "aside" if bound else "unsure" if ALL.search(before) else "repeated"
    if not each.sure or each.value is None or bound or _is_packed(after, question):
        return "unsure"
    if OPERAND.match(after) or (OPERAND_BEFORE.search(before) and not NEGATIVE.search(before)):
        return "unsure"
    if MONEY.search(text[each.start - 2 : each.end]) and THINGS.match(question):
        return "unsure"
    if question and _is_owned(before, after, question):
        return "unsure"
    if PART_OF.search(before) or (EACH.match(after) and not EACH.search(question)):
        return "unsure"
    if COUNTING.search(question) and MORE.match(after) and not _is_counted(after, question):
        return "unsure"
    if known and SHARE.fullmatch(text[known[-1].end : each.start]):  # "3 of 8"
        return "unsure" if not question or FRACTIONAL.search(question) else "aside"
    definite = REFERRED.search(before) or DEFINITE.search(before)
    if definite and not stems(NEXT.match(after)[0]) & set(map(stem, counted(question))):
        return "aside" if question else "unsure"
    return "said"


def names_counted(text: str, mention: Mention, question: str) -> bool:
    """Whether a number is followed by what the question wants to have counted: "2 red cars"."""
    return _is_counted(text[mention.end :], question)


def _is_counted(after: str, question: str) -> bool:
    wanted = set(map(stem, counted(question)))
    return bool(wanted) and wanted <= stems(NEXT.match(after)[0])


def of_another_thing(after: str, named: Collection[str], question: str) -> bool:
    """Whether a number is of something else than is to be counted.

    Where trains are to be counted, "The train has 5 cars" names them, and counts others; where rows
    of seats are, "The hall has 240 seats" counts what else the question names.

    Args:
        after: what follows the number.
        named: `stems` of the answer.
        question: that is answered.
    """
    thing = re.match(r"\s([^\W\d_]+)", after)
    wanted = counted(question)[-1:]
    if not wanted or thing is None or FUNCTION.fullmatch(thing[1]) or _is_counted(after, question):
        return False
    asked = stem(thing[1].lower()) in stems(question)
    if stem(wanted[0]) not in named:
        return asked and thing[1].endswith("s")
    return not asked


def stems(text: str) -> set[str]:
    """What the words of a text share with their plurals."""
    return {stem(word) for word in re.findall(r"\w+", text.lower())}


def counted(question: str) -> list[str]:
    """What a question wants to have counted, "red" and "cars", up to its last plural."""
    found = COUNTED_THINGS.search(question.lower())
    words = found[1].split() if found else []
    plurals = [place for place, word in enumerate(words, start=1) if stem(word) != word]
    return words[: plurals[-1]] if plurals else words


def _one(before: str, after: str, text: str, question: str) -> Role | None:
    """What the word "one" is: said, unsure, or None where it is a pronoun."""
    if not re.sub(r"[\W_]", "", before + after):
        return "said"
    if COUNTED.search(before) and not OF.match(after):
        return "said"
    if PRONOUN_BEFORE.search(before) or PRONOUN_AFTER.match(after):
        return None
    short = not before.strip() and len(text.split()) <= 5 and re.match(r"\s\w", after)
    counting = COUNTING.search(question) is not None
    return "said" if short and counting and not OF.match(after) and "," not in text else "unsure"


def _is_owned(before: str, after: str, question: str) -> bool:
    """Whether a number is of what something has that is not asked for: "It has 20 floors"."""
    if COUNTING.search(question) and not counted(question):
        return False
    owned = OWNED.match(after) if HAS.search(before) else None
    return (
        owned is not None
        and not _is_counted(after, question)
        and stems(owned[1]).isdisjoint(stems(question))
    )


def _is_packed(after: str, question: str) -> bool:
    """Whether a number is of what holds the things that are counted: "3 rows"."""
    packed = PACKED.match(after)
    return packed is not None and stem(packed[1].lower()) not in map(stem, counted(question))


def _is_year(
    each: Found, before: str, question: str, known: Sequence[Mention], joined: bool
) -> bool:
    """Whether a number says when: a year that is not asked for."""
    if each.value is None or not 1500 <= each.value <= 2100 or each.end - each.start != 4:
        return False
    if not question or ASKS_WHEN.search(question):
        return False
    return bool(WHEN.search(before)) or (joined and known[-1].role == "year")


def _numbering(text: str) -> set[int]:
    """Where lines start with their number in a list."""
    lines = list(NUMBERED.finditer(text))
    expected = list(range(1, len(lines) + 1))
    return {m.start(1) for m in lines} if [int(m[1]) for m in lines] == expected else set()


EXAMPLES = re.compile(r"(?is)\b(?:e\.?g\.?|for example|for instance|such as)[^.?!)]*")
CHOICES = re.compile(r"(?i)[\w.,]+(?:,\s[\w.,]+)*\s+or\s+\S+")
NUMBERED = re.compile(r"(?m)^[ \t]*\(?(\d{1,2})[.)]\s+(?=\S*[^\W\d])")
_HEDGE = r"(?:(?:about|around|approximately|roughly|exactly|just|only|an?|the)\s+)?"
_MONEY = r"(?:US)?[$€£¥₹]?\s?"
DENIED_BEFORE = re.compile(
    rf"(?i)(?:(?:\b(?:not|never|nor|neither)|n't)(?!\s+(?:only|just|all))\s+(?:[\w']+\s+)?"
    rf"|\b(?:rather than|instead of)\s+){_HEDGE}{_MONEY}$"
)
DENIED_AFTER = re.compile(
    r"(?i)\s*(?:\w+\s+)?(?:is|are|was|would be)(?:n't|\s+(?:not|wrong|incorrect|false|too))\b"
)
BOUND_BEFORE = re.compile(
    rf"(?i)(?:\b(?:more|less|fewer|other|rather|\w{{2,}}er) than|\bat (?:least|most)|\bover|\babove"
    rf"|\b(?:all|every\w*|any\w*|each|no\w*) (?:but|except(?: for)?)|\bas \w+(?: \w+)? as"
    rf"|\bbelow|\bunder|\bup to|\bexceed\w*|\bbeyond|\bmaximum of|\bminimum of|[<>≥≤±])"
    rf"\s*{_HEDGE}{_MONEY}$"
)
BOUND = re.compile(r"(?i)\s*(?:or (?:more|less|fewer|so)|±)")
LISTED = re.compile(r"(?i)\s*(?:,|and|or|&|to|,\s*and|[-–])\s*")
LABELLED = re.compile(
    r"(?i)\b(?:fig(?:ure)?|steps?|questions?|tables?|options?|images?|pictures?|equations?|pages?"
    r"|sections?|chapters?|examples?|notes?|exercises?|problems?|houses?|rooms?|rows?|columns?"
    r"|lines?|groups?|grades?|players?|teams?|days?|weeks?|parts?|cases?|items?|numbered)"
    r"(?:\.|s)?\s*(?:no\.?|number|#)?\s*\(?$|(?<![:=])(?<!\bis)(?<!\bwas)\s#$"
)
NAME = re.compile(r"[a-z]\s+[A-Z]\w+\s$|\bnumber\s$")  # "the Boeing 747", "the number 5"
WHEN = re.compile(r"(?i)(?:\b(?:in|since|until|till|during|from|year|by|between|of|for)|\()\s*$")
ASKS_WHEN = re.compile(r"(?i)\b(?:wh(?:ich|at) (?:\w+ )?(?:years?|dates?)|when|what time)\b")
SHARE = re.compile(r"(?i)\s*(?:out\s+)?of\s+(?:the\s+|these\s+|those\s+|all\s+|a total of\s+)*")
COUNTED_THINGS = re.compile(
    r"\b(?:how many|number of)\s+((?:(?!(?:of|the|is|are|was|were|do|does|did|has|have|had|can|will"
    r"|would|in|on|at|there)\b)\w+\s?){1,3})"
)
_BY = r"(?:[×x*÷+·]|\b(?:plus|minus|times|multiplied by|divided by)\b)"
OPERAND = re.compile(rf"(?i)(?:\s\w+)?\s*{_BY}\s*(?:[$€£¥]?[\d(]|{NUMBER_WORD})|\s*below zero")
OPERAND_BEFORE = re.compile(rf"(?i)(?:[\w)]\s*{_BY}|\b(?:twice|double|triple|half))\s*[$€£¥]?$")
MONEY = re.compile(r"[$€£¥₹]")
THINGS = re.compile(r"(?i)\W*how many\s(?!(?:\w+\s)?(?:dollars|euros|pounds|cents|yen|rupees))")
HAS = re.compile(r"(?i)\b(?:has|have|had)\s+$")
OWNED = re.compile(r"\s((?!years\b)[a-z]+s)\b")
PART_OF = re.compile(
    r"(?i)\b(?:half|halves|thirds?|quarters?|fifths?|tenths?|most|some|many|few|all|each|part|rest|none"
    r"|neither)"
    r"\s+(?:out\s+)?of\s+(?:the\s+)?$"
)
EACH = re.compile(r"(?i)\s(?:\w+\s)?(?:each|apiece)\b")
NEGATIVE = re.compile(
    r"(?i)(?:(?:\A|[=:]|\b(?:is|reads?|of|at|to|was|shows?|about|equals|answer))\s*minus|\bnegative)\s+$"
)
MORE = re.compile(  # "two girls and a boy"
    r"(?i)\s(?:\w+\s){1,2}(?:and|plus)\s(?:an?|another|some|several|many|a few|the)\b"
)
FUNCTION = re.compile(
    r"(?i)(?:on|in|at|of|to|for|by|as|from|than|with|and|or|but|are|is|was|were|out|that|which|who"
    r"|total|left|more|different)"
)
NEXT = re.compile(r"(?:\s\w+){0,3}")
ALL = re.compile(r"(?i)\ball(?:\s+(?:the|of the))?\s+$")
PACKED = re.compile(  # what holds or groups the things that are counted
    r"(?i)\s(rows?|columns?|groups?|layers?|stacks?|piles?|pairs?|sets?|kinds?|types?|times?|steps?)\b"
)
FRACTIONAL = re.compile(
    r"(?i)\b(?:fraction|ratio|share|proportion|probability|percent\w*|part|chance|likelihood)\b|%"
)
REFERRED = re.compile(r"(?i)\b(?:these|those|both|other|first|last|next|previous)\s+$")
DEFINITE = re.compile(r"(?i)\b(?:the|its|their)\s+$")
_NAMED = r"(?:the|this|that|each|every|any|some|which|another|other|no)"
PRONOUN_BEFORE = re.compile(rf"(?i)\b{_NAMED}\s+(?:(?!is|are|was|has|have)[\w-]+\s+){{0,2}}$")
PRONOUN_AFTER = re.compile(
    r"(?i)\s+(?:can|could|may|might|must|should|would|another|by one|has to|needs?)\b"
)
COUNTED = re.compile(
    r"(?i)(?:\b(?:is|are|was|were|only|just|exactly|see|sees|count|has|have|had|contains?|shows?"
    r"|total of|about|answer|be)|[=:])\s+$"
)
OF = re.compile(r"(?i)\s+(?:of|that|who|which|on|in|at|with|by)\b")
COUNTING = re.compile(r"(?i)\b(?:how many|how much|number of|count)\b")

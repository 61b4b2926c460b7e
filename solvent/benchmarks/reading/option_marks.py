"""Every place where an answer names an option: by its letter or by its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from solvent.benchmarks.numbers import WORDS
from solvent.benchmarks.prompts import letters
from solvent.benchmarks.reading import other_languages, phrases
from solvent.benchmarks.reading.cleaning import normalised
from solvent.benchmarks.reading.phrases import ARTICLE_FOLLOWERS, pattern

Form = Literal["bracketed", "capital", "small", "text"]


@dataclass(frozen=True)
class Mark:
    """One place where an option is named: characters [start, end) of the answer."""

    start: int
    end: int
    option: int
    form: Form


# A letter beside these belongs to a word, a number, an abbreviation or a unit. Letters of scripts
# without spaces may stand beside a label ("答案是B"), those of alphabets not.
_LATIN = r"A-Za-z0-9_\u00aa-\u024f\u0370-\u052f"
_BEFORE = rf"(?<![{_LATIN}])(?<![{_LATIN}][.'\-/&+])(?<![°#\\])"
_AFTER = rf"(?![{_LATIN}+#°]|['\-/&.][{_LATIN}])"
_QUOTES = "\"'\u201c\u201d\u300c\u300d\u3010\u3011"
BRACKETED = re.compile(
    r"(?<![A-Za-z0-9_])[(\[{<]\s*(?:(?:option|choice|answer)\s+)?([A-Za-z])\s*[)\]}>]", re.I
)
CAPITAL = re.compile(rf"{_BEFORE}[{_QUOTES}]?([A-Z])[{_QUOTES}]?{_AFTER}")
SMALL = re.compile(rf"{_BEFORE}[{_QUOTES}]?([a-z])[{_QUOTES}]?{_AFTER}")
OTHER_SENSE = pattern(phrases.OTHER_SENSE)
JOINING = pattern(phrases.JOINING.replace("{and}", f"{phrases.AND}|{other_languages.AND}"))
CLOSED = re.compile(r"\s*[)\]\"']?\s*[.!]?\s*(?:\n|\Z)")
ITEM = re.compile(r"\s*([.:)\-–—]?)\s*(?=\w)")  # behind a letter in an enumeration
LINE_START = re.compile(r"(?:^|\n)[\s\-•*]*\Z")
BREAK = re.compile(r"(?:^|[,;.:])\s*\Z")
NEW_CLAUSE = re.compile(r"\s+(?:is|are|was|were|seems|looks|appears|fits|has|shows|does)\b")
NO_LABELS = (
    re.compile(
        rf"(?i:(?<!option )(?<!choice )(?<!letter ))\bA\s+(?!(?:{ARTICLE_FOLLOWERS})\b)(?=[a-zß-ÿ])"
    ),  # the article
    re.compile(r"\b[Aa]n\s+[A-Z]\b(?![.)]\s*\w)"),  # a grade, a letter on a shirt
    re.compile(r"\bI(?=\s+[a-z]|\s*,|')"),  # the pronoun
    re.compile(r"\b(?:[A-Z]\.\s?){2,}"),  # initials: "J. B. Bach"
    re.compile(r"(?i)\(c\)\s*(?=\d{4}|copyright)"),
)


UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]{2,}")  # scripts without word ends


def label_marks(text: str, count: int) -> list[Mark]:
    """Places of the letters of `count` options, in their order; capitals that are words left out.

    A small letter without brackets is a mark too, of the form "small": whoever uses it asks for
    more.
    """
    valid = "".join(letters(count))
    words = [match.span() for word in NO_LABELS for match in word.finditer(text)]
    found: list[Mark] = []
    forms: tuple[tuple[re.Pattern[str], Form], ...] = (
        (BRACKETED, "bracketed"),
        (CAPITAL, "capital"),
        (SMALL, "small"),
    )
    for shape, form in forms:
        for match in shape.finditer(text):
            name = match[1].upper()
            inside = [*words, *((mark.start, mark.end) for mark in found)]
            if name in valid and not any(s < match.end() and match.start() < e for s, e in inside):
                found.append(Mark(match.start(), match.end(), valid.index(name), form))
    return sorted(found, key=lambda mark: mark.start)


def text_marks(text: str, options: Sequence[str]) -> list[Mark]:
    """Places of the options' texts as whole words; one inside a longer one there is no mention."""
    folded = _folded(text)
    others = [match.span() for match in OTHER_SENSE.finditer(folded)]
    spans = [
        (match.start(), match.end(), index)
        for index, option in enumerate(options)
        for phrase in {bare(option), *({number_word(option)} - {"one"})}
        for match in whole_words(phrase).finditer(folded)
    ]
    return [
        Mark(start, end, index, "text")
        for start, end, index in sorted(spans)
        if not any(s <= start and end <= e and e - s > end - start for s, e, _ in spans)
        and not any(s <= start and end <= e and e - s > end - start for s, e in others)
    ]


def option_marks(text: str, options: Sequence[str]) -> list[Mark]:
    """Both kinds; a letter inside an option's text is no label ("Point B" of "Point B")."""
    words = [
        mark
        for mark in text_marks(text, options)
        if not re.fullmatch("[A-Za-z]", text[mark.start : mark.end])
    ]
    labels = [
        label
        for label in label_marks(text, len(options))
        if not any(word.start <= label.start and label.end <= word.end for word in words)
    ]
    return sorted([*labels, *words], key=lambda mark: (mark.start, -mark.end))


def groups(text: str, marks: Sequence[Mark]) -> list[list[Mark]]:
    """Runs of marks that a comma, a slash or an "or" joins: they are stated or denied together.

    So are a letter and the text of the same option ("B. a blue car"), and of another one where
    nothing follows ("B. two dogs").
    """
    runs: list[list[Mark]] = []
    for mark in marks:
        last = runs[-1][-1] if runs else mark
        between = text[last.end : mark.start]
        same = (
            (last.form == "text") != (mark.form == "text")
            and (
                mark.option == last.option or (mark.form == "text" and CLOSED.match(text, mark.end))
            )
            and re.fullmatch(r"\W{0,4}(?:an?\s|the\s)?", between)
        )
        joined = JOINING.fullmatch(between) and not (
            between.strip() == "," and NEW_CLAUSE.match(text, mark.end)
        )
        if runs and (same or joined):
            runs[-1].append(mark)
        else:
            runs.append([mark])
    return runs


def enumerated(text: str, marks: Sequence[Mark]) -> list[Mark]:
    """The letters of an enumeration of the options, which chooses none: "A. cat", "B. green", ...

    They are the first letters in their order, each followed by its own option's text, or at the
    start of a line, or between a stop and the same sign as the first ("A: ..., B: ...").
    """
    found: list[Mark] = []
    first_sign = ""
    for place, label in enumerate(marks):
        if label.form == "text" or label.option != len(found):
            continue
        following = marks[place + 1] if place + 1 < len(marks) else label
        item = ITEM.match(text, label.end)
        sign = item[1] if item else ""
        own = following.form == "text" and following.option == label.option
        if (
            (own and following.start - label.end < 5)
            or (
                item
                and (sign or label.form == "bracketed")
                and LINE_START.search(text, max(0, label.start - 9), label.start)
            )
            or (
                sign
                and (sign == first_sign or not found)
                and BREAK.search(text, max(0, label.start - 9), label.start)
            )
        ):
            found.append(label)
            first_sign = sign
    return found if len(found) > 1 else []


def equal_options(text: str, options: Sequence[str]) -> list[int]:
    """Indices of the options that the whole answer equals."""
    exact = text.strip().casefold()
    same = [index for index, option in enumerate(options) if option.strip().casefold() == exact]
    if same or not normalised(text):
        return same if exact else []
    for form in (normalised, bare):
        known = [index for index, option in enumerate(options) if form(option) == form(text)]
        if known:
            return known
    said = normalised(text)
    return [i for i, option in enumerate(options) if number_word(option) == said]


def bare(option: str) -> str:
    """As it is compared, without an article at its head."""
    name = normalised(option)
    return re.sub(rf"^(?:the|an|a(?!\s+(?:{ARTICLE_FOLLOWERS})\b))\s+(?=\S\S)", "", name)


def number_word(option: str) -> str:
    """The word of a number in digits ("three" of "3"), or the digits of one in words; else ""."""
    name = normalised(option)
    if name in WORDS:
        return str(WORDS.index(name))
    return WORDS[int(name)] if re.fullmatch(r"1?[0-9]|20", name) else ""


@lru_cache(maxsize=4096)
def whole_words(phrase: str) -> re.Pattern[str]:
    """`phrase` between word ends; not inside a number ("1" in "1.5") or a hyphenated word."""
    if not phrase:
        return re.compile(r"(?!)")
    if UNSPACED.fullmatch(phrase):
        return re.compile(re.escape(phrase))
    before = r"(?<!\d,)" if re.match(r"\d{3}(?!\d)", phrase) else ""  # "200" in "1,200"
    if phrase[0].isdigit() or phrase in WORDS:
        before += r"(?<!\bminus\s)(?<!\bnegative\s)"
    after = r"(?:(?=입니다|이에요|예요|です)|(?![\w\-]|'(?!s\b)\w|[.:]\d|,\d{3}(?!\d)))"
    spaced = r"\s+".join(map(re.escape, phrase.split(" ")))
    return re.compile(rf"(?<![\w\-])(?<!\d[.:]){before}{spaced}{after}")


def _folded(text: str) -> str:
    """Case folded, every character in its place."""
    return "".join(c if len(c.casefold()) != 1 else c.casefold() for c in text)

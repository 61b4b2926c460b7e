"""From a model's free text to one of the options, or to an honest "cannot tell".

No parser guesses: nothing is random, nothing is matched by similarity, an empty answer is `none`,
and an answer that names two options is `ambiguous`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from solvent.benchmarks.prompts import letters
from solvent.core.types import Status


@dataclass(frozen=True)
class Reading:
    """What was read: an option's index or a free answer with status "ok", else None."""

    value: int | str | None
    status: Status
    guessed: bool = False  # picked where none could be read, as only the rules of others do


NOTHING = Reading(None, "none")
AMBIGUOUS = Reading(None, "ambiguous")


class Parser(Protocol):
    """Reads a generated answer."""

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The answer equals one option, or contains exactly one option as whole words.

    Letter case, markdown and outer punctuation do not count. An option inside a longer option that
    matches at the same place is not a mention ("red" in "dark red"). A denied option ("not true")
    is no answer: `ambiguous`, as what it leaves open is not for the parser to decide.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        text = without_reasoning(raw)
        equal = equal_options(text, options)
        return one_of(equal) if equal else mentioned_option(text, options)


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Yes or no, for questions whose options are "yes" and "no" in any case and order.

    As `Words`, so that "There is no dog" means no and "Yes ... no" is `ambiguous`; a lone "y" or
    "n" counts, too. A denial without either word ("There isn't a dog") is not read: `none`.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names. Raises `ValueError` where the options are others."""
        names = [option.casefold() for option in options]
        if sorted(names) != ["no", "yes"]:
            raise ValueError(
                f"YesNo reads the options yes and no, not {list(options)}; for others use Words"
            )
        whole = normalised(without_reasoning(raw))
        if whole in ("y", "n"):
            return Reading(names.index("yes" if whole == "y" else "no"), "ok")
        return Words()(raw, options)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """The letter of an option, by the first of these rules that yields something.

    1. The whole answer is one valid letter, in any case, with or without brackets and punctuation.
    2. The last explicit statement: "answer", "option" or "choice", then perhaps "is" or ":", then a
       valid capital letter (in brackets: in any case).
    3. Exactly one distinct letter in brackets; else exactly one distinct letter at the start of a
       line before ". ) :".
    4. The whole answer equals the text of one option.
    5. The answer contains exactly one option's text as whole words.
    6. Exactly one distinct valid capital letter that stands alone.

    Before that, reasoning blocks and markdown are dropped, and so are letters that are not labels:
    the article "A" before a lower-case noun, the pronoun "I", and a letter that the answer denies
    ("not B", "B is wrong"). Two letters inside one rule are `ambiguous`.
    """

    def __call__(self, raw: str, options: Sequence[str]) -> Reading:
        """The option that `raw` names."""
        text = without_reasoning(raw)
        valid = letters(len(options))
        whole = re.fullmatch(r"[\W_]*([A-Za-z])[\W_]*", text)
        if whole and whole[1].upper() in valid:
            return Reading(valid.index(whole[1].upper()), "ok")
        labels = _only_labels(text)
        for found in (
            _valid(STATEMENT.findall(labels), valid)[-1:],
            _valid(BRACKETED.findall(labels), valid),
            _valid(LINE_START.findall(labels), valid),
        ):
            if found:
                return one_of(found)
        equal = equal_options(text, options)
        if equal:
            return one_of(equal)
        mention = mentioned_option(text, options)
        if mention.status != "none":
            return mention
        return one_of(_valid(STANDALONE.findall(labels), valid))


def one_of(indices: Iterable[int]) -> Reading:
    """The only distinct index; none without any, ambiguous with several."""
    distinct = set(indices)
    if not distinct:
        return NOTHING
    return Reading(distinct.pop(), "ok") if len(distinct) == 1 else AMBIGUOUS


def without_reasoning(raw: str) -> str:
    """The answer without thinking blocks and without markdown's marks."""
    text = unicodedata.normalize("NFKC", raw)
    text = re.sub(r"(?s)<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", " ", text)
    text = re.split(r"</think(?:ing)?>", text)[-1]  # some templates open the block in the prompt
    text = re.sub(r"(?<!\w)\*+|\*+(?!\w)|`+|~~|__+|^[#>]+\s", "", text, flags=re.MULTILINE)
    return text.replace("\u2019", "'").strip()


def normalised(text: str) -> str:
    """For comparing whole answers: case folded, single spaces, no outer punctuation."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(r"^[^\w+\-]+|[^\w+\-%]+$", "", folded)


def equal_options(text: str, options: Sequence[str]) -> list[int]:
    """Indices of the options that the whole answer equals."""
    exact = text.strip().casefold()
    same = [index for index, option in enumerate(options) if option.strip().casefold() == exact]
    if same or not normalised(text):
        return same if exact else []
    return [index for index, option in enumerate(options) if normalised(option) == normalised(text)]


def mentioned_option(text: str, options: Sequence[str]) -> Reading:
    """The one option that occurs in the answer as whole words."""
    folded = " ".join(text.casefold().split())
    spans = [
        (match.start(), match.end(), index)
        for index, option in enumerate(options)
        for match in _whole_words(normalised(option)).finditer(folded)
    ]
    mentions = [
        (start, index)
        for start, end, index in spans
        if not any(s <= start and end <= e and e - s > end - start for s, e, _ in spans)
    ]
    if any(DENIAL.search(folded[:start]) for start, _ in mentions):
        return AMBIGUOUS
    return one_of(index for _, index in mentions)


def _whole_words(phrase: str) -> re.Pattern[str]:
    """`phrase` between word ends; not inside a number ("1" in "1.5") or a hyphenated word."""
    if not phrase:
        return re.compile(r"(?!)")
    before = r"(?<!\d,)" if re.match(r"\d{3}(?!\d)", phrase) else ""  # "200" in "1,200"
    after = r"(?![\w\-]|'(?!s\b)\w|\.\d|,\d{3}(?!\d))"
    return re.compile(rf"(?<![\w\-])(?<!\d\.){before}{re.escape(phrase)}{after}")


def _only_labels(text: str) -> str:
    """The answer with every capital letter that is no label replaced by a blank mark."""
    for pattern in (ARTICLE, PRONOUN, DENIED_BEFORE, DENIED_AFTER):
        text = pattern.sub(" _ ", text)
    return text


def _valid(found: Iterable[str | tuple[str, ...]], valid: Sequence[str]) -> list[int]:
    """Indices of the letters among `found` that belong to an option."""
    names = ["".join(match).upper() for match in found]
    return [valid.index(name) for name in names if name in valid]


_OPEN, _CLOSE = r"[(\[{<]\s*", r"\s*[)\]}>]"
_ALONE = r"(?<![\w'\-])([A-Z])(?![\w'\-]|\.\w)"
_NAMED = r"(?:(?:answer|option|choice|letter)\s+)?"
BRACKETED = re.compile(rf"(?<!\w){_OPEN}([A-Za-z]){_CLOSE}")
STATEMENT = re.compile(
    rf"(?i:\b(?:answer|option|choice)(?:\s+is)?\s*:?)\s*(?:{_OPEN}([A-Za-z]){_CLOSE}|{_ALONE})"
)
LINE_START = re.compile(r"(?m)^\s*([A-Z])\s*[.):](?!\w)")
STANDALONE = re.compile(_ALONE)
# An article stands before a noun or adjective, never before these.
ARTICLE = re.compile(
    r"\bA\s+(?!(?:is|was|are|and|or|because|since|as|for|with|which|but|due|if|in|on|at|of|to|by"
    r"|from|shows|seems|looks|appears|would|should|must|can|cannot|does|has|correctly|best)\b)(?=[a-z])"
)
PRONOUN = re.compile(r"\bI(?=\s+[a-z]|')")
DENIED_BEFORE = re.compile(
    rf"(?i:\b(?:not|neither|nor|never|isn't)\s+{_NAMED})[(\[]?(?<![\w'\-])[A-Z](?![\w'\-])[)\]]?"
)
DENIED_AFTER = re.compile(
    rf"(?i:\b{_NAMED})[(\[]?(?<![\w'\-])[A-Z](?![\w'\-])[)\]]?"
    r"\s+(?:is|are|was)(?:n't|\s+(?:not|wrong|incorrect|false|excluded|ruled out))\b"
)
DENIAL = re.compile(r"(?:\b(?:not|never|neither|nor|cannot)|n't)\s+(?:[\w']+\s+)?$")

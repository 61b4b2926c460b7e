"""Which option an answer chooses: rules over the places where options are named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from solvent.benchmarks.prompts import letters
from solvent.benchmarks.reading.cleaning import without_markup, without_reasoning
from solvent.benchmarks.reading.marks import (
    Mark,
    equal_options,
    groups,
    label_marks,
    option_marks,
    text_marks,
)
from solvent.benchmarks.reading.outcome import AMBIGUOUS, NOTHING, Reading, one_of
from solvent.benchmarks.reading.phrases import (
    ALSO,
    BUT_IS,
    REFERRING,
    REFUSING,
    TAKEN_BACK,
    TURNING,
    YET,
)
from solvent.benchmarks.reading.polarity import yes_or_no
from solvent.benchmarks.reading.standing import (
    SENTENCE_END,
    in_condition,
    is_closing,
    is_confirmed,
    is_contrasted,
    is_denied,
    is_stated,
    is_supposed,
)

REFUSED = re.compile(REFUSING, re.IGNORECASE)
DESPITE = re.compile(YET, re.IGNORECASE)
DESCRIBED = re.compile(r"\b(?:option|choice)\s*[\"'(]*\Z", re.IGNORECASE)
IS_THAT = re.compile(rf"(?:{BUT_IS})\Z", re.IGNORECASE)
AS_WELL = re.compile(rf"(?:{ALSO})\Z", re.IGNORECASE)
REFERENCE = re.compile(rf"(?:{REFERRING})\Z", re.IGNORECASE)
TURN = re.compile(TURNING, re.IGNORECASE)
TAKEN = re.compile(TAKEN_BACK, re.IGNORECASE)
OPENING = re.compile(r"[\W_]*(?:(?:the|an?)\s+)?", re.IGNORECASE)
ITEM = re.compile(r"\s*([.:)\-–—]?)\s*(?=\w)")  # behind a letter in an enumeration
LED = re.compile(  # behind an option with which the answer begins
    r"\s*[\"')\]]?\s*(?:$|\n|[.):;!](?:\s|$)|,\s|\s[–—-]\s|[–—]|\s(?:because|since|as|over|rather|not"
    r"|while|whereas|instead|for|due)\b|\s\((?:not|as|since|because|the|i\.e)\b|。|、|です|입니다|\s*<)",
    re.IGNORECASE,
)


def chosen(raw: str, options: Sequence[str], by_letter: bool) -> Reading:
    """The option that an answer chooses.

    Args:
        raw: the answer as it was generated.
        options: their texts.
        by_letter: whether a letter names an option, too.
    """
    text = without_markup(without_reasoning(raw))
    if by_letter:
        alone = re.fullmatch(r"[\W_]*([A-Za-z])(?![+#°])(?:[\W_]+\1)*[\W_]*", text)
        valid = letters(len(options))
        if alone:
            name = alone[1].upper()
            return Reading(valid.index(name), "ok") if name in valid else NOTHING
    equal = equal_options(text, options)
    if equal:
        return one_of(equal)
    if {option.strip().casefold() for option in options} == {"yes", "no"}:
        labels = label_marks(text, len(options)) if by_letter else []
        reading = _by_marks(text, labels)
        return yes_or_no(raw, options) if reading.status == "none" else reading
    return _by_marks(text, option_marks(text, options) if by_letter else text_marks(text, options))


def _by_marks(text: str, marks: Sequence[Mark]) -> Reading:
    """The first rule that decides: what is stated; a refusal; the only option named."""
    large = [mark for mark in marks if mark.form != "small"]
    marks = [
        mark
        for mark in marks
        if mark.form != "small"
        or is_stated(text, [mark], large)
        or is_confirmed(text, [mark])
        or is_closing(text, [mark])
        or _leads(text, [mark], [[mark]])
    ]
    runs = groups(text, marks)
    listed = _listed(text, marks)
    denied = [run for run in runs if is_denied(text, run)]
    supposed = [run for run in runs if is_supposed(text, run)]
    left = [run for run in runs if run not in denied and run not in supposed]
    stated = [
        run
        for run in left
        if is_confirmed(text, run)
        or (run[0] not in listed and (_leads(text, run, runs) or is_stated(text, run, marks)))
    ]
    left = [run for run in left if not REFERENCE.search(text, 0, run[0].start)]
    if not stated:
        closing = [run for run in left if run[0] not in listed and is_closing(text, run)]
        others = {m.option for run in left for m in run if m.form != "text" and m not in listed}
        stated = closing if len(others) <= 1 or len(closing) > 1 else []
    if stated:
        return _last_word(text, stated, left)
    if listed:
        return AMBIGUOUS
    texts = [mark for mark in marks if mark.form == "text"]
    after = _refused_until(text, texts)
    left = [run for run in left if run[0].start >= after]
    in_brackets = [run for run in runs if run not in denied and run[0].form == "bracketed"]
    if any(run in left for run in in_brackets):
        return one_of(mark.option for run in in_brackets for mark in run)
    words = [mark for mark in texts if mark.end >= after and not is_contrasted(text, mark)]
    if words:
        no = [mark for run in denied for mark in run]
        described = [mark for mark in marks if DESCRIBED.search(text, 0, mark.start)]
        if described:
            return AMBIGUOUS
        doubtful = any(mark in no or in_condition(text, mark) for mark in words)
        return AMBIGUOUS if doubtful else one_of(mark.option for mark in words)
    capitals = {mark.option for run in left for mark in run if mark.form == "capital"}
    return AMBIGUOUS if len(capitals) > 1 else NOTHING


def _refused_until(text: str, texts: Sequence[Mark]) -> int:
    """Where the part begins that may name an option: behind a refusal only after a "but"."""
    refusals = [
        found
        for found in REFUSED.finditer(text)
        if not any(mark.start <= found.start() < mark.end for mark in texts)  # that is an option
    ]
    if not refusals:
        return 0
    yet = DESPITE.search(text, refusals[-1].end())
    return yet.end() if yet else len(text)


def _last_word(
    text: str, stated: Sequence[Sequence[Mark]], left: Sequence[Sequence[Mark]]
) -> Reading:
    """The last statement, where the earlier ones agree or the answer turns before it."""
    last = stated[-1]
    if TAKEN.search(text[last[-1].end :]):
        return AMBIGUOUS
    options = {mark.option for mark in last}
    for run in left:  # "A seems right, but what is shown is B.", "A is right, and so is D."
        if run[0].start < last[-1].end or run[0].form not in ("capital", "bracketed"):
            continue
        between = text[last[-1].end : run[0].start]
        despite = DESPITE.search(between) and IS_THAT.search(between)
        if despite or (AS_WELL.search(between) and not SENTENCE_END.search(between)):
            options |= {mark.option for mark in run}
    for run in reversed(stated[:-1]):
        named = {mark.option for mark in run}
        if TURN.search(text[run[-1].end : last[0].start]):
            break
        options = options if options <= named else options | named  # "A or B. The answer is A."
    return one_of(options)


def _leads(text: str, run: Sequence[Mark], runs: Sequence[Sequence[Mark]]) -> bool:
    """The answer begins with it: "B. The vehicle is blue."."""
    if run != runs[0] or not OPENING.fullmatch(text[: run[0].start]):
        return False
    return bool(LED.match(text, run[-1].end))


def _listed(text: str, marks: Sequence[Mark]) -> list[Mark]:
    """The letters of an enumeration of the options, which chooses none: "A. cat", "B. green", ...

    They are the first letters in their order, each followed by its own option's text, or at the
    start of a line, or between a stop and the same sign as the first ("A: ..., B: ...").
    """
    found: list[Mark] = []
    sign = ""
    for place, label in enumerate(marks):
        if label.form == "text" or label.option != len(found):
            continue
        following = marks[place + 1] if place + 1 < len(marks) else label
        own = following.form == "text" and following.option == label.option
        item = ITEM.match(text, label.end)
        signed = item and (item[1] or label.form == "bracketed")
        line = signed and re.search(r"(?:^|\n)[\s\-•*]*\Z", text[: label.start])
        inline = (
            item
            and item[1]
            and (item[1] == sign or not found)
            and re.search(r"(?:^|[,;.:])\s*\Z", text[: label.start])
        )
        if (own and following.start - label.end < 5) or line or inline:
            found.append(label)
            sign = item[1] if item else ""
    return found if len(found) > 1 else []

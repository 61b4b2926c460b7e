"""Which option an answer chooses: rules over the places where options are named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from solvent.benchmarks.prompts import letters
from solvent.benchmarks.reading import other_languages, phrases
from solvent.benchmarks.reading.cleaning import plain_minus, without_markup, without_reasoning
from solvent.benchmarks.reading.option_marks import (
    Mark,
    enumerated,
    equal_options,
    groups,
    label_marks,
    option_marks,
    text_marks,
)
from solvent.benchmarks.reading.outcome import AMBIGUOUS, NOTHING, Reading, one_of
from solvent.benchmarks.reading.phrases import pattern
from solvent.benchmarks.reading.polarity import yes_or_no
from solvent.benchmarks.reading.standing import (
    SENTENCE_END,
    Role,
    is_contrasted,
    is_left_open,
    role,
    stands_before,
)

ALONE = re.compile(r"[\W_]*([A-Za-z])(?![+#°])(?:[\W_]+\1)*[\W_]*")
LABELLED_WORD = re.compile(r"\W*([AB])\W+(yes|no)\W*", re.IGNORECASE)  # "A. Yes"
REFUSED = pattern(phrases.REFUSING)
YET = pattern(phrases.YET)
TURN = pattern([phrases.TURNING, other_languages.TURNING])
TAKEN_BACK = pattern(phrases.TAKING_BACK)
ALSO = pattern(phrases.ALSO, r"{}\Z")
BUT_IS = pattern(phrases.BUT_IS, r"{}\Z")
DESCRIBED = pattern(phrases.DESCRIBING, r"{}\Z")


@dataclass(frozen=True)
class Named:
    """Options that are named together, and what the words around them make of them."""

    marks: Sequence[Mark]
    role: Role

    @property
    def options(self) -> set[int]:
        """Their indices."""
        return {mark.option for mark in self.marks}

    @property
    def by_letter(self) -> bool:
        """Whether the first is named by a letter that could be nothing else."""
        return self.marks[0].form in ("capital", "bracketed")


@dataclass(frozen=True)
class Answer:
    """A cleaned answer and all places where it names options, in their order."""

    text: str
    named: Sequence[Named]

    def having(self, *roles: Role) -> list[Named]:
        """Those of some roles."""
        return [each for each in self.named if each.role in roles]

    def marks(self) -> Iterator[Mark]:
        """All marks."""
        return (mark for each in self.named for mark in each.marks)

    @cached_property
    def spoken_from(self) -> int:
        """Where the part begins that may name an option without stating it.

        That is the start; where something is refused, only what follows a later "but".
        """
        texts = [mark for mark in self.marks() if mark.form == "text"]
        refusals = [
            found
            for found in REFUSED.finditer(self.text)
            if not any(mark.start <= found.start() < mark.end for mark in texts)  # is an option
        ]
        if not refusals:
            return 0
        yet = YET.search(self.text, refusals[-1].end())
        return yet.end() if yet else len(self.text)


def chosen(raw: str, options: Sequence[str], by_letter: bool) -> Reading:
    """The option that an answer chooses.

    Args:
        raw: the answer as it was generated.
        options: their texts.
        by_letter: whether a letter names an option, too.
    """
    text = plain_minus(without_markup(without_reasoning(raw)))
    options = [plain_minus(option) for option in options]
    alone = ALONE.fullmatch(text) if by_letter else None
    if alone:
        valid, name = letters(len(options)), alone[1].upper()
        return Reading(valid.index(name), "ok") if name in valid else NOTHING
    equal = equal_options(text, options)
    if equal:
        return one_of(equal)
    if {option.strip().casefold() for option in options} == {"yes", "no"}:
        labels = label_marks(text, len(options)) if by_letter else []
        said = LABELLED_WORD.fullmatch(text) if by_letter else None
        if said and options[ord(said[1].upper()) - ord("A")].strip().casefold() != said[2].lower():
            return AMBIGUOUS
        reading = _by_rules(_answer(text, labels))
        return yes_or_no(raw, options) if reading.status == "none" else reading
    marks = option_marks(text, options) if by_letter else text_marks(text, options)
    return _by_rules(_answer(text, marks))


def _answer(text: str, marks: Sequence[Mark]) -> Answer:
    """The answer with the role of all that it names; small letters only where they are stated."""
    large = [mark for mark in marks if mark.form != "small"]
    marks = [
        mark
        for mark in marks
        if mark.form != "small" or role(text, [mark], large, []) in ("stated", "closing")
    ]
    listed = enumerated(text, marks)
    runs = groups(text, marks)
    return Answer(text, [Named(run, role(text, run, marks, listed)) for run in runs])


def _by_rules(answer: Answer) -> Reading:
    """The reading of the first rule that has one."""
    for rule in (_by_statement, _by_close, _by_brackets, _by_text):
        reading = rule(answer)
        if reading is not None:
            return reading
    capitals = {m.option for each in answer.having("closing", "named") for m in each.marks}
    return AMBIGUOUS if len(capitals) > 1 else NOTHING


def _by_statement(answer: Answer) -> Reading | None:
    """What is stated."""
    stated = answer.having("stated")
    return _last_word(answer, stated) if stated else None


def _by_close(answer: Answer) -> Reading | None:
    """What ends a line, where no other letter stands; a mere enumeration is ambiguous."""
    closing, listed = answer.having("closing"), answer.having("listed")
    spoken = answer.having("closing", "named")
    labels = {mark.option for each in spoken for mark in each.marks if mark.form != "text"}
    if closing and (len(labels) <= 1 or len(closing) > 1):
        return _last_word(answer, closing)
    return AMBIGUOUS if listed else None


def _by_brackets(answer: Answer) -> Reading | None:
    """The only letter in brackets."""
    bracketed = [
        each for each in answer.named if each.role != "denied" and each.marks[0].form == "bracketed"
    ]
    spoken = answer.having("closing", "named")
    if any(each in spoken and each.marks[0].start >= answer.spoken_from for each in bracketed):
        return one_of(option for each in bracketed for option in each.options)
    return None


def _by_text(answer: Answer) -> Reading | None:
    """The only option whose text occurs; ambiguous where it is denied, left open or described."""
    words = [
        mark
        for mark in answer.marks()
        if mark.form == "text"
        and mark.end >= answer.spoken_from
        and not is_contrasted(answer.text, mark)
    ]
    if not words:
        return None
    denied = [mark for each in answer.having("denied") for mark in each.marks]
    doubtful = any(mark in denied or is_left_open(answer.text, mark) for mark in words)
    if doubtful or any(
        stands_before(DESCRIBED, answer.text, mark.start) for mark in answer.marks()
    ):
        return AMBIGUOUS
    return one_of(mark.option for mark in words)


def _last_word(answer: Answer, stated: Sequence[Named]) -> Reading:
    """The last statement, where the earlier ones agree or the answer turns before it.

    It is ambiguous where it is taken back, or another letter is meant as well.
    """
    text, last = answer.text, stated[-1]
    start, end = last.marks[0].start, last.marks[-1].end
    if TAKEN_BACK.search(text[end:]):
        return AMBIGUOUS
    options = last.options
    for each in answer.having("stated", "listed", "referred", "closing", "named"):
        between = text[end : each.marks[0].start]
        if not each.by_letter or not between:
            continue
        but = YET.search(between) and BUT_IS.search(between)  # "A seems right, but it is B."
        also = ALSO.search(between) and not SENTENCE_END.search(between)  # "A, and so is D"
        options = options | each.options if but or also else options
    for each in reversed(stated[:-1]):
        if TURN.search(text[each.marks[-1].end : start]):
            break
        if not options <= each.options:  # "A or B. The answer is A." is A
            options = options | each.options
    return one_of(options)

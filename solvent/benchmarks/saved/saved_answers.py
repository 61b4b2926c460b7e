"""Answers that somebody else's run saved: from the columns of a file to what was said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solvent.benchmarks.sample import Field, Row, value_of
from solvent.benchmarks.saved.saved_files import SavedFiles, Table
from solvent.core.names import nearest
from solvent.core.types import Accepted, CandidateScore, Sample

LABELS = ("uid", "model", "arm", "condition")


@dataclass(frozen=True, kw_only=True)
class SavedAnswer:
    """One answer.

    Attributes:
        where: it stands, for messages: file and row.
        uid: of its question.
        model: whose it is.
        arm: what differs between runs that are compared: how was decoded, say.
        condition: what the model was shown.
        raw: the text that was generated; None where options were ranked, or nothing was saved.
        scores: of the options, where they were saved.
        repeated: what its row repeats of its question, by name.
    """

    where: str
    uid: str
    model: str
    arm: str
    condition: str
    raw: str | None
    scores: tuple[CandidateScore, ...] | None
    repeated: Mapping[str, Any]

    def check(self, sample: Sample) -> None:
        """Raise `ValueError` where its row is about another question than the sample of its uid."""
        if self.scores is not None and len(self.scores) != len(sample.options):
            raise ValueError(
                f"{self.where} has {len(self.scores)} log-probabilities, and the question "
                f"{self.uid} has {len(sample.options)} options"
            )
        gold = sample.gold
        answers = gold.answers if isinstance(gold, Accepted) else (sample.options[gold],)
        known = {"text": (sample.text,), "options": sample.options, "gold": answers}
        for name, value in self.repeated.items():
            values = value if isinstance(value, list | tuple) else [value]
            said = tuple(str(each).strip() for each in values)
            if said != known[name]:
                raise ValueError(
                    f"{self.where} has the {name} {value!r}, and the question {self.uid} has "
                    f"{' | '.join(known[name])!r}: these are not answers to these questions"
                )


@dataclass(frozen=True, kw_only=True)
class SavedAnswers:
    """Files of answers, and what their columns mean; fields as in `solvent.benchmarks.sample`.

    Attributes:
        tables: the files.
        uid: field; that of the question.
        model: field; becomes the name of a folder.
        arm: field; what takes the place of an intervention.
        condition: field; what the model was shown.
        answer: field; the generated text, perhaps alone in a list or in several, as harnesses
            keep it. None where options were ranked.
        log_probabilities: field; a list with the natural logarithm of the probability of every
            option, in their order, summed over its tokens. None: there are none.
        tokens: field; a list of how many tokens these are. None: nobody knows, and 0 is stored.
        repeats: what a row repeats of its question (text, options or gold) -> field. A row with
            another value is refused.
    """

    tables: SavedFiles
    uid: Field
    model: Field
    arm: Field
    condition: Field
    answer: Field | None
    log_probabilities: Field | None
    tokens: Field | None
    repeats: Mapping[str, Field]

    def __post_init__(self) -> None:
        if (self.answer is None) == (self.log_probabilities is None):
            raise ValueError(
                "saved answers are texts or log-probabilities of options: expected `answer` or "
                "`log_probabilities`, and the other one null"
            )
        for name in self.repeats:
            if name not in ("text", "options", "gold"):
                meant = nearest(name, ("text", "options", "gold"))
                raise ValueError(f"rows cannot repeat {name!r} of a question; {meant}")

    def of(self, table: Table) -> list[SavedAnswer]:
        """All answers of a file. Raises `ValueError`: what a row lacks."""
        found = []
        for where, row in table.located():
            try:
                found.append(self._answer(where, row))
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
        return found

    def _answer(self, where: str, row: Row) -> SavedAnswer:
        labels = {name: _label(name, getattr(self, name), row) for name in LABELS}
        raw = None if self.answer is None else _only(value_of(self.answer, row))
        return SavedAnswer(
            where=where,
            raw=None if raw is None else str(raw),
            scores=None if self.log_probabilities is None else self._scores(row),
            repeated={name: value_of(field, row) for name, field in self.repeats.items()},
            **labels,
        )

    def _scores(self, row: Row) -> tuple[CandidateScore, ...] | None:
        values = value_of(self.log_probabilities or "", row)
        if values is None:
            return None
        counts = [0] * len(values) if self.tokens is None else value_of(self.tokens, row)
        scores = [float(value) for value in values]
        if len(counts) != len(scores) or any(math.isnan(each) or each > 0 for each in scores):
            raise ValueError(
                f"log-probabilities {values} of {counts} tokens; expected numbers of at most 0, "
                "and a number of tokens for each"
            )
        return tuple(
            CandidateScore(log_probability=score, tokens=int(count))
            for score, count in zip(scores, counts, strict=True)
        )


def _only(value: Any) -> Any:
    """What a list of one holds, and a list of one in it. Raises `ValueError` for several."""
    while isinstance(value, list | tuple):
        if len(value) != 1:
            raise ValueError(f"{len(value)} answers, {value!r}; expected one: choose one by `as`")
        (value,) = value
    return value


def _label(name: str, field: Field, row: Row) -> str:
    value = value_of(field, row)
    if value is None or not str(value).strip():
        raise ValueError(f"the field {name} is empty")
    return str(value).strip()


def by_uid(answers: Sequence[SavedAnswer]) -> dict[str, SavedAnswer]:
    """Answers of one model, arm and condition. Raises `ValueError` where a question has two."""
    found: dict[str, SavedAnswer] = {}
    for each in answers:
        first = found.setdefault(each.uid, each)
        if first is not each:
            raise ValueError(
                f"{each.where} answers {each.uid}, and so does {first.where}, for the same model "
                f"({each.model}), arm ({each.arm}) and condition ({each.condition}): remove one, "
                "or tell them apart by a column"
            )
    return found

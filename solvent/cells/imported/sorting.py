"""Saved answers, sorted into cells: every question answered once, in every arm and condition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from solvent.benchmarks.saved.saved_answers import SavedAnswer, SavedAnswers, by_uid
from solvent.benchmarks.saved.saved_files import Table
from solvent.cells.request import check_name
from solvent.core.names import did_you_mean
from solvent.core.types import Benchmark, Prediction, Sample

Place = tuple[str, str]
"""Model and arm: what becomes a cell."""


@dataclass(frozen=True, kw_only=True)
class SavedCell:
    """What becomes a cell.

    Attributes:
        model: whose answers these are.
        arm: what takes the place of an intervention.
        tables: files that hold some of them.
        answers: condition -> uid -> answer, for every question.
    """

    model: str
    arm: str
    tables: Sequence[Table]
    answers: Mapping[str, Mapping[str, SavedAnswer]]


def sort_out(
    saved: SavedAnswers, samples: Sequence[Sample], conditions: Collection[str]
) -> list[SavedCell]:
    """All cells that the files hold, by model and arm in the order of their first answers.

    Args:
        saved: which files, and what their columns mean.
        samples: the questions.
        conditions: names of what a model may have been shown.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: an answer is to no question, a question has two or none under a condition, a
            condition is not known, or a row repeats its question otherwise.
    """
    known = {sample.uid: sample for sample in samples}
    found: dict[Place, dict[str, list[SavedAnswer]]] = {}
    tables: dict[Place, list[Table]] = {}
    for table in saved.tables.tables():
        for each in saved.of(table):
            _check(each, known, conditions)
            place = (each.model, each.arm)
            found.setdefault(place, {}).setdefault(each.condition, []).append(each)
            of_place = tables.setdefault(place, [])
            if table not in of_place[-1:]:
                of_place.append(table)
    if not found:
        raise ValueError("the files of `answers` have no rows: name others in its layouts")
    return [
        SavedCell(
            model=model,
            arm=arm,
            tables=tables[model, arm],
            answers={
                name: _complete(f"{model}, {arm}", name, given.get(name, ()), known)
                for name in conditions
            },
        )
        for (model, arm), given in found.items()
    ]


def _check(answer: SavedAnswer, known: Mapping[str, Sample], conditions: Collection[str]) -> None:
    if answer.condition not in conditions:
        meant = did_you_mean(answer.condition, conditions)
        raise ValueError(
            f"{answer.where} has the condition {answer.condition!r}, which `conditions` does not "
            f"have{meant}; it has {', '.join(conditions)}"
        )
    if answer.uid not in known:
        raise ValueError(
            f"{answer.where} answers {answer.uid}, which is none of the {len(known):,} questions: "
            "take the questions that were asked, or make both uids of the same columns"
        )
    for name in ("model", "arm"):
        check_name(f"{answer.where}: {name}", getattr(answer, name), nested=False)
    answer.check(known[answer.uid])


def _complete(
    whose: str, condition: str, answers: Sequence[SavedAnswer], known: Mapping[str, Sample]
) -> dict[str, SavedAnswer]:
    """In the order of the questions."""
    if not answers:
        raise ValueError(
            f"{whose} has no answer under the condition {condition!r}: add its file, or take the "
            "condition out of `conditions`"
        )
    found = by_uid(answers)
    if missing := [uid for uid in known if uid not in found]:
        raise ValueError(
            f"{whose} has no answer to {len(missing):,} of {len(known):,} questions under the "
            f"condition {condition!r}, first {missing[0]}: arms and conditions are paired by "
            "question, so take questions that all of them were asked"
        )
    return {uid: found[uid] for uid in known}


def as_prediction(answer: SavedAnswer, sample: Sample, benchmark: Benchmark) -> Prediction:
    """A saved answer, read by the benchmark. Where nothing was saved it is a failed sample."""
    lacks = answer.raw is None and answer.scores is None
    reading = None
    if answer.raw is not None:
        reading = benchmark.parse(answer.raw, sample)
    elif answer.scores is not None:
        reading = benchmark.choose(answer.scores, sample, None)
    return Prediction(
        uid=sample.uid,
        condition=answer.condition,
        raw=answer.raw,
        scores=answer.scores,
        parsed=reading.value if reading else None,
        gold=sample.gold,
        status=reading.status if reading else "error",
        credit=benchmark.credit(reading, sample) if reading else 0.0,
        visual_mass=None,
        cells_edited=0,
        groups=sample.groups,
        tags=sample.tags,
        error="no answer was saved" if lacks else None,
        options=sample.options,
        guessed=reading.guessed if reading else False,
        question=None if sample.options else sample.text,
    )

"""A benchmark: where rows come from, how they are asked, read and scored. One YAML each."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from solvent.benchmarks.clusters import subsample
from solvent.benchmarks.freeform import FreeForm
from solvent.benchmarks.parsers import AMBIGUOUS, Parser, Reading
from solvent.benchmarks.prompts import By, Profile, letters
from solvent.benchmarks.reducers import AllOf, Debiased, Given, Mean, Reducer
from solvent.benchmarks.reducers.leaves import chance, counts
from solvent.benchmarks.rotations import GROUP, is_rotation, rotated, shuffled
from solvent.benchmarks.source import Source
from solvent.benchmarks.tables.skipping import BadRows, Read, read
from solvent.core.image_places import without_image_places
from solvent.core.types import Accepted, CandidateScore, Gold, Prediction, Sample, in_words

CHANCE_DIFFERS = 0.01  # from what is published, which is rounded
log = logging.getLogger("solvent")


class Export(Protocol):
    """Writes the predictions of a finished cell in somebody else's format."""

    def __call__(self, predictions: Sequence[Prediction], folder: Path) -> Path:
        """The file that was written inside `folder`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a model answers.

    Attributes:
        mode: "rank" takes the candidate with the greatest value; "generate" reads free text.
        normalise: value of a candidate, from the summed log-probability of its tokens, the end of
            the turn included: "sum" as it is; "mean" per token, which favours no length;
            "minus_blind" less that of the same candidate without any image, which favours no
            candidate that is likely anyway. The blind pass has no image to act on, so it is always
            that of the untouched model. Not used by "generate".
        by: candidates are the options' letters or their words; it also picks the prompt's layout.
        max_new_tokens: longest generated answer, in tokens. Not used by "rank".

    Questions without options are always generated, in the layout for words.
    """

    mode: Literal["rank", "generate"]
    normalise: Literal["sum", "mean", "minus_blind"]
    by: By
    max_new_tokens: int

    def __post_init__(self) -> None:
        if self.mode not in ("rank", "generate") or self.by not in ("letter", "words"):
            raise ValueError(
                f"answer.mode is {self.mode!r} and answer.by {self.by!r}; expected rank or "
                "generate, and letter or words"
            )
        if self.normalise not in ("sum", "mean", "minus_blind"):
            raise ValueError(
                f"answer.normalise is {self.normalise!r}; expected sum, mean or minus_blind"
            )

        if self.max_new_tokens < 1:
            raise ValueError(f"answer.max_new_tokens is {self.max_new_tokens}; expected 1 or more")

    def values(
        self, scores: Sequence[CandidateScore], blind: Sequence[CandidateScore] | None
    ) -> list[float]:
        """The value of every candidate, in nats. Raises `ValueError` without the blind scores."""
        if self.normalise == "mean":
            return [score.log_probability / score.tokens for score in scores]
        if self.normalise == "sum":
            return [score.log_probability for score in scores]
        if blind is None:
            raise ValueError(
                "answer.normalise is minus_blind, but the candidates were not scored without the "
                "image; evaluate again, or set it to sum or mean"
            )
        return [
            seen.log_probability - unseen.log_probability
            for seen, unseen in zip(scores, blind, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Expect:
    """How much data there must be before any limit; catches silent changes of the data.

    Attributes:
        rows: number of samples, rotations of one question counted once. None: not known.
        groups: group kind -> number of groups, or None where it is not known; rows without that
            group do not count.
        gold: right answer, in any case -> number of rows, for sets whose rows share their options.
            None: not known.
    """

    rows: int | None
    groups: Mapping[str, int | None]
    gold: Mapping[str, int] | None

    def check(
        self,
        rows: Sequence[Sample] | Sequence[Prediction],
        remedy: str,
        skipped: int | None = 0,
    ) -> None:
        """Raise `ValueError`, ending in the remedy, unless every count is as expected.

        Of rows that were skipped (None: nobody knows how many) nobody knows groups or answers, so
        that these may be fewer by as many.
        """
        rows = [row for row in rows if not is_rotation(row)]
        found = {
            kind: len({row.groups[kind] for row in rows if kind in row.groups})
            for kind in self.groups
        }
        known = [row for row in rows if row.options is not None]  # not in old predictions
        golds = Counter(str(in_words(row.gold, row.options)).casefold() for row in known)
        for what, expected, count in (
            ("rows", self.rows, len(rows)),
            *((f"groups of kind {kind!r}", n, found[kind]) for kind, n in self.groups.items()),
            *(
                (f"rows with the gold answer {answer!r}", n, golds[answer.casefold()])
                for answer, n in (self.gold or {}).items()
                if len(known) == len(rows)
            ),
        ):
            if expected is None:
                continue
            lacking = max(expected - count, 0)
            if what == "rows" and skipped is not None:
                lacking = skipped
            elif skipped is not None:
                lacking = min(lacking, skipped)
            found_or_skipped = count + lacking
            if expected != found_or_skipped:
                raise ValueError(
                    f"expected {expected:,} {what}, found {found_or_skipped:,}: {remedy}"
                )


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A set of questions with gold answers.

    Attributes:
        name: as in the configuration and in every uid.
        source: gives all samples.
        answer: how a model answers.
        profile: how a question is put into words.
        parser: reads a generated answer to a question with options.
        free: reads and matches the answer to a question without options; None: there are none.
        reducers: name -> reducer; "score" is the one in tables.
        chance: published "score" of who guesses, over all samples, in [0, 1]; None where it is
            unknown. Tables show what `guessed` says.
        expect: how much data there must be; None where nothing fixes it.
        shuffle: seed of the order of every question's options, or None: as the data have them.
        circular: ask every question once for every rotation of its options; the score "circular" is
            the share of questions that are right in all of them, and "debiased" of those whose
            right option is the likeliest on average over them.
        limit: greatest number of samples; whole groups only. None: all.
        stratify: tag whose mixture a limit preserves, or None.
        seed: of the subsample that a limit draws.
        exports: writers of other people's formats.
        bad_rows: "refuse" a set with a row of which no sample can be made, or "skip" such rows.
        skip: uids of rows that are left out. Both say how many rows that are.
    """

    name: str
    source: Source
    answer: Answer
    profile: Profile
    parser: Parser
    free: FreeForm | None
    reducers: Mapping[str, Reducer]
    chance: float | None
    expect: Expect | None
    shuffle: int | None
    circular: bool
    limit: int | None
    stratify: str | None
    seed: int
    exports: Sequence[Export]
    bad_rows: BadRows = "refuse"  # configurations of the first cells say nothing of these two
    skip: Sequence[str] = ()

    def __post_init__(self) -> None:
        if "score" not in self.reducers:
            raise ValueError(f"{self.name}: one of the reducers must be named 'score'")
        if isinstance(self.reducers["score"], Given) and self.reducers["score"].passed:
            raise ValueError(
                f"{self.name}: its score would have no value where no group passes; name it "
                "otherwise than 'score'"
            )
        if self.chance is not None and not 0 <= self.chance <= 1:
            raise ValueError(f"{self.name}: chance is {self.chance}; expected a number in [0, 1]")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"{self.name}: limit is {self.limit}; expected at least 1, or null")
        if self.exports and (self.circular or self.shuffle is not None):
            raise ValueError(
                f"{self.name}: its exports expect the options as the data have them; set "
                "benchmark.exports=[] to ask them in another order"
            )

    def samples(self) -> tuple[Sample, ...]:
        """All samples, in a fixed order that is independent of the machine.

        Raises:
            FileNotFoundError: the data are missing.
            ValueError: a row cannot be read, or there are more or fewer than expected.
        """
        samples = self.rows.samples
        if not samples:
            raise ValueError(f"{self.name}: its source gives no question; correct benchmark.source")
        repeated = _repeated(samples)
        if repeated:
            raise ValueError(f"{self.name}: two samples have the uid {repeated}; uids are unique")
        free = next((sample.uid for sample in samples if not sample.options), None)
        if free and self.free is None:
            raise ValueError(f"{self.name}: {free} has no options; say in `free` how it is read")
        if self.expect is not None:
            self.expect.check(
                [*samples, *self.rows.named],
                f"the data of {self.name} differ from what its YAML describes; fetch them again, "
                "or correct benchmark.expect if the change is meant",
                len(self.rows.bad),
            )
        if self.shuffle is not None:
            samples = shuffled(samples, self.shuffle)
        if self.circular:
            samples = rotated(samples)
        if self.limit is None:
            return samples
        return subsample(samples, self.limit, self.seed, self.stratify)

    def ranking(self) -> Benchmark:
        """The same questions, those with options answered by the likeliest of them."""
        answer = replace(self.answer, mode="rank", normalise="sum")
        return replace(self, answer=answer, exports=())

    @cached_property
    def rows(self) -> Read:
        """What the source gives, and what of it is left out. Raises as `samples` does."""
        return read(self.source, self.name, self.bad_rows, self.skip)

    @property
    def skipped(self) -> int:
        """How many rows are left out, if any may be."""
        return self.rows.skipped if self.skip or self.bad_rows == "skip" else 0

    def provenance(self) -> dict[str, Any]:
        """What the source knows of where its rows came from, and what was left out of them."""
        known: dict[str, Any] = getattr(self.source, "provenance", dict)()
        return known | self.rows.facts() if self.skipped else known

    def mode(self, sample: Sample) -> Literal["rank", "generate"]:
        """How a sample is answered: without options there is nothing to rank."""
        return self.answer.mode if sample.options else "generate"

    @property
    def max_new_tokens(self) -> int:
        """Longest generated answer, in tokens."""
        return self.answer.max_new_tokens

    def prompt(self, sample: Sample) -> str:
        """The user's text for a sample; without images, their places in the text are left out."""
        text = self.profile.write(sample, self.answer.by if sample.options else "words")
        return text if sample.images else without_image_places(text)

    def candidates(self, sample: Sample) -> tuple[str, ...]:
        """The answers to rank, in option order: the options' letters or their words."""
        return letters(len(sample.options)) if self.answer.by == "letter" else sample.options

    def parse(self, raw: str, sample: Sample) -> Reading:
        """What a generated answer says: an option, or a free answer."""
        return self.parse_as(raw, sample.options, sample.gold, sample.text)

    def parse_as(self, raw: str, options: Sequence[str], gold: Gold, question: str = "") -> Reading:
        """The same from what a stored prediction holds; the question of free answers only."""
        if options:
            return self.parser(raw, options)
        return self.free.parser(raw, gold, question)

    @property
    def subtracts_blind(self) -> bool:
        """Whether candidates are also ranked without images, and those scores subtracted."""
        return self.answer.mode == "rank" and self.answer.normalise == "minus_blind"

    def choose(
        self,
        scores: Sequence[CandidateScore],
        sample: Sample,
        blind: Sequence[CandidateScore] | None = None,
    ) -> Reading:
        """The candidate with the greatest value; an exact tie is ambiguous.

        Raises:
            ValueError: a value is not a number, their count is not that of the options, or blind
                scores are needed and missing.
        """
        values = self.answer.values(scores, blind)
        if len(values) != len(sample.options):
            raise ValueError(
                f"{sample.uid}: {len(values)} scores for {len(sample.options)} options"
            )
        if any(math.isnan(value) or value == math.inf for value in values):
            raise ValueError(f"{sample.uid}: log-probabilities {values} are not all numbers")
        best = max(values)
        return Reading(values.index(best), "ok") if values.count(best) == 1 else AMBIGUOUS

    def credit(self, reading: Reading, sample: Sample) -> float:
        """How right an answer is, in [0, 1]: 1 for the gold option, else 0."""
        return self.credit_as(reading, sample.gold)

    def credit_as(self, reading: Reading, gold: Gold) -> float:
        """The same from what a stored prediction holds."""
        if reading.status != "ok":
            return 0.0
        return (
            self.free.matcher(reading.value, gold)
            if isinstance(gold, Accepted)
            else float(reading.value == gold)
        )

    def score(self, predictions: Sequence[Prediction]) -> dict[str, dict[str, Any]]:
        """Name -> score, as `solvent.benchmarks.reducers` says it. Needs neither data nor model.

        Raises:
            ValueError: there are no predictions, several conditions, a uid twice, or (without a
                limit) fewer or more predictions than samples.
        """
        self._check(predictions)
        reducers = dict(self.reducers)
        if self.circular:
            reducers[GROUP] = AllOf(group=GROUP)
            if self.answer.mode == "rank":
                reducers["debiased"] = Debiased(group=GROUP)
        found = {name: reduce(predictions) for name, reduce in reducers.items()}
        found["score"] |= counts(predictions)  # of all answers, also where it is of a part of them
        return found

    def check_scores(self, samples: Sequence[Sample]) -> None:
        """Raise `ValueError` where samples lack a group or a tag that a score is made of: better
        now than when all of them are answered.
        """
        answers = [_unanswered(sample, self.mode(sample)) for sample in samples]
        for reduce in self.reducers.values():
            if hasattr(reduce, "leaves"):  # F1 has none
                reduce.leaves(answers)

    def guessed(self, predictions: Sequence[Prediction]) -> float:
        """The "score" to expect of who picks one option of every question at random.

        Of the questions that were asked, which may be a part of all; where they are all, it is
        compared with what is published. As a "score", F1 is given that of the rows' accuracy, and
        `Matched` and `BothOf` that of all rows being right.
        """
        tree = getattr(self.reducers["score"], "leaves", Mean().leaves)  # F1 has none
        found = chance(tree(predictions))
        whole = self.expect is not None and self.limit is None and not self.circular
        if whole and self.chance is not None and abs(found - self.chance) > CHANCE_DIFFERS:
            log.warning(
                "guessing is right in %.1f %% of %s, where its YAML says %.1f %%: the options may "
                "have been read wrongly",
                100 * found,
                self.name,
                100 * self.chance,
            )
        return found

    def export(self, predictions: Sequence[Prediction], folder: Path) -> tuple[Path, ...]:
        """Write every export of one condition's predictions into `folder`; the files written."""
        if not self.exports:
            return ()
        self._check(predictions)
        return tuple(write(predictions, folder) for write in self.exports)

    def _check(self, predictions: Sequence[Prediction]) -> None:
        conditions = Counter(prediction.condition for prediction in predictions)
        if len(conditions) != 1:
            raise ValueError(
                f"{self.name}: expected the predictions of one condition, found {dict(conditions)}"
            )
        repeated = _repeated(predictions)
        if repeated:
            raise ValueError(f"{self.name}: two predictions have the uid {repeated}")
        if self.expect is not None and self.limit is None:
            skipped = None if self.bad_rows == "skip" else len(self.skip)
            remedy = f"finish the run of {self.name} before scoring it"
            self.expect.check(predictions, remedy, skipped)


def _unanswered(sample: Sample, mode: Literal["rank", "generate"]) -> Prediction:
    """What stands in for the answer to a sample while it has none."""
    equal = CandidateScore(log_probability=0.0, tokens=1)
    return Prediction(
        uid=sample.uid,
        condition="real",
        raw=None,
        scores=(equal,) * len(sample.options) if mode == "rank" else None,
        parsed=None,
        gold=sample.gold,
        status="none",
        credit=0.0,
        visual_mass=None,
        cells_edited=0,
        groups=sample.groups,
        tags=sample.tags,
        options=sample.options,
    )


def _repeated(rows: Sequence[Sample] | Sequence[Prediction]) -> str | None:
    """A uid that occurs twice, or None."""
    uid, count = Counter(row.uid for row in rows).most_common(1)[0] if rows else ("", 0)
    return uid if count > 1 else None

"""What an intervention did: visual mass before and after, and how many entries it edited.

Visual mass of a row is the share of its attention on image tokens, in [0, 1] (a video's are not
counted); the visual pattern is how that share is spread, and its entropy says over how many. Both
are averaged over heads and the rows of text that come after the image; before = learned scores of
the same call, after = with the edit. An entry is one (layer, head, row, key).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from interventions.calls import called_as
from interventions.engine.sequences import Expectation, check_expectation, check_turns
from interventions.methods.patterns import Box
from interventions.methods.selectors import Span

SUMS = ("mass before", "mass after", "entropy before", "entropy after")


@dataclass(eq=False)
class Record:
    """Running sums of one sample, one value per layer: over rows, of the mean over heads."""

    uid: str
    sums: Float[np.ndarray, "4 layer"]  # in the order of SUMS
    rows: int = 0
    entries: Int[np.ndarray, " 2"] = field(default_factory=lambda: np.zeros(2, dtype=np.int64))

    def means(self) -> Float[np.ndarray, "4 layer"]:
        """Means over rows; NaN where no row saw an image."""
        return self.sums / (self.rows or math.nan)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What accumulated since the last `take`, samples in the order in which they came.

    Masses are shares in [0, 1], entropies are of the pattern over image tokens, in nats. Both are
    NaN where no row saw an image and in layers without attention.
    """

    uids: tuple[str, ...]
    visual_mass_before: Float[np.ndarray, " sample"]
    visual_mass_after: Float[np.ndarray, " sample"]
    layer_mass_before: Float[np.ndarray, "sample layer"]
    layer_mass_after: Float[np.ndarray, "sample layer"]
    layer_entropy_before: Float[np.ndarray, "sample layer"]
    layer_entropy_after: Float[np.ndarray, "sample layer"]
    entries_edited_prefill: Int[np.ndarray, " sample"]
    entries_edited_decode: Int[np.ndarray, " sample"]

    @property
    def entries_edited(self) -> Int[np.ndarray, " sample"]:
        return self.entries_edited_prefill + self.entries_edited_decode


@dataclass
class AttentionLog:
    """Yielded by `intervene`: names the samples that come, and gives back what was measured."""

    layers: int
    forwards: int = 0
    seconds: float = 0.0  # spent on measuring and editing, host time
    entries_edited_prefill: int = 0  # (layer, head, row, key), since the context was entered
    entries_edited_decode: int = 0
    expected: Expectation | None = field(default=None, repr=False)
    resting: bool = field(default=False, repr=False)
    _records: list[Record] = field(default_factory=list, repr=False)
    _taken: Float[np.ndarray, " two"] = field(default_factory=lambda: np.zeros(2), repr=False)
    _taken_samples: int = field(default=0, repr=False)

    @called_as('log.expect(["first", "second"])')
    def expect(
        self,
        samples: Sequence[str],
        prompt_lengths: Sequence[int] | None = None,
        priors: Sequence[Float[np.ndarray, " token"]] | None = None,
        regions: Sequence[Sequence[Sequence[Box]]] | None = None,
        turns: Sequence[Sequence[Span]] | None = None,
        pictures: Sequence[int] | None = None,
    ) -> None:
        """Describe the rows of the next prompt, before it is run.

        `samples` names them: draws are keyed by the name (without one, by the prompt's token ids).
        `prompt_lengths` counts each row's real prompt tokens where the input holds more (tokens
        after them are `generated`) or less (a chunk of the prompt) than the prompt. `priors` gives
        one positive weight per image token of each row, replacing what a fixed pattern computes.
        `regions` lists for each row the boxes of every picture, (left, top, right, bottom) as
        shares of its width and height, for patterns that look at key regions. `turns` says who
        wrote which tokens of each row, as `interventions.turns` finds it; without it the roles
        `preface` and `answer` have no tokens. `pictures` counts those of each row; without it a
        fixed pattern tells tiles of one picture from several pictures by what they show.
        """
        check_expectation(
            samples,
            prompt_lengths=prompt_lengths,
            priors=priors,
            regions=regions,
            turns=turns,
            pictures=pictures,
        )
        check_turns(turns)
        self.expected = Expectation(
            uids=tuple(samples),
            prompt_lengths=None if prompt_lengths is None else tuple(prompt_lengths),
            priors=None if priors is None else tuple(priors),
            regions=None if regions is None else tuple(regions),
            pictures=None if pictures is None else tuple(pictures),
            turns=None if turns is None else tuple(tuple(row) for row in turns),
        )

    def take(self) -> Measurement:
        """Return and forget what accumulated; totals stay."""
        records, self._records = self._records, []
        means = _stack(records, self.layers)
        entries = np.array([record.entries for record in records], dtype=np.int64).reshape(-1, 2)
        measurement = Measurement(
            uids=tuple(record.uid for record in records),
            visual_mass_before=_over_layers(means[0]),
            visual_mass_after=_over_layers(means[1]),
            layer_mass_before=means[0],
            layer_mass_after=means[1],
            layer_entropy_before=means[2],
            layer_entropy_after=means[3],
            entries_edited_prefill=entries[:, 0],
            entries_edited_decode=entries[:, 1],
        )
        self._taken += _nansum(measurement.visual_mass_before, measurement.visual_mass_after)
        self._taken_samples += int(np.isfinite(measurement.visual_mass_before).sum())
        for record in records:
            record.sums[:], record.rows, record.entries[:] = 0.0, 0, 0
        return measurement

    def drop(self) -> None:
        """Forget what accumulated since the last `take`, as if it had never run.

        For a prompt that broke off, by lack of memory say, and is run again.
        """
        for record in self._records:
            self.entries_edited_prefill -= int(record.entries[0])
            self.entries_edited_decode -= int(record.entries[1])
        self._records, self.expected = [], None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Prompts inside the `with` block are those of the unpatched model, and not measured."""
        self.resting = True
        try:
            yield
        finally:
            self.resting, self.expected = False, None

    @property
    def visual_mass(self) -> tuple[float, float]:
        """Mean over all samples that had an image, before and after; NaN when there was none."""
        before, after = (_over_layers(mass) for mass in _stack(self._records, self.layers)[:2])
        samples = self._taken_samples + int(np.isfinite(before).sum())
        total = self._taken + _nansum(before, after)
        return (
            (float(total[0] / samples), float(total[1] / samples))
            if samples
            else (math.nan, math.nan)
        )

    def add(
        self,
        record: Record,
        sums: Float[np.ndarray, "4 layer"],
        rows: int,
        entries: Int[np.ndarray, " 2"],
    ) -> None:
        """Add one forward of one sample; a sample taken meanwhile comes back as a new entry."""
        if not any(known is record for known in self._records):
            self._records.append(record)
        record.sums += sums
        record.rows += rows
        record.entries += entries
        self.entries_edited_prefill += int(entries[0])
        self.entries_edited_decode += int(entries[1])

    @property
    def entries_edited(self) -> int:
        """Since the context was entered, in both phases."""
        return self.entries_edited_prefill + self.entries_edited_decode


def _stack(records: Sequence[Record], layers: int) -> Float[np.ndarray, "4 sample layer"]:
    means = np.array([record.means() for record in records]).reshape(len(records), 4, layers)
    return means.transpose(1, 0, 2)


def _over_layers(means: Float[np.ndarray, "sample layer"]) -> Float[np.ndarray, " sample"]:
    """Mean over the layers that have attention; NaN where none has a value."""
    known = np.isfinite(means)
    count = known.sum(axis=1)
    return np.where(known, means, 0.0).sum(axis=1) / np.where(count, count, np.nan)


def _nansum(
    before: Float[np.ndarray, " sample"], after: Float[np.ndarray, " sample"]
) -> Float[np.ndarray, " two"]:
    return np.array([np.nansum(before), np.nansum(after)])

"""What an intervention did: visual mass before and after, and how many cells it edited.

Visual mass of a row is the share of its attention on image tokens, in [0, 1]. It is averaged over
layers, heads and the rows that come after the image; before = learned scores of the same call,
after = with the edit. A cell is one (layer, head, row, key).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from interventions.sequences import Expectation, check_expectation


@dataclass(eq=False)
class Record:
    """Running sums of one sample."""

    uid: str
    before: Float[np.ndarray, " layer"]  # sum over rows of the mean over heads
    after: Float[np.ndarray, " layer"]
    rows: int = 0
    cells_edited: int = 0

    def means(self) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
        """Visual mass per layer, before and after; NaN where no row saw an image."""
        rows = self.rows or math.nan
        return self.before / rows, self.after / rows


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What accumulated since the last `take`, samples in the order in which they came."""

    uids: tuple[str, ...]
    visual_mass_before: Float[np.ndarray, " sample"]  # NaN where no row saw an image
    visual_mass_after: Float[np.ndarray, " sample"]
    cells_edited: Int[np.ndarray, " sample"]
    layer_mass_before: Float[np.ndarray, "sample layer"]
    layer_mass_after: Float[np.ndarray, "sample layer"]


@dataclass
class AttentionLog:
    """Yielded by `intervene`: names the samples that come, and gives back what was measured."""

    layers: int
    forwards: int = 0
    cells_edited: int = 0  # since the context was entered
    expected: Expectation | None = field(default=None, repr=False)
    _records: list[Record] = field(default_factory=list, repr=False)
    _taken: Float[np.ndarray, " two"] = field(default_factory=lambda: np.zeros(2), repr=False)
    _taken_samples: int = field(default=0, repr=False)

    def expect(
        self,
        samples: Sequence[str],
        prompt_lengths: Sequence[int] | None = None,
        priors: Sequence[Float[np.ndarray, " token"]] | None = None,
    ) -> None:
        """Describe the rows of the next prompt, before it is run.

        `samples` names them: draws are keyed by the name (without one, by the prompt's token ids).
        `prompt_lengths` counts each row's real prompt tokens where the input holds more (tokens
        after them are `generated`) or less (a chunk of the prompt) than the prompt. `priors` gives
        one positive weight per image token of each row, replacing what a fixed pattern computes.
        """
        check_expectation(samples, prompt_lengths, priors)
        self.expected = Expectation(
            uids=tuple(samples),
            prompt_lengths=None if prompt_lengths is None else tuple(prompt_lengths),
            priors=None if priors is None else tuple(priors),
        )

    def take(self) -> Measurement:
        """Return and forget what accumulated; totals stay."""
        records, self._records = self._records, []
        before, after = _stack(records, self.layers)
        measurement = Measurement(
            uids=tuple(record.uid for record in records),
            visual_mass_before=before.mean(axis=1),
            visual_mass_after=after.mean(axis=1),
            cells_edited=np.array([record.cells_edited for record in records], dtype=np.int64),
            layer_mass_before=before,
            layer_mass_after=after,
        )
        self._taken += _nansum(measurement.visual_mass_before, measurement.visual_mass_after)
        self._taken_samples += int(np.isfinite(measurement.visual_mass_before).sum())
        for record in records:
            record.before[:], record.after[:] = 0.0, 0.0
            record.rows, record.cells_edited = 0, 0
        return measurement

    @property
    def visual_mass(self) -> tuple[float, float]:
        """Mean over all samples that had an image, before and after; NaN when there was none."""
        before, after = (mass.mean(axis=1) for mass in _stack(self._records, self.layers))
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
        before: Float[np.ndarray, " layer"],
        after: Float[np.ndarray, " layer"],
        rows: int,
        cells: int,
    ) -> None:
        """Add one forward of one sample; a sample taken meanwhile comes back as a new entry."""
        if not any(known is record for known in self._records):
            self._records.append(record)
        record.before += before
        record.after += after
        record.rows += rows
        record.cells_edited += cells
        self.cells_edited += cells


def _stack(
    records: Sequence[Record], layers: int
) -> tuple[Float[np.ndarray, "sample layer"], Float[np.ndarray, "sample layer"]]:
    pairs = np.array([record.means() for record in records]).reshape(len(records), 2, layers)
    return pairs[:, 0], pairs[:, 1]


def _nansum(
    before: Float[np.ndarray, " sample"], after: Float[np.ndarray, " sample"]
) -> Float[np.ndarray, " two"]:
    return np.array([np.nansum(before), np.nansum(after)])

"""What was measured of the updates of many samples, as stored.

Axes: N samples, S sets of tokens, M measures, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from solvent.diagnostics.statistics import arrays

NAMES = ("uids", "sets", "measures")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredUpdates:
    """Of one condition, averaged over the draws that have the number. NaN: there is none, as of a
    set of which a prompt has too few tokens.
    """

    uids: tuple[str, ...]
    sets: tuple[str, ...]
    measures: tuple[str, ...]
    values: Float[np.ndarray, "N S M L"]

    def of(self, tokens: str, measure: str) -> Float[np.ndarray, "N L"]:
        """One measure on one set of tokens."""
        return self.values[:, self.sets.index(tokens), self.measures.index(measure)]

    def at(self, uids: Sequence[str]) -> MeasuredUpdates:
        """These samples in this order; NaN for those that are missing."""
        place = {uid: row for row, uid in enumerate(self.uids)}
        rows = np.array([place.get(uid, -1) for uid in uids], dtype=int)
        values = self.values[rows]
        values[rows < 0] = np.nan
        return MeasuredUpdates(
            uids=tuple(uids), sets=self.sets, measures=self.measures, values=values
        )

    def save(self, path: Path) -> None:
        """Write one compressed `.npz`, atomically; equal numbers give equal bytes."""
        names = {name: np.array(getattr(self, name), dtype=str) for name in NAMES}
        arrays.save(path, names | {"values": self.values})

    @classmethod
    def load(cls, path: Path) -> MeasuredUpdates:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            names = {name: tuple(stored[name].tolist()) for name in NAMES}
            return cls(values=stored["values"], **names)


def stack(
    seen: Mapping[str, Mapping[str, Mapping[str, Float[np.ndarray, "draw L"]]]],
) -> MeasuredUpdates:
    """Samples of one batch: uid -> set of tokens -> measure -> numbers of every draw and layer.

    Those of which nothing was measured are left out.
    """
    seen = {uid: sample for uid, sample in seen.items() if sample}
    sets = tuple(dict.fromkeys(name for sample in seen.values() for name in sample))
    found = [measures for sample in seen.values() for measures in sample.values()]
    measures = tuple(dict.fromkeys(name for each in found for name in each))
    layers = next((values.shape[1] for each in found for values in each.values()), 0)
    values = np.full((len(seen), len(sets), len(measures), layers), np.nan)
    for row, sample in enumerate(seen.values()):
        for tokens, numbers in sample.items():
            for name, drawn in numbers.items():
                place = row, sets.index(tokens), measures.index(name)
                values[place] = _mean_of_draws(drawn)
    return MeasuredUpdates(uids=tuple(seen), sets=sets, measures=measures, values=values)


def gather(files: Iterable[Path], uids: Sequence[str], folder: Path) -> None:
    """Join files that `save` wrote in `<folder>.npz`, samples in the order of `uids`.

    Equal files give equal bytes, and to do it again does no harm. Where no file has any number,
    nothing is made.
    """
    parts = [part for part in map(MeasuredUpdates.load, files) if part.values.size]
    if parts:
        seen = {uid for part in parts for uid in part.uids}
        joined(parts).at([uid for uid in uids if uid in seen]).save(folder.with_suffix(".npz"))


def joined(parts: Sequence[MeasuredUpdates]) -> MeasuredUpdates:
    """Samples of several parts, of which some may lack a set of tokens; of a sample that is in
    several, the last.
    """
    sets = tuple(dict.fromkeys(name for part in parts for name in part.sets))
    measures = tuple(dict.fromkeys(name for part in parts for name in part.measures))
    rows: dict[str, Float[np.ndarray, "S M L"]] = {}
    for part in parts:
        where = np.ix_(
            [sets.index(name) for name in part.sets],
            [measures.index(name) for name in part.measures],
        )
        for uid, values in zip(part.uids, part.values, strict=True):
            rows[uid] = np.full((len(sets), len(measures), values.shape[-1]), np.nan)
            rows[uid][where] = values
    return MeasuredUpdates(
        uids=tuple(rows), sets=sets, measures=measures, values=np.stack([*rows.values()])
    )


def _mean_of_draws(drawn: Float[np.ndarray, "draw L"]) -> Float[np.ndarray, " L"]:
    known = np.isfinite(drawn)
    count = known.sum(axis=0)
    return np.where(known, drawn, 0.0).sum(axis=0) / np.where(count, count, np.nan)

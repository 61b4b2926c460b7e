"""How the attention of prompts was shared out between groups of tokens, as stored.

Axes: N samples, L layers, H heads, P places (rows: the answer's, the mean of the question's),
G groups of keys, of `ALL_GROUPS` up to the last that some sample has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from solvent.diagnostics.statistics import arrays

GROUPS = ("first", "system", "image", "question")
ALL_GROUPS = (*GROUPS, "other", "filler")  # the last two only where samples have them
PLACES = ("answer", "question")
IMAGE, ANSWER = GROUPS.index("image"), PLACES.index("answer")
FILLER = ALL_GROUPS.index("filler")


class Measured(Protocol):
    """What a model measured of one sample."""

    uid: str
    mass: Float[np.ndarray, "L H P G"]
    effective: Float[np.ndarray, "L H P G"]
    uniform: Float[np.ndarray, "L P G"]
    image_tokens: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Shares in [0, 1] of every sample under one condition; NaN in layers without attention."""

    uids: tuple[str, ...]
    mass: Float[np.ndarray, "N L H P G"]  # of attention; sums to one over the groups
    effective: Float[np.ndarray, "N L H P G"]  # of lengths ||sum_k A v_k W_O||, likewise
    uniform: Float[np.ndarray, "N L P G"]  # of visible keys: the mass under equal weights
    image_tokens: Int[np.ndarray, " N"]

    @property
    def lift(self) -> Float[np.ndarray, "N L H P"]:
        """Mass of the image / (image tokens / visible tokens), 1 under equal weights.

        NaN where no image token is visible.
        """
        count = self.uniform[:, :, None, :, IMAGE]
        return self.mass[..., IMAGE] / np.where(count > 0, count, np.nan)

    def at(self, uids: Sequence[str]) -> Shares:
        """These samples in this order; NaN (and -1 image tokens) for those that are missing."""
        place = {uid: row for row, uid in enumerate(self.uids)}
        rows = np.array([place.get(uid, -1) for uid in uids], dtype=int)
        found = {name: getattr(self, name)[rows] for name in ("mass", "effective", "uniform")}
        for values in found.values():
            values[rows < 0] = np.nan
        counts = np.where(rows < 0, -1, self.image_tokens[rows])
        return Shares(uids=tuple(uids), image_tokens=counts, **found)

    def save(self, path: Path) -> None:
        """Write one compressed `.npz`, atomically; equal shares give equal bytes."""
        values = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        arrays.save(path, values | {"uids": np.array(self.uids, dtype=str)})

    @classmethod
    def load(cls, path: Path) -> Shares:
        """Read what `save` wrote. Raises `ValueError` for any other file."""
        with np.load(path, allow_pickle=False) as stored:
            found = {
                field.name: stored[field.name] for field in fields(cls) if field.name in stored
            }
        missing = [field.name for field in fields(cls) if field.name not in found]
        if missing:
            raise ValueError(
                f"expected attention shares in {path}, but it has no {', '.join(missing)}; measure "
                "the condition again"
            )
        found["uids"] = tuple(found["uids"].tolist())
        return cls(**found)


def stack(samples: Sequence[Measured]) -> Shares:
    """Samples of one model under one condition; of none, where a batch showed none, no layers."""
    if not samples:
        empty = np.empty((0,) * 5)
        uniform, counts = np.empty((0,) * 4), np.empty(0, dtype=int)
        return Shares(uids=(), mass=empty, effective=empty, uniform=uniform, image_tokens=counts)
    count = max(sample.mass.shape[-1] for sample in samples)
    return Shares(
        uids=tuple(sample.uid for sample in samples),
        mass=np.stack([_widened(sample.mass, count) for sample in samples]),
        effective=np.stack([_widened(sample.effective, count) for sample in samples]),
        uniform=np.stack([_widened(sample.uniform, count) for sample in samples]),
        image_tokens=np.array([sample.image_tokens for sample in samples]),
    )


def gather(files: Iterable[Path], uids: Sequence[str], folder: Path) -> None:
    """Join files that `save` wrote in `<folder>.npz`, samples in the order of `uids`.

    Equal files give equal bytes, and to do it again does no harm. Where no file has any sample,
    nothing is made.
    """
    parts = [part for part in map(Shares.load, files) if part.uids]
    if parts:
        seen = {uid for part in parts for uid in part.uids}
        joined(parts).at([uid for uid in uids if uid in seen]).save(folder.with_suffix(".npz"))


def joined(parts: Sequence[Shares]) -> Shares:
    """Samples of several parts; of a sample that is in several, the last."""
    place = {uid: (part, row) for part in parts for row, uid in enumerate(part.uids)}
    rows = [np.array([row for part, row in place.values() if part is each]) for each in parts]
    kept = [(part, row) for part, row in zip(parts, rows, strict=True) if len(row)]
    order = [part.uids[index] for part, row in kept for index in row]
    count = max(part.mass.shape[-1] for part, _ in kept)
    values = {
        name: np.concatenate([_widened(getattr(part, name)[row], count) for part, row in kept])
        for name in ("mass", "effective", "uniform")
    }
    tokens = np.concatenate([part.image_tokens[row] for part, row in kept])
    return Shares(uids=tuple(order), image_tokens=tokens, **values)


def _widened(values: np.ndarray, count: int) -> np.ndarray:
    """With so many groups: no other media where none were seen, and NaN for filler that nobody has
    told from the rest of the text.
    """
    missing = range(values.shape[-1], count)
    added = [np.full_like(values[..., :1], np.nan if g == FILLER else 0.0) for g in missing]
    return np.concatenate([values, *added], axis=-1)

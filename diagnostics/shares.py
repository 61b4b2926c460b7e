"""How the attention of prompts was shared out between groups of tokens, as stored.

Axes: N samples, L layers, H heads, P places (rows: the answer's, the mean of the question's),
G groups of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

GROUPS = ("first", "system", "image", "question")
PLACES = ("answer", "question")
IMAGE, ANSWER = GROUPS.index("image"), PLACES.index("answer")


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
        arrays = {name: getattr(self, name)[rows] for name in ("mass", "effective", "uniform")}
        for values in arrays.values():
            values[rows < 0] = np.nan
        counts = np.where(rows < 0, -1, self.image_tokens[rows])
        return Shares(uids=tuple(uids), image_tokens=counts, **arrays)

    def save(self, path: Path) -> None:
        """Write one compressed `.npz`; equal shares give equal arrays."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Shares:
        """Read what `save` wrote. Raises `ValueError` for any other file."""
        with np.load(path) as stored:
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
    """Samples of one model under one condition. Raises `ValueError` without any."""
    if not samples:
        raise ValueError("expected the attention shares of at least one sample, found none")
    return Shares(
        uids=tuple(sample.uid for sample in samples),
        mass=np.stack([sample.mass for sample in samples]),
        effective=np.stack([sample.effective for sample in samples]),
        uniform=np.stack([sample.uniform for sample in samples]),
        image_tokens=np.array([sample.image_tokens for sample in samples]),
    )

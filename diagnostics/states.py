"""Decoder states of many samples on disk, one layer after the other, so that one fits in memory.

    states = create(folder, uids, layers=29, hidden=3584)
    states.put("pope/1", seen)  # anything with `image`, `last` and `question` of (layer, hidden)
    states = load(folder)

Axes: N samples, L decoder layers + 1 (what enters the first one), H hidden size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy.lib.format import open_memmap

Part = Literal["image", "last", "question"]
PARTS: tuple[Part, ...] = ("image", "last", "question")


@dataclass(frozen=True, kw_only=True, eq=False)
class States:
    """Of one condition. Every token was divided by its root mean square; NaN: not there."""

    uids: tuple[str, ...]
    image: Float[np.ndarray, "N L H"]  # mean over image tokens
    last: Float[np.ndarray, "N L H"]  # last prompt token
    question: Float[np.ndarray, "N L H"]  # mean over the tokens after the last image token

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of every sample."""
        return {uid: row for row, uid in enumerate(self.uids)}

    def put(self, uid: str, seen: Any) -> None:
        """Write one sample's states, in place."""
        for part in PARTS:
            getattr(self, part)[self.rows[uid]] = getattr(seen, part)


def create(folder: Path, uids: Sequence[str], *, layers: int, hidden: int) -> States:
    """Empty states (NaN) in a new folder, float32.

    On disk a layer's samples are neighbours: they are written once and read layer by layer.
    """
    folder.mkdir(parents=True)
    (folder / "uids.json").write_text(json.dumps(list(uids)))
    for part in PARTS:
        shape = (layers, len(uids), hidden)
        open_memmap(folder / f"{part}.npy", "w+", np.float32, shape)[:] = np.nan
    return load(folder, writable=True)


def load(folder: Path, *, writable: bool = False) -> States:
    """States that were created in this folder, mapped: only what is looked at is read."""
    arrays = {
        part: np.load(folder / f"{part}.npy", mmap_mode="r+" if writable else "r").swapaxes(0, 1)
        for part in PARTS
    }
    return States(uids=tuple(json.loads((folder / "uids.json").read_text())), **arrays)

"""Decoder states of many samples on disk, one layer after the other, so that one fits in memory.

    stack(seen).save(folder / "000000.npz")  # what one batch showed
    gather([folder / "000000.npz"], uids, folder)
    states = load(folder)

Axes: N samples, L decoder layers + 1 (what enters the first one), H hidden size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy.lib.format import open_memmap

from solvent.core.files import write_atomically
from solvent.diagnostics.statistics import arrays

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

    def save(self, path: Path) -> None:
        """Write one `.npz`, atomically; states hardly compress."""
        parts = {part: getattr(self, part) for part in PARTS}
        arrays.save(path, {"uids": np.array(self.uids, dtype=str), **parts}, compressed=False)


def stack(seen: Mapping[str, Any]) -> States:
    """States of some samples by uid, each with `image`, `last` and `question` of (layer, hidden).

    Of no samples, where a batch showed none, states of no layers.
    """
    shown = list(seen.values())
    parts = {
        part: np.stack([getattr(each, part) for each in shown]) if shown else np.empty((0, 0, 0))
        for part in PARTS
    }
    return States(uids=tuple(seen), **parts)


def gather(files: Iterable[Path], uids: Sequence[str], folder: Path) -> None:
    """Turn files that `save` wrote into what `load` reads, holding one of them at a time.

    Equal files give equal bytes, and to do it again does no harm. Of a sample that is in several
    files, the last; of one that is in none, NaN. Where no file has any sample, nothing is made.
    """
    whole: States | None = None
    for path in files:
        with np.load(path, allow_pickle=False) as stored:
            batch = States(uids=tuple(stored["uids"].tolist()), **{p: stored[p] for p in PARTS})
        if not batch.uids:
            continue
        if whole is None:
            layers, hidden = batch.image.shape[1:]
            whole = create(folder, uids, layers=layers, hidden=hidden)
        rows = [whole.rows[uid] for uid in batch.uids]
        for part in PARTS:
            getattr(whole, part)[rows] = getattr(batch, part)
    if whole is not None:
        for part in PARTS:
            getattr(whole, part).flush()


def create(folder: Path, uids: Sequence[str], *, layers: int, hidden: int) -> States:
    """Empty states (NaN) in a folder, float32, in place of what was there.

    On disk a layer's samples are neighbours: they are written once and read layer by layer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "uids.json", json.dumps(list(uids)))
    for part in PARTS:
        shape = (layers, len(uids), hidden)
        open_memmap(folder / f"{part}.npy", "w+", np.float32, shape)[:] = np.nan
    return load(folder, writable=True)


def load(folder: Path, *, writable: bool = False) -> States:
    """States that were created in this folder, mapped: only what is looked at is read."""
    mode = "r+" if writable else "r"
    mapped = {part: np.load(folder / f"{part}.npy", mode).swapaxes(0, 1) for part in PARTS}
    return States(uids=tuple(json.loads((folder / "uids.json").read_text())), **mapped)

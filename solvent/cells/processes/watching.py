"""What some tests see inside the model while it answers, kept beside the predictions.

    <folder>/states/<n>.npz     decoder states of batch n's samples
    <folder>/shares/<n>.npz     how their attention was shared out
    <folder>/updates/<n>.npz    what was measured of updates of their residual streams

Batches are numbered in the list of the whole cell, and whoever answers a batch writes its file
before its predictions: no two processes write the same file, an interrupted run has both or will
answer the batch again, and neither the number of processes nor a restart changes a byte.

Once all batches are there, `gather` makes of them what tests read:

    <folder>/states/            states of all samples, mapped files
    <folder>/shares.npz
    <folder>/updates.npz
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solvent.cells.answering import Cell
from solvent.diagnostics import stored_shares, stored_states
from solvent.diagnostics.residual import measured_updates
from solvent.storage.folder import CellFolder

STATES, SHARES, UPDATES = "states", "shares", "updates"
# Modules that write and gather them, and what is there once it was begun to gather.
STORED = {STATES: stored_states, SHARES: stored_shares, UPDATES: measured_updates}
GATHERED = {STATES: "states/uids.json", SHARES: "shares.npz", UPDATES: "updates.npz"}


@dataclass(eq=False)
class Watch:
    """What is open while a cell is answered."""

    log: Any  # of the intervention
    place: Path
    states: Any | None = None
    shares: Any | None = None
    updates: Any | None = None

    def keep(self, number: int) -> None:
        """Write down what was seen of a batch, in place of what was seen of it before.

        Args:
            number: of the batch that was answered last, in the list of all batches of the cell.
        """
        looking = {STATES: self.states, SHARES: self.shares, UPDATES: self.updates}
        for name, seen in looking.items():
            if seen is not None:
                path = batch_file(self.place / name, number)
                path.parent.mkdir(exist_ok=True)
                STORED[name].stack(seen.take()).save(path)


@contextmanager
def watched(cell: Cell, folder: CellFolder) -> Iterator[Watch]:
    """Intervene, and look at what the cell's tests want to see.

    Only where attention is measured must something be edited: tests also want to know what is said
    without an image.
    """
    with ExitStack() as stack:
        shares = states = updates = None
        if cell.altered is not None:
            stack.enter_context(cell.altered(cell.model))
        if SHARES in cell.watches:
            shares = stack.enter_context(
                cell.model.watch_shares(cell.intervention, must_edit=cell.measured)
            )
            log = shares.log
        else:
            log = stack.enter_context(
                cell.model.intervene(cell.intervention, must_edit=cell.measured)
            )
        if STATES in cell.watches:
            states = stack.enter_context(cell.model.watch_states())
        if cell.lens is not None:
            updates = stack.enter_context(cell.model.watch_updates(cell.lens))
        yield Watch(log=log, place=folder.path, states=states, shares=shares, updates=updates)


def gather(cell: Cell, folder: CellFolder, batches: int) -> None:
    """Turn the files of all batches into what tests read, then remove them; one process does it.

    After a kill at any moment it is simply done again. Raises `ValueError` when a file is missing
    that was not gathered before.
    """
    uids = [sample.uid for sample in cell.samples]
    for name in STORED:
        if name not in cell.watches:
            continue
        place = folder.path / name
        files = [batch_file(place, number) for number in range(batches)]
        missing = [path for path in files if not path.exists()]
        if not missing:
            STORED[name].gather(files, uids, place)
        elif not (folder.merged or (folder.path / GATHERED[name]).exists()):
            raise ValueError(
                f"{place} lacks {len(missing)} of {batches} batches, first {missing[0].name}, "
                f"though their predictions are there; delete {folder.path} to begin again"
            )
        _drop_batches(place)


def batch_file(place: Path, number: int) -> Path:
    """Where the process that answers a batch writes what was seen of it."""
    return place / f"{number:06d}.npz"


def _drop_batches(place: Path) -> None:
    """Remove the files of batches, half-written ones too, and the folder if nothing else is in."""
    if place.exists():
        for path in place.glob("*.npz*"):
            path.unlink()
        if not any(place.iterdir()):
            place.rmdir()

"""What some tests see inside the model while it answers, kept beside the predictions.

    <folder>/states/            decoder states of every sample, mapped files
    <folder>/shares/<n>.npz     how attention was shared out, one file per batch

A batch is kept before its predictions are appended, so that an interrupted run has both or neither.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import get_method

from evaluation.answering import Cell
from evaluation.results import CellFolder

STATES, SHARES = "states", "shares"


@dataclass(eq=False)
class Watch:
    """What is open while a cell is answered."""

    log: Any  # of the intervention
    uids: Sequence[str]  # of the whole cell
    place: Path
    states: Any | None = None
    shares: Any | None = None
    _stored: Any | None = None

    def keep(self, number: int) -> None:
        """Write down what was seen of the last batch."""
        if self.states is not None:
            self._keep_states()
        if self.shares is not None and (seen := self.shares.take()):
            folder = self.place / SHARES
            folder.mkdir(exist_ok=True)
            get_method("diagnostics.shares.stack")(seen).save(folder / f"{number:06d}.npz")

    def _keep_states(self) -> None:
        for uid, seen in self.states.take().items():
            if self._stored is None:
                self._stored = self._open(seen)
            self._stored.put(uid, seen)

    def _open(self, seen: Any) -> Any:
        folder = self.place / STATES
        if any(self.place.glob("part-*.jsonl")) and folder.exists():
            return get_method("diagnostics.states.load")(folder, writable=True)
        shutil.rmtree(folder, ignore_errors=True)
        layers, hidden = seen.image.shape
        return get_method("diagnostics.states.create")(
            folder, self.uids, layers=layers, hidden=hidden
        )


@contextmanager
def watched(cell: Cell, folder: CellFolder) -> Iterator[Watch]:
    """Intervene, and look at what the cell's tests want to see."""
    with ExitStack() as stack:
        shares = states = None
        if SHARES in cell.watches:
            shares = stack.enter_context(cell.model.budget(cell.intervention))
            log = shares.log
        else:
            log = stack.enter_context(cell.model.intervene(cell.intervention))
        if STATES in cell.watches:
            states = stack.enter_context(cell.model.watch_states())
        uids = [sample.uid for sample in cell.samples]
        yield Watch(log=log, uids=uids, place=folder.path, states=states, shares=shares)


def gather(cell: Cell, folder: CellFolder) -> None:
    """Nothing yet."""

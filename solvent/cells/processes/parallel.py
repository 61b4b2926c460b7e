"""The processes of one run: each has a whole model and answers its share of the batches.

    python -m torch.distributed.run --standalone --nproc_per_node 4 evaluate.py ...
    accelerate launch --multi_gpu --num_processes 4 evaluate.py ...

The first is the main process: it alone reads what was recorded, merges, scores and prints. The
processes meet in exchanges, which all take part in, and in the same order. What goes wrong in one
is told in its next exchange, and ends the others there. One that hangs is noticed by `signs`.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from torch import distributed

from solvent.cells.processes.signs import HANGS, WAITING, Signs, connect
from solvent.core.stopping import RemoteError, Stopped, patiently

T = TypeVar("T")
PATIENCE = timedelta(days=30)  # of an exchange; `signs` and `monitor` watch instead
GONE = "another process of this run is gone: ended, killed, out of memory, or its machine failed"


class StoppedElsewhere(Stopped):
    """Another process of this run was asked to stop, or is gone."""


@dataclass(frozen=True)
class Team:
    """This process among those of the run.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        group: of torch.distributed, on the CPU; None for a single process.
        signs: of life, which the processes watch for.
    """

    rank: int = 0
    size: int = 1
    group: Any = None
    signs: Signs = field(default_factory=Signs)

    @property
    def main(self) -> bool:
        """Whether this is the process that reads, merges and prints."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """`process 3 (pid 4711 on node07)`"""
        return f"process {self.rank} (pid {os.getpid()} on {socket.gethostname()})"

    def exchange(self, mine: Any = None) -> list[Any]:
        """What every process brings, by rank.

        Raises `RemoteError` or `StoppedElsewhere` when one brings that instead, or is gone.
        """
        met = self._meet(mine, None)
        failures = [failure for _, failure in met if failure]
        if failures:
            raise min(failures, key=lambda failure: failure.code is not None).again()
        return [found for found, _ in met]

    def once(self, work: Callable[[], T]) -> T:
        """The result of some work that only the main process does, in all processes."""
        return self.exchange(work() if self.main else None)[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What goes wrong in one process inside the block goes wrong in all."""
        try:
            yield
        except (RemoteError, StoppedElsewhere, KeyboardInterrupt):
            raise  # all know of it, or there is no time to tell them
        except BaseException as error:
            self._meet(None, Failure.of(error, self.name))
            raise
        self.exchange()

    def _meet(self, mine: Any, failure: Failure | None) -> list[tuple[Any, Failure | None]]:
        if self.size == 1:
            return [(mine, failure)]
        found: list[Any] = [None] * self.size
        # half a meeting would leave the others waiting
        with patiently(), self.signs.at(WAITING):
            try:
                distributed.all_gather_object(found, (mine, failure), group=self.group)
            except RuntimeError as error:  # a connection is closed
                raise StoppedElsewhere(GONE, HANGS) from error
        return found


@dataclass(frozen=True)
class Failure:
    """What went wrong in one process, as others are told."""

    text: str
    code: int | None  # of a run that was asked to stop

    @classmethod
    def of(cls, error: BaseException, name: str) -> Failure:
        """An exception of the named process."""
        if isinstance(error, Stopped):
            return cls(error.why, error.code)
        return cls(f"{name}: {error}", None)

    def again(self) -> BaseException:
        """The exception for the other processes."""
        if self.code is None:
            return RemoteError(self.text)
        return StoppedElsewhere(self.text, self.code)


@cache
def team() -> Team:
    """The processes that were launched together with this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team()
    state = PartialState(cpu=not torch.cuda.is_available())  # it has to be told: gloo then
    group = distributed.new_group(backend="gloo", timeout=PATIENCE)
    atexit.register(state.destroy_process_group)
    alone = Team(rank=state.process_index, size=state.num_processes, group=group)
    signs = connect(alone.rank, alone.exchange(alone.name), alone.exchange)
    return replace(alone, signs=signs)

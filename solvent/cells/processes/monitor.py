"""How far a cell is: a progress bar, its claim, its tracker, and a watchdog.

A thread of the main process reads, once a second, what all processes have appended. It needs no
word from them, and it goes on when they hang.
"""

from __future__ import annotations

import faulthandler
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from solvent.cells.processes.signs import TICK, Clock
from solvent.core import stopping
from solvent.core.stopping import Stopped
from solvent.storage.folder import CellFolder
from solvent.storage.records import FAILED

log = logging.getLogger("solvent")


@dataclass
class Tail:
    """Counts the lines that are appended to a file."""

    path: Path
    lines: int = 0
    failed: int = 0
    grown: float = 0.0  # when it was last seen to grow
    _read: int = 0

    def look(self, now: float = 0.0) -> None:
        """Count what is new; a line that is being written counts when it is whole."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        if whole:
            self._read += len(whole)
            self.lines += whole.count(b"\n")
            self.failed += whole.count(FAILED)
            self.grown = now


def stuck(shares: Sequence[tuple[Tail, int]], patience: float, now: float) -> int | None:
    """Which process has not done its share and has added nothing for `patience` seconds.

    Args:
        shares: what each process has written, and the number of lines that it has when it is done.
        patience: seconds.
        now: in seconds, as the tails were told it.
    """
    for rank, (tail, share) in enumerate(shares):
        if tail.lines < share and now - tail.grown > patience:
            return rank
    return None


@dataclass(kw_only=True)
class Monitor:
    """Shows how far a cell is, to people and to whoever else wants to know.

    Attributes:
        patience: seconds without a new line from a process that has questions left, after which
            the run is ended.
        names: of the processes, by rank.
        tell: told every second what is being done, how many samples are done, and of how many.
        progress: told as often how many are done, how many of these failed, and what is done.
        hangs: told, in a sentence, which process hangs, and ends the run.
        failed: samples that failed since the present condition was begun.
    """

    patience: float = float("inf")
    names: Sequence[str] = ("this process",)
    tell: Callable[[str, int, int], None] = lambda doing, done, total: None
    progress: Callable[[int, int, str], None] = lambda done, failed, doing: None
    hangs: Callable[[str], None] = lambda sentence: None
    failed: int = 0

    @contextmanager
    def follow(
        self, folder: CellFolder, title: str, done: int, total: int, shares: Sequence[int]
    ) -> Iterator[None]:
        """Follow one condition of a cell.

        Args:
            folder: where the processes write.
            title: what is being done.
            done: samples that were answered before.
            total: all samples.
            shares: how many samples every process will answer now.
        """
        clock, tails = Clock(), [Tail(folder.part(rank)) for rank in range(len(shares))]
        for tail in tails:
            tail.look()
        before = [(tail.lines, tail.failed) for tail in tails]
        watched = [(tail, tail.lines + share) for tail, share in zip(tails, shares, strict=True)]
        with progress_bar() as bar:
            task = bar.add_task(title, total=total, completed=done)

            def count() -> int:
                for tail in tails:
                    tail.look(clock.now)
                now = [(tail.lines, tail.failed) for tail in tails]
                new = sum(lines for lines, _ in now) - sum(lines for lines, _ in before)
                self.failed = sum(count for _, count in now) - sum(count for _, count in before)
                bar.update(task, completed=done + new)
                return done + new

            def look() -> None:
                clock.look()
                answered = count()
                self.tell(title, answered, total)
                self.progress(answered, self.failed, title)

            try:
                with _Thread(look, lambda: self._check(watched, clock.now)):
                    yield
            finally:
                count()
            look()

    def _check(self, shares: Sequence[tuple[Tail, int]], now: float) -> None:
        rank = stuck(shares, self.patience, now)
        if rank is None:
            return
        tail, share = shares[rank]
        sentence = (
            f"{self.names[rank]} hangs: it has answered nothing for {self.patience / 60:g} minutes "
            f"and has {share - tail.lines:,} samples to go; the same command goes on where it is"
        )
        if rank == 0:
            faulthandler.dump_traceback(all_threads=True)
        self.hangs(sentence)


class _Thread(threading.Thread):
    """Looks once a second until the block is left."""

    def __init__(self, look: Callable[[], None], check: Callable[[], None]) -> None:
        super().__init__(name="monitor", daemon=True)
        self._look, self._check = look, check
        self._over = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(TICK):
                self._look()
                self._check()
        except Exception as error:  # raised again in the thread that can act on it
            self._error = error
            stopping.request(Stopped(str(error), stopping.ASKED))

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self.join()
        if self._error:
            raise self._error


def progress_bar() -> Progress:
    """How far, how long, and how much longer."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )

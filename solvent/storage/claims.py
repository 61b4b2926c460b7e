"""Who works on a cell: a file that its owner renews, so that two tasks never do one cell.

    claim-1.json  {"host": "node07", "pid": 4711, "job": "12_3", "beats": 17, ...}

A claim is made by creating the file of the next number, which only one process can do, on network
disks too, where locks cannot be trusted. Its owner counts `beats` up. Somebody who finds a claim
decides whether the owner lives without looking at any clock but its own: on the same machine by
its process, else by waiting for a beat. Who takes over from the dead creates the next number, and
an owner that finds a higher number than its own, after a long sleep say, gives up.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from solvent.core import stopping
from solvent.core.files import DiskError, disk_errors_explained, write_atomically
from solvent.core.stopping import Stopped

BEAT = 10.0  # seconds between two beats
PATIENCE = 3  # beats that may fail to come

log = logging.getLogger("solvent")


class BusyError(Exception):
    """Another process works on the cell."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Who works on a cell, and how far it is."""

    number: int
    machine: str  # same machine and process table, in one boot: here `pid` can be looked up
    host: str
    pid: int
    born: str  # when the process started, by the kernel's count: a pid may be used again
    job: str | None  # of Slurm
    beats: int = 0
    doing: str = ""
    done: int = 0
    total: int = 0

    @property
    def owner(self) -> str:
        """`process 4711 on node07 (Slurm job 12_3)`"""
        return f"process {self.pid} on {self.host}" + (
            f" (Slurm job {self.job})" if self.job else ""
        )

    @property
    def here(self) -> bool:
        """Whether its process can be looked up from this one."""
        return self.machine == _machine()

    def alive(self) -> bool:
        """Whether its process runs. Only of claims that were made here."""
        return _born(self.pid) == self.born


def mine(number: int) -> Claim:
    """A claim of this process."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return Claim(
        number=number,
        machine=_machine(),
        host=socket.gethostname(),
        pid=os.getpid(),
        born=_born(os.getpid()),
        job=f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID"),
    )


def holder(folder: Path) -> Claim | None:
    """The newest claim on a cell; None where nobody works on it."""
    numbers = [
        int(match[1])
        for path in folder.glob("claim-*.json")
        if (match := re.fullmatch(r"claim-(\d+)\.json", path.name))
    ]
    if not numbers:
        return None
    number = max(numbers)
    try:
        return Claim(**json.loads(_place(folder, number).read_text()))
    except FileNotFoundError:
        return holder(folder)  # it was given back meanwhile
    except (ValueError, TypeError):  # being written, or by another version
        return Claim(number=number, machine="", host="unknown", pid=0, born="", job=None)


@contextmanager
def claimed(folder: Path) -> Iterator[Holding]:
    """Hold the claim on a cell for the length of a `with` block. Raises `BusyError`.

    A thread beats, whatever the process is at. Where the cell is taken over nevertheless, the run
    is asked to stop.
    """
    holding, over = _take(folder), threading.Event()
    thread = threading.Thread(target=_keep_beating, args=(holding, over), daemon=True)
    thread.start()
    try:
        yield holding
    finally:
        over.set()
        thread.join()
        holding.give_back()


def clear(folder: Path) -> None:
    """Remove the claims on a finished cell, unless their owner is here and just about to do so."""
    found = holder(folder)
    if found is not None and not (found.here and found.alive()):
        for number in range(1, found.number + 1):
            _place(folder, number).unlink(missing_ok=True)


def _keep_beating(holding: Holding, over: threading.Event) -> None:
    while not over.wait(BEAT):
        try:
            holding.beat()
        except BusyError as busy:
            stopping.request(Stopped(str(busy), stopping.ASKED))
            return
        except DiskError as full:  # results, which cannot be written either, end the run
            log.warning("%s", full.strerror)


class Holding:
    """A claim that this process has."""

    def __init__(self, folder: Path, claim: Claim) -> None:
        self._folder, self.claim = folder, claim

    def tell(self, doing: str, done: int, total: int) -> None:
        """What the next beat says: what is being done, and how many of how many samples are."""
        self.claim = replace(self.claim, doing=doing, done=done, total=total)

    def beat(self) -> None:
        """Say that the owner is alive. Raises `BusyError` when somebody took the cell over."""
        newest = holder(self._folder)
        if newest is None or newest.number != self.claim.number:
            by = newest.owner if newest else "somebody"
            raise BusyError(
                f"{self._folder} was taken over by {by}, which took this process for dead"
            )
        self.claim = replace(self.claim, beats=self.claim.beats + 1)
        write_atomically(_place(self._folder, self.claim.number), _text(self.claim))

    def give_back(self) -> None:
        """End the claim, and clear those of the dead before it away."""
        for number in range(1, self.claim.number + 1):
            _place(self._folder, number).unlink(missing_ok=True)


def _take(folder: Path) -> Holding:
    while True:
        found = holder(folder)
        if found is not None and _lives(folder, found):
            how_far = f", {found.done:,} of {found.total:,} samples" if found.total else ""
            raise BusyError(
                f"{folder} is being worked on by {found.owner}{how_far}: nothing to do here; "
                "`python -m solvent status` shows how far it is"
            )
        claim = mine(found.number + 1 if found else 1)
        with disk_errors_explained(folder):
            # not `write_once`: that needs hard links, which not every shared disk has
            try:
                descriptor = os.open(
                    _place(folder, claim.number), os.O_CREAT | os.O_EXCL | os.O_WRONLY
                )
            except FileExistsError:
                continue  # somebody else was faster
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_text(claim))
        return Holding(folder, claim)


def _lives(folder: Path, claim: Claim) -> bool:
    """Whether a claim's owner lives. Waits for a beat where its process cannot be looked up."""
    if claim.here:
        return claim.alive()
    deadline = time.monotonic() + PATIENCE * BEAT
    while time.monotonic() < deadline:
        time.sleep(min(1.0, BEAT / 10))
        now = holder(folder)
        if now is None:
            return False
        if (now.number, now.beats, now.pid) != (claim.number, claim.beats, claim.pid):
            return True
    return False


def _place(folder: Path, number: int) -> Path:
    return folder / f"claim-{number}.json"


def _text(claim: Claim) -> str:
    return json.dumps(asdict(claim)) + "\n"


def _machine() -> str:
    """Names what shares a process table with this process until the next boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _born(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; "" where there is none.

    Elsewhere than on Linux only whether it exists.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        return "running" if _exists(pid) else ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

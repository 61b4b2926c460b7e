"""Ending on request, between two batches: Ctrl-C, SIGTERM, or a stop file.

While questions are answered, the first signal lets the batch be finished and kept; a second one
ends at once. Elsewhere a signal ends at once. Signals reach a process, not an object, so what was
asked is kept per process.

    STOP            the stop file: who wants the run to end makes it
    STOP.heard      a process of the run ended because it was asked to
    STOP.failed     a process of the run ended otherwise, with a failure of its own

The last two are made by the run, for who starts several processes with a launcher, which makes one
exit code of all of theirs. Who makes the first removes all three.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

STOP_FILE = "SOLVENT_STOP_FILE"  # environment variable: a path that is looked for between batches
ON_REQUEST, FAILED = ".heard", ".failed"  # stand behind its name
ASKED = 75  # exit code: EX_TEMPFAIL of sysexits.h, try again later
REASONS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "asked to end (SIGTERM: preemption, time limit, or cancelled)",
}

log = logging.getLogger("solvent")


class Stopped(BaseException):
    """The run was asked to stop, and did. No `Exception`: a sweep must not go on to its next cell.

    Attributes:
        why: in words.
        code: that the command exits with.
    """

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.why, self.code = why, code


class RemoteError(Exception):
    """Another process of this run failed, and has said why."""


class StopRequests:
    """What this process was asked by signals."""

    def __init__(self) -> None:
        self.pending: Stopped | None = None
        self.patient = False  # a batch is being answered

    def receive(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        why = REASONS[signal.Signals(number)]
        stopped = Stopped(why, 128 + number)
        if not self.patient or self.pending:
            raise stopped
        self.pending = stopped
        log.warning("%s: stopping after this batch; once more stops at once", why)


_requests = StopRequests()


@contextmanager
def listening() -> Iterator[None]:
    """Turn signals to this process into `Stopped` inside the block."""
    before = {number: signal.signal(number, _requests.receive) for number in REASONS}
    _requests.pending = None
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def patiently() -> Iterator[None]:
    """Inside the block a first signal waits for the next `check`."""
    before, _requests.patient = _requests.patient, True
    try:
        yield
    finally:
        _requests.patient = before


def check() -> None:
    """Raise `Stopped` when a signal has come, or the stop file is there."""
    if _requests.pending:
        pending, _requests.pending = _requests.pending, None
        raise pending
    place = os.environ.get(STOP_FILE)
    if place and Path(place).exists():
        raise Stopped(f"asked to end (the stop file {place})", ASKED)


def note_ending(ending: str) -> None:
    """Note beside the stop file how this process ends: `ON_REQUEST` or `FAILED`.

    Does nothing where no stop file is agreed upon.
    """
    place = os.environ.get(STOP_FILE)
    if not place:
        return
    try:
        Path(f"{place}{ending}").touch()
    except OSError as error:  # the run ends, whether or not somebody can be told
        log.warning("%s%s cannot be written (%s): submit again to go on", place, ending, error)


def request(stopped: Stopped) -> None:
    """Have the next `check` raise it. For threads, which cannot stop the main one."""
    _requests.pending = stopped

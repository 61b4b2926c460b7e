"""Time that is kept: a check that would run over is stopped, with what it has."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class TimeIsUpError(Exception):
    """The time that was given is over."""


class Clock:
    """Counts down from `minutes`; inside `running` it interrupts whatever takes longer."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self.end - time.monotonic())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises `TimeIsUpError` inside the block when the time is over. Main thread only."""

        def stop(*_: Any) -> None:
            raise TimeIsUpError

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, max(0.001, self.left))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def synchronize(device: torch.device) -> None:
    """Wait for what was asked of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, act: Any) -> float:
    """How long something takes, on the device too."""
    synchronize(device)
    started = time.perf_counter()
    act()
    synchronize(device)
    return time.perf_counter() - started

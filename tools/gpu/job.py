"""What every check is given."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from tools.gpu.clock import Clock, TimeIsUpError
from tools.gpu.report import Report

log = logging.getLogger("solvent.gpu")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Where to check, how thoroughly, and where to say it."""

    device: torch.device
    quick: bool  # small shapes: whether the checks themselves work
    report: Report
    clock: Clock

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of a check: what goes wrong in it is noted, and does not end the others."""
        started = time.monotonic()
        try:
            yield
        except TimeIsUpError:
            raise
        except Exception as error:  # whatever it is, it belongs on the page
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            why = f"{type(error).__name__}: {error} ({where})"
            self.report.fail(name, " ".join(why.split())[:400])
        log.info("%s: %.1f s, %.0f s left", name, time.monotonic() - started, self.clock.left)

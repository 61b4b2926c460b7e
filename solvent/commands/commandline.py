"""How a command ends, and the exit code that says so.

    0    everything that was asked is done
    1    a defect of ours, with its traceback
    2    bad input, or a cell that failed for a reason that one sentence tells
    75   stopped by a stop file, or another run works on the cell: try again later
    130  Ctrl-C
    143  SIGTERM
    70   a process of the run hung, or is gone

Every command takes `--config-dir DIR`, a folder of definitions and modules of the user's own.

With HYDRA_FULL_ERROR=1 in the environment, bad input keeps its traceback too. Where several
processes work together, the one that failed says why, and all end with a code that is not 0.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException

from solvent.cells.mistakes import sentence
from solvent.core.paths import own_folder
from solvent.core.redaction import redacted_text
from solvent.core.stopping import (
    ASKED,
    FAILED,
    ON_REQUEST,
    RemoteError,
    Stopped,
    listening,
    note_ending,
)
from solvent.core.text import visible
from solvent.storage.claims import BusyError
from solvent.studies.own_folder import own_definitions, taken_out

DEFECT = 1
BAD_INPUT = 2
BUSY = ASKED
INTERRUPTED = 130
RESUMES = "What was computed is kept; the same command goes on."


EXPECTED = (
    ValueError,
    OSError,  # what the disk, the network or a name says; whose defect it is, it tells
    HydraException,
    OmegaConfBaseException,
    yaml.YAMLError,
)


class Command:
    """One call of a command: its jobs (several in a sweep) and the exit code that they lead to."""

    def __init__(self, after_interruption: str = RESUMES) -> None:
        self.code = 0
        self.failed = False  # this process, not another one of the run
        self.after_interruption = after_interruption
        self.raises = os.environ.get("HYDRA_FULL_ERROR") == "1"
        self.process = os.getpid()
        self.own: str | Path | None = None  # folder of the user's definitions, for launchers' jobs

    @contextmanager
    def job(self) -> Iterator[None]:
        """A bad job says why in one sentence and lets the other jobs of the sweep go on."""
        with self._told(), own_definitions(self.own):
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except InstantiationException as error:
            if not isinstance(error.__cause__, EXPECTED):
                raise
            self._report(error.__cause__)
        except EXPECTED as error:
            self._report(error)
        except BusyError as error:
            self._report(error, BUSY)
        except RemoteError:
            self.code = BAD_INPUT  # the process that failed has said why

    def run(self, main: Callable[[], None]) -> None:
        """Run the whole command and exit."""
        logging.getLogger("solvent").setLevel(logging.WARNING)  # Hydra's root logger says less
        os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises what it would print and exit 1 on
        try:
            with listening(), self._told():  # what a launcher's job raised elsewhere, too
                typed, sys.argv[1:] = taken_out(sys.argv[1:])
                with own_definitions(typed):
                    self.own = own_folder()
                    main()
        except Stopped as stopped:
            why = redacted_text(stopped.why)
            sys.stderr.write(f"Stopped: {why}. {self.after_interruption}\n")
            self.code = stopped.code
            note_ending(ON_REQUEST)
        except KeyboardInterrupt:
            sys.stderr.write(f"Interrupted. {self.after_interruption}\n")
            self.code = INTERRUPTED
            note_ending(ON_REQUEST)
        except Exception:  # what Python would print, but for secrets
            sys.stderr.write(redacted_text(traceback.format_exc()))
            self.code = DEFECT
            note_ending(FAILED)
        else:
            if self.failed:
                note_ending(FAILED)
        finally:
            if not self.raises:
                del os.environ["HYDRA_FULL_ERROR"]
        sys.exit(self.code)

    def _report(self, error: BaseException, code: int = BAD_INPUT) -> None:
        if self.raises or os.getpid() != self.process:  # a launcher's job: its command must hear
            raise error
        sys.stderr.write(f"{visible(redacted_text(sentence(error)))}\n")
        if self.code != BAD_INPUT:  # which weighs more than that others are at work
            self.code = code
        self.failed = self.failed or code == BAD_INPUT

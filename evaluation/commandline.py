"""How a command ends: one clear sentence and exit code 2 for bad input, 130 after Ctrl-C.

Anything else is a defect of ours and keeps its traceback. With HYDRA_FULL_ERROR=1 in the
environment, bad input keeps it too.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException

BAD_INPUT = 2
INTERRUPTED = 130
RESUMES = "What was computed is kept; the same command goes on."


EXPECTED = (ValueError, FileNotFoundError, PermissionError, HydraException, OmegaConfBaseException)


class Command:
    """One call of a command: its jobs (several in a sweep) and the exit code that they lead to."""

    def __init__(self, after_interruption: str = RESUMES) -> None:
        self.code = 0
        self.after_interruption = after_interruption
        self.raises = os.environ.get("HYDRA_FULL_ERROR") == "1"
        self.process = os.getpid()

    @contextmanager
    def job(self) -> Iterator[None]:
        """A bad job says why in one sentence and lets the other jobs of the sweep go on."""
        try:
            yield
        except InstantiationException as error:
            if not isinstance(error.__cause__, EXPECTED):
                raise
            self._report(error.__cause__)
        except EXPECTED as error:
            self._report(error)

    def run(self, main: Callable[[], None]) -> None:
        """Run the whole command and exit."""
        os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises what it would print and exit 1 on
        try:
            with self.job():  # what a launcher's job raised in another process is raised again here
                main()
        except KeyboardInterrupt:
            sys.stderr.write(f"Interrupted. {self.after_interruption}\n")
            self.code = INTERRUPTED
        finally:
            if not self.raises:
                del os.environ["HYDRA_FULL_ERROR"]
        sys.exit(self.code)

    def _report(self, error: BaseException) -> None:
        if self.raises or os.getpid() != self.process:  # a launcher's job: its command must hear
            raise error
        hydras = isinstance(error, HydraException | OmegaConfBaseException)
        sys.stderr.write(f"{_explain(error) if hydras else error}\n")
        self.code = BAD_INPUT


def _explain(error: BaseException) -> str:
    """Hydra's message in one sentence, with the nearest known name."""
    text = str(error)
    if match := re.search(r"Could not find '(?P<group>[^/']+)/(?P<name>[^']+)'", text):
        known = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
        return (
            f"There is no {match['group']} named {match['name']!r}"
            f"{_nearest(match['name'], known)}; known are {', '.join(known)}."
        )
    if match := re.search(r"Key '(?P<key>[^']+)' is not in struct", text):
        path = re.search(r"full_key: (?P<path>\S+)", text)
        key = path["path"] if path else match["key"]
        return f"There is no setting {key!r}; `python evaluate.py --help` lists them all."
    if match := re.search(r"Could not override '(?P<key>[^']+)'", text):
        return f"There is no setting {match['key']!r}; `python evaluate.py --help` lists them all."
    if match := re.search(r"Missing mandatory value: (?P<key>\S+)", text):
        return (
            f"The setting {match['key']!r} has no value of its own: give it, as {match['key']}=..."
        )
    return " ".join(text.split())


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""

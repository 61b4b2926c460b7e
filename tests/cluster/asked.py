"""Stands in for `solvent task`: a process waits for the stop file, and then ends its own way.

ENDINGS says how, by rank; READY is a folder in which every process says that it waits.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from solvent.commands.commandline import Command
from solvent.core.stopping import STOP_FILE, check

command = Command()


def main() -> None:
    rank = int(os.environ.get("RANK", "0"))
    (Path(os.environ["READY"]) / str(rank)).touch()
    while not Path(os.environ[STOP_FILE]).exists():
        time.sleep(0.01)
    ending = os.environ["ENDINGS"].split()[rank]
    if ending == "hears":
        check()
    elif ending == "refuses":
        with command.job():
            raise ValueError("this cell cannot be computed")
    elif ending == "breaks":
        raise ZeroDivisionError("a defect")
    elif ending == "waits":  # as one that is in the middle of a batch
        time.sleep(60)
    else:
        os.kill(os.getpid(), signal.Signals[ending])


if __name__ == "__main__":
    command.run(main)

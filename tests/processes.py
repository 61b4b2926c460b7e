"""Runs of the evaluator in processes of their own, which can be killed.

They are forked from a clean server process that has imported the evaluator once.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from solvent.core.paths import CONF

ROOT = Path(__file__).resolve().parent.parent
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}  # audit events

_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.warm"])


def killed() -> None:
    """By the memory, or its node."""
    os.kill(os.getpid(), signal.SIGKILL)


def stopped() -> None:
    """All threads stand still."""
    os.kill(os.getpid(), signal.SIGSTOP)


def stuck() -> None:
    """The thread stands still; others live."""
    threading.Event().wait()


@dataclass(frozen=True, kw_only=True)
class Death:
    """When a process dies, and of what: just before it changes the disk for the n-th time."""

    rank: int
    change: int
    cause: Callable[[], None] = killed


def start(
    overrides: Sequence[str], size: int, death: Death | None = None, commit: str | None = None
) -> list[BaseProcess]:
    """Start `size` processes that work on one run together.

    Args:
        overrides: of Hydra.
        size: number of processes.
        death: of one of them.
        commit: of the code, as they are told; None: the real one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes: list[BaseProcess] = []
    for rank in range(size):
        dies = death if death and death.rank == rank else None
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size,
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
        environment = {key: str(value) for key, value in place.items()}
        process = _context.Process(target=_work, args=(list(overrides), environment, dies, commit))
        process.start()
        processes.append(process)
    return processes


def finish(processes: Sequence[BaseProcess], seconds: float = 300.0) -> list[int]:
    """Wait for processes as a launcher does: when one dies, the others are ended. Exit codes."""
    deadline = time.monotonic() + seconds
    while any(process.is_alive() for process in processes):
        if any(process.exitcode not in (None, 0) for process in processes):
            time.sleep(0.5)  # they may yet end by themselves, having said why
            kill(processes)
        if time.monotonic() > deadline:
            kill(processes)
            raise AssertionError(f"processes did not end within {seconds:g} s")
        time.sleep(0.01)
    return [process.exitcode for process in processes]


def said(output: Path) -> str:
    """What all processes of all runs with this output wrote to their standard error."""
    return Path(f"{output}.err").read_text()


def kill(processes: Sequence[BaseProcess]) -> None:
    """SIGKILL to all."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def complete(overrides: Sequence[str], size: int) -> None:
    """A run to its end."""
    codes = finish(start(overrides, size))
    assert codes == [0] * size, codes


def contents(folder: Path) -> dict[str, bytes]:
    """All results below a folder: everything but clocks, hardware and pictures."""
    left_out = ("timing.json", "provenance.json", "config.yaml", "multirun.yaml")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out and path.suffix != ".png"
    }


def _work(
    overrides: list[str], environment: dict[str, str], dies: Death | None, commit: str | None
) -> None:
    os.environ.update(environment)
    import torch
    from hydra import compose, initialize_config_dir

    from solvent.cells import provenance
    from solvent.cells.processes.parallel import team
    from solvent.cells.run import run_cell
    from solvent.commands.commandline import Command

    torch.set_num_threads(1)
    team.cache_clear()  # the server was alone
    output = next(text.partition("=")[2] for text in overrides if text.startswith("output="))
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    os.dup2(os.open(f"{output}.err", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    if dies is not None:
        _die_at(dies, output)
    if commit is not None:
        provenance._code = lambda: {"commit": commit, "uncommitted_changes": False}
    command = Command()

    def main() -> None:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("evaluate", overrides)
        with command.job():
            run_cell(config)

    command.run(main)


def _die_at(death: Death, output: str) -> None:
    left = [death.change]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or not str(arguments[0]).startswith(output):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        left[0] -= 1
        if left[0] < 0:
            death.cause()

    sys.addaudithook(hook)


def moment(draw: random.Random, size: int, changes: int) -> Death:
    """Any process at any change of the disk; `changes` of the main process are to be expected."""
    rank = draw.randrange(size)
    return Death(rank=rank, change=draw.randrange(changes if rank == 0 else max(2, changes // 4)))

"""A checkout of its own in which commands are typed as the pages have them, with a real shell.

`python`, `python3` and `solvent` are small programs that hand everything (arguments, folder,
environment, standard streams) to a server that has imported the package once; it forks for every
command. So a command costs what it does, and not what it imports.

Two things are not as the page has them: runs are asked `QUESTIONS` questions (with modality-usage
tests `TESTED`) instead of all, and figures are laid out, but not painted.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.documents.pages import ROOT

QUESTIONS = 18
TESTED = 45  # five a kind: with fewer a picture has no four others that take its place
ASKING = ("evaluate.py", "evaluate", "plan", "calibrate")  # commands that have a limit
LEFT_OUT = (".git", ".venv*", "outputs", "*.egg-info", ".pytest_cache", ".ruff_cache")
PROGRAM = """#!{python} -IS
import json, os, socket, sys
given = [each for each in sys.argv[1:] if each != "-u"]
if os.path.basename(sys.argv[0]) == "solvent":
    given = ["-m", "solvent", *given]
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[0], given, os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [asked.encode()], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    code = server.makefile().read()
sys.exit(int(code))
"""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of this repository, and programs that run its commands."""

    folder: Path
    programs: Path

    def type_in(self, lines: str) -> subprocess.CompletedProcess[str]:
        """What a shell makes of some lines; it ends at the first that fails."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "SOLVENT_CACHE": str(self.programs)},
            capture_output=True,
            text=True,
        )

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Whatever comes into the checkout leaves it again."""
        before = {path.name for path in self.folder.iterdir()}
        try:
            yield
        finally:
            for path in self.folder.iterdir():
                if path.name not in before:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def checked_out(place: Path) -> Iterator[Checkout]:
    """A checkout below a folder, where `make` finds its environment built."""
    folder, programs, address = place / "solvent", place / "programs", str(place / "server")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    programs.mkdir()
    for name in ("python", "python3", "solvent"):
        program = programs / name
        program.write_text(PROGRAM.format(python=sys.executable, address=address))
        program.chmod(0o755)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(programs)
    (folder / ".venv/installed").touch()
    (programs / "activate").touch()
    serving = subprocess.Popen(
        [sys.executable, "-m", "tests.documents.checkout", address],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    try:
        while not Path(address).exists():
            assert serving.poll() is None, "the server of commands did not start"
            time.sleep(0.05)
        yield Checkout(folder=folder, programs=programs)
    finally:
        serving.kill()
        serving.wait()


def serve(address: str) -> NoReturn:
    """Run commands, each in a process of its own, until somebody kills us."""
    from matplotlib.figure import Figure

    from tests import warm  # noqa: F401 - what all of them would import

    Figure.savefig = lambda figure, path, **settings: Path(path).touch()  # type: ignore
    Figure.tight_layout = lambda figure: None  # type: ignore
    gc.freeze()  # what is here already stays shared with every child
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen()
        os.rename(f"{address}.new", address)  # now it can be asked
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run what is asked for in a child, and tell its exit code. Returns never: it exits."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while more := connection.recv(1 << 20):
        said += more
    child = os.fork()
    if child == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        leave(run(*json.loads(said)))
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def leave(code: int) -> NoReturn:
    """End as Python does, but for the memory of the server, which nobody has to tidy up."""
    threading._shutdown()  # type: ignore[attr-defined] - waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(program: str, given: Sequence[str], folder: str, environment: Mapping[str, str]) -> int:
    """What Python does with its arguments; the exit code."""
    import torch

    from solvent.cells.processes.parallel import team

    team.cache_clear()  # the server was alone
    torch.set_num_threads(1)  # renews, before many ask for it, the pool that a fork loses
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.executable = program  # what a launcher starts
    paths = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:0] = [folder, *paths]
    try:
        if given[0] == "-m":
            sys.argv = [given[1], *few(given[2:])]
            runpy.run_module(given[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = few(given)
            runpy.run_path(given[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def few(given: Sequence[str]) -> list[str]:
    """The same command about some questions only."""
    asks = bool(given) and given[0] in ASKING and not {"--help", "--cfg"} & set(given)
    kept = [each for each in given if not (asks and re.match(r"\+*limit=", each))]
    questions = TESTED if any("diagnostic" in each for each in given) else QUESTIONS
    return [*kept, f"limit={questions}"] if asks else kept


if __name__ == "__main__":
    serve(sys.argv[1])

"""Whatever W&B does, the cell goes on, and one sentence says what happened."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from solvent.tracking import sending, starting
from tests.cells.followed import IDENTITY, finish, follow, weights_and_biases
from tests.conftest import ROOT
from tests.tracking.compared import told
from tests.tracking.offline_runs import OfflineRun, ended

IN_A_TERMINAL = """
import logging, os, signal, sys, time
from pathlib import Path
logging.basicConfig(format="%(message)s")
from tests.cells.followed import IDENTITY, finish, follow, weights_and_biases
place = Path(sys.argv[1])
other = "pai-abcdefabcdef"
with follow(weights_and_biases(place, mode="online"), place / other, identity=other) as followed:
    assert finish(followed, place / other)
with follow(weights_and_biases(place), place / IDENTITY) as followed:
    followed.progress(4, 0, "real")
    time.sleep(2.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_SERVICE", "WANDB_SILENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    starting.say_once.cache_clear()


def answered(folder: Path, **settings: Any) -> bool:
    """A whole cell; whether it was logged."""
    with follow(weights_and_biases(folder, **settings), folder / IDENTITY) as followed:
        followed.progress(4, 0, "real")
        followed.progress(8, 0, "real")
        return finish(followed, folder / IDENTITY)


def nothing(*_: Any, **__: Any) -> None:
    """What a fake does that matters to nobody."""


def fake(folder: Path, **run: Callable[..., Any]) -> Any:
    """A W&B whose runs do what they are told to."""
    calls = {
        "log": nothing,
        "define_metric": nothing,
        "finish": nothing,
        "log_artifact": nothing,
        "mark_preempting": nothing,
    }
    made = SimpleNamespace(
        **calls | run,
        dir=str(folder / "run/files"),
        id="1",
        summary={},
        offline=False,
        entity="somebody",
    )
    package = ModuleType("wandb")
    package.__dict__.update(
        setup=nothing,
        teardown=nothing,
        login=lambda **_: True,
        init=lambda **_: made,
        Settings=type("Settings", (SimpleNamespace,), {"model_fields": {"silent": None}}),
        Image=nothing,
        Table=nothing,
        Html=nothing,
        Artifact=lambda *_, **__: SimpleNamespace(add_file=nothing),
        errors=SimpleNamespace(
            UsageError=type("UsageError", (Exception,), {}),
            CommError=type("CommError", (Exception,), {}),
        ),
    )
    return package


def refuse(*_: Any, **__: Any) -> None:
    raise RuntimeError("the key sk-abcdefghijklmnopqrstuvwxyz was refused")


def install(monkeypatch: pytest.MonkeyPatch, package: Any) -> None:
    monkeypatch.setitem(sys.modules, "wandb", package)


def test_the_fake_itself_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake(tmp_path))
    assert answered(tmp_path)


def test_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, None)
    assert not answered(tmp_path)
    (message,) = caplog.messages
    assert "W&B failed to start a run (ModuleNotFoundError" in message
    assert "The run goes on" in message


def test_a_broken_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wandb.py").write_text("raise SystemExit('wrong protobuf')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    assert not answered(tmp_path / "cells")
    (message,) = caplog.messages
    assert "SystemExit: wrong protobuf" in message


@pytest.mark.parametrize("call", ["log", "log_artifact", "finish", "define_metric"])
def test_a_call_that_raises(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, fake(tmp_path, **{call: refuse}))
    assert not answered(tmp_path)
    assert 1 <= len(caplog.messages) <= 2  # progress is one matter, results are another
    assert "the key [redacted] was refused" in caplog.text
    assert "Run the same command again" in caplog.text


def test_progress_that_fails_once_is_said_once_and_the_end_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([refuse])

    def log(*values: Any) -> None:
        next(outcomes, nothing)(*values)

    install(monkeypatch, fake(tmp_path, log=log))
    assert answered(tmp_path)
    (message,) = caplog.messages
    assert "Its results are logged when the cell is finished." in message


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A call that does not come back before the test is over."""
    over = threading.Event()
    monkeypatch.setattr(sending, "STARTING", 0.3)
    yield lambda *_, **__: over.wait()
    over.set()


@pytest.mark.parametrize("call", ["log", "finish"])
def test_a_call_that_hangs(
    call: str,
    hanging: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(sending, "end_service", lambda: ended.append(True))
    install(monkeypatch, fake(tmp_path, **{call: hanging}))
    began = time.monotonic()
    assert not answered(tmp_path, finish_timeout=0)
    assert time.monotonic() - began < 5
    assert ended
    assert "did not answer" in caplog.text


@pytest.mark.parametrize("call", ["log", "log_artifact", "finish"])
def test_a_comparison_that_is_not_logged_goes_on(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, fake(tmp_path, **{call: refuse}))
    assert not told(weights_and_biases(tmp_path), tmp_path / "comparison")
    assert "the key [redacted] was refused" in caplog.text
    assert "Run the same command again to log the comparison." in caplog.text
    assert not (tmp_path / "comparison/workspace.json").exists()


def test_online_a_cell_is_added_to_and_a_comparison_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = fake(tmp_path)
    init, begun = package.init, []

    def begin(**settings: Any) -> Any:
        begun.append((settings["id"][:8], settings["resume"]))
        return init(**settings)

    package.init = begin
    install(monkeypatch, package)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    assert answered(tmp_path)
    assert told(weights_and_biases(tmp_path), tmp_path / "comparison")
    assert begun == [("01234567", "allow"), ("compare-", None)]


def test_without_a_network_it_logs_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = fake(tmp_path)
    init, modes = package.init, []

    def begin(**settings: Any) -> Any:
        modes.append(settings["mode"])
        if settings["mode"] == "online":
            raise package.errors.CommError("no such host")
        return init(**settings)

    package.init = begin
    install(monkeypatch, package)
    assert answered(tmp_path)
    assert modes == ["online", "offline"]
    (message,) = caplog.messages
    assert "W&B cannot be reached (no such host); logging offline" in message


def test_switched_off_nothing_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, fake(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert not answered(tmp_path)
    (message,) = caplog.messages
    assert "switched off" in message


def test_in_a_terminal_it_asks_nothing_and_a_killed_run_is_completed(tmp_path: Path) -> None:
    """Nobody is logged in, and somebody could answer: both modes must go on. The second cell is
    killed with SIGKILL, and run again.
    """
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, str(tmp_path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        code = process.wait(timeout=180)
    finally:
        process.kill()
        os.set_blocking(ours, False)  # W&B's own process may keep the terminal open
        said = b"".join(iter(lambda: _read(ours), b"")).decode()
        os.close(ours)
    assert code == -signal.SIGKILL, said
    assert said.count("not logged in") == 1, said
    (killed,) = (tmp_path / "wandb").glob("offline-run-*-0123456789ab")
    torn = OfflineRun(killed)
    assert torn.exit_code is None
    assert [point["progress/done"] for point in torn.history] == [4]  # not even that was lost
    assert answered(tmp_path)
    (completed,) = (tmp_path / "wandb").glob("offline-run-*-0123456789ab")
    whole = ended(completed)
    assert whole.exit_code == 0
    assert whole.summary["score/value"] == 0.5
    assert len(whole.table("predictions")) == 4
    assert len(list((tmp_path / "wandb").glob("offline-run-*-abcdefabcdef"))) == 1


def _read(descriptor: int) -> bytes:
    """What a terminal still shows."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""

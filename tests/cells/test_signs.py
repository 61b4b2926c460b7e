"""A process that is stopped is named and ends the run, whatever it was doing; a slow one is not."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.cells.processes import signs
from solvent.cells.processes.signs import DOING, LOADING, WAITING, Clock, Peer, Signs, connect
from solvent.cells.run import run_cell
from solvent.studies.cell_status import status_of
from tests.processes import Death, finish, kill, killed, said, start, stopped

pytestmark = pytest.mark.xdist_group("processes")  # which share one server

PATIENCE = "stuck_minutes=0.1"  # 6 s
RUN = ("limit=9", "batch_size=3", PATIENCE)  # of two processes the second answers one batch


def loading(stops: int | None, seconds: float) -> tuple[str, ...]:
    """Settings: which process is stopped while it loads, and what the second one takes."""
    return (*RUN, "model._target_=tests.cells.slow_loading.load",
            f"+model.stops={'null' if stops is None else stops}", "+model.rank=1",
            f"+model.seconds={seconds}")  # fmt: skip


def test_a_process_that_is_stopped_is_named_and_the_run_ends(tmp_path: Path) -> None:
    """Before its first batch, after its last, and the main process, which nobody else watches."""
    last = Death(rank=1, change=1, cause=stopped)  # its predictions are kept, the times not yet
    cases = {
        "first": (loading(1, 0), None, 1, "loading the model"),
        "last": (RUN, last, 1, "answering"),
        "main": (loading(0, 0), None, 0, "loading the model"),
    }
    runs = {
        name: start([*settings, f"output={tmp_path / name}"], 2, death)
        for name, (settings, death, *_) in cases.items()
    }
    began = time.monotonic()
    try:
        for name, (_, _, hangs, doing) in cases.items():
            processes, output = runs[name], tmp_path / name
            notices = processes[1 - hangs]
            notices.join(90 - (time.monotonic() - began))
            assert notices.exitcode == 70, name
            assert processes[hangs].is_alive()  # until a launcher kills it
            sentence, *rest = [line for line in said(output).splitlines() if " hangs: " in line]
            assert rest == []
            assert sentence.startswith(f"process {hangs} (pid {processes[hangs].pid} on ")
            assert f"no sign of life for 0.1 minutes and was last seen {doing};" in sentence
            (outcome,) = output.rglob("outcome.json")
            assert json.loads(outcome.read_text())["why"] == sentence
    finally:
        for processes in runs.values():
            kill(processes)
    for name in cases:
        (cell,) = (tmp_path / name / "study/tiny/shapes").iterdir()
        shown = status_of(cell)
        assert (shown.state, shown.total) == ("failed", 9)
        assert "no sign of life" in shown.why


def test_a_process_that_loads_for_long_and_a_run_that_is_suspended_are_left_alone(
    tmp_path: Path,
) -> None:
    """Each for longer than the patience; and nothing is left behind."""
    output = tmp_path / "out"
    processes = start([*loading(None, 16), f"output={output}"], 2)
    while not list(output.rglob("config.yaml")):
        time.sleep(0.01)
        assert all(process.is_alive() for process in processes)
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    time.sleep(8)
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)
    assert finish(processes) == [0, 0]
    (cell,) = (output / "study/tiny/shapes").iterdir()
    assert {path.name for path in cell.iterdir()} == {
        "DONE", "config.yaml", "figures", "identity.json", "metrics.json", "predictions.jsonl",
        "provenance.json", "timing.json"}  # fmt: skip


def test_who_survives_another_process_says_so_in_a_sentence(tmp_path: Path) -> None:
    output = tmp_path / "out"
    main, other = start([*RUN, f"output={output}"], 2, Death(rank=1, change=1, cause=killed))
    main.join(90)
    other.join(90)
    assert (main.exitcode, other.exitcode) == (70, -9)
    assert "Stopped: another process of this run is gone" in said(output)
    assert "Traceback" not in said(output)
    (outcome,) = output.rglob("outcome.json")
    assert json.loads(outcome.read_text())["state"] == "stopped"


def test_a_clock_stands_still_while_its_process_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([0.0, 1.0, 2.5, 5000.0, 5001.0])  # one look is due every second
    monkeypatch.setattr(signs.time, "monotonic", lambda: next(moments))
    clock = Clock()
    assert [clock.look() for _ in range(4)] == [1.0, 2.5, 4.5, 5.5]


@pytest.fixture
def pair() -> Iterator[tuple[Peer, Peer]]:
    one, other = socket.socketpair()
    with one, other:
        yield Peer("process 1", one), Peer("process 0", other)


def test_a_process_hears_what_the_other_does_and_when_it_has_ended(
    pair: tuple[Peer, Peer],
) -> None:
    main, other = pair
    main.tell(LOADING)
    main.tell(WAITING)
    other.listen(7.0)
    assert (DOING[other.doing], other.heard, other.ended) == ("waiting for the others", 7.0, False)
    other.listen(8.0)  # nothing new
    assert (other.heard, other.ended) == (7.0, False)
    main._link.close()
    other.listen(9.0)
    assert (other.heard, other.ended) == (7.0, True)


def test_signs_that_nobody_reads_never_make_a_process_wait(pair: tuple[Peer, Peer]) -> None:
    main, other = pair
    main._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for _ in range(100_000):
        main.tell(LOADING)
    assert not main.ended
    other.listen(1.0)
    assert other.heard == 1.0


def test_a_machine_that_is_gone_is_silent_and_has_not_ended(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[Peer, Peer]
) -> None:
    """The kernel gives its connection up after a while, which may be shorter than the patience."""
    _, other = pair

    class Link:
        def recv(self, size: int) -> bytes:
            raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(other, "_link", Link())
    other.listen(9.0)
    other.listen(10.0)
    assert (other.heard, other.ended) == (0.0, False)


def test_who_does_not_belong_to_the_run_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    names, links = ["process 0", "process 1"], []

    def share(mine: tuple[int, str]) -> list[object]:
        """As the other process comes, somebody else has come before it."""
        for greeting in (b"", b"who is there?", b"0" * 40, f"{mine[1]}00000001".encode()):
            link = socket.create_connection(("127.0.0.1", mine[0]))
            link.sendall(greeting)
            link.shutdown(socket.SHUT_WR)
            links.append(link)
        return [mine, None]

    (peer,) = connect(0, names, share)._peers
    assert peer.name == "process 1"
    for link in links[:-1]:
        assert link.recv(1) == b""
    assert links[-1].recv(1) == bytes([signs.PREPARING])
    for link in (*links, peer._link):
        link.close()


def test_a_process_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "ARRIVE_WITHIN", 0.2)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    names = ["process 0", "process 1"]
    with pytest.raises(ValueError, match="process 1 has not connected to the main process"):
        connect(0, names, lambda mine: [mine, None])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ValueError, match=f"process 0 cannot be reached at 127.0.0.1, port {port}"):
        connect(1, names, lambda _: [(port, "0" * 32), None])


@pytest.mark.parametrize("minutes", ["soon", 0, -1, 0.01, float("nan"), None])
def test_patience_is_a_number_of_minutes(
    composed: Callable[..., DictConfig], minutes: object
) -> None:
    with pytest.raises(ValueError, match=r"stuck_minutes is .*expected a number of minutes"):
        Signs().expect(minutes)
    config = composed()
    config.stuck_minutes = minutes
    with pytest.raises(ValueError, match="stuck_minutes is"):
        run_cell(config)

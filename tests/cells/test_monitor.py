"""How far a cell is, counted from what its processes append."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvent.cells.processes.monitor import Monitor, Tail, stuck
from solvent.cells.processes.signs import HANGS, Signs
from solvent.core.stopping import ASKED, STOP_FILE, Stopped
from solvent.storage.folder import CellFolder
from solvent.storage.records import FAILED


def add(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(lines)


def test_a_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "part-0.jsonl")
    for written, lines, failed in [
        (b"", 0, 0),
        (b"{}\n{", 1, 0),
        (FAILED, 1, 0),
        (b"}\n{}\n", 3, 1),
    ]:
        add(tail.path, written)
        tail.look()
        assert (tail.lines, tail.failed) == (lines, failed)


def test_a_process_is_stuck_that_has_more_to_do_and_adds_nothing(tmp_path: Path) -> None:
    now = 100.0
    done, busy = Tail(tmp_path / "0", lines=5, grown=40), Tail(tmp_path / "1", lines=3, grown=100)
    silent = Tail(tmp_path / "2", lines=3, grown=40)
    assert stuck([(done, 5), (busy, 5)], 30, now) is None
    assert stuck([(done, 5), (busy, 5), (silent, 5)], 30, now) == 2
    assert stuck([(silent, 5)], 90, now) is None


def test_a_run_that_hangs_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which who asked it to stop must know: to try again would end the same way."""
    monkeypatch.setenv(STOP_FILE, str(tmp_path / "stop"))
    monkeypatch.setattr("os._exit", lambda code: codes.append(code))
    codes: list[int] = []
    Signs().end_run("process 1 hangs")
    assert codes == [HANGS]
    assert (tmp_path / "stop.failed").exists()


def test_what_was_done_last_is_seen_and_told_at_the_end(tmp_path: Path) -> None:
    folder, told = CellFolder(tmp_path), []
    add(folder.part(0), b"{}\n")
    monitor = Monitor(progress=lambda *facts: told.append(facts))
    with monitor.follow(folder, "real", 1, 4, [2, 1]):
        add(folder.part(0), b"{}\n", b"{" + FAILED + b"}\n")
        add(folder.part(1), b"{}\n")
    assert told[-1] == (4, 1, "real")
    assert monitor.failed == 1


def test_what_was_done_last_is_seen_when_a_run_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, monitor = CellFolder(tmp_path), Monitor()

    def interrupted() -> None:
        with monitor.follow(folder, "real", 0, 4, [4]):
            add(folder.part(0), b"{}\n", b"{}\n", b"{" + FAILED + b"}\n")
            raise Stopped("asked to", ASKED)

    with pytest.raises(Stopped):
        interrupted()
    assert monitor.failed == 1
    assert "3/4" in capsys.readouterr().out

"""Files are whole or as before, and lines that several processes add to one are all there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from solvent.core.files import (
    DiskError,
    append,
    disk_errors_explained,
    read_lines,
    replacing,
    write_atomically,
    write_once,
)

PROCESSES, LINES = 4, 60


def text(process: int, number: int) -> str:
    """A line between 20 bytes and 40 kB, of characters of one and of two bytes."""
    return json.dumps([process, number, "aé" * (number * 7919 % 13000)], ensure_ascii=False)


def add(path: Path, process: int, together: Barrier) -> None:
    together.wait()
    for number in range(LINES):
        append(path, [text(process, number)])


def test_lines_of_several_processes_are_all_whole(tmp_path: Path) -> None:
    context = get_context("spawn")
    path, together = tmp_path / "lines.jsonl", context.Barrier(PROCESSES)
    adding = [
        context.Process(target=add, args=(path, process, together)) for process in range(PROCESSES)
    ]
    for each in adding:
        each.start()
    for each in adding:
        each.join()
    assert [each.exitcode for each in adding] == [0] * PROCESSES
    found = path.read_text(encoding="utf-8").split("\n")
    expected = [text(process, number) for process in range(PROCESSES) for number in range(LINES)]
    assert sorted(filter(None, found)) == sorted(expected)
    assert sorted(map(json.dumps, read_lines(path))) == sorted(
        json.dumps(json.loads(line)) for line in expected
    )


@pytest.mark.parametrize("torn", [b'{"key": "a", "rep', b'"', b"7", "é".encode()[:1]])
def test_a_torn_line_costs_no_other(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "lines.jsonl"
    append(path, ["1", "2"])
    for number in (3, 4):
        with path.open("ab") as file:
            file.write(torn)  # a kill in the middle of a write
        before = path.read_bytes()
        assert list(read_lines(path))[:2] == [1, 2]
        assert path.read_bytes() == before  # another process may be writing it
        append(path, [str(number)])
    assert [value for value in read_lines(path) if value != 7] == [1, 2, 3, 4]


def test_the_setting_that_says_where_to_write_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot be written \(Is a directory\): .*here=PLACE"):
        append(tmp_path, ["1"], "here=PLACE")
    with (
        pytest.raises(DiskError, match="another place with output=FOLDER"),
        disk_errors_explained(tmp_path),
    ):
        tmp_path.open("a")


def torn() -> Iterator[bytes]:
    yield b"half of the "
    raise KeyboardInterrupt


def replace_half(path: Path, *, shared: bool) -> None:
    with replacing(path, shared=shared) as new:
        new.write_bytes(b"half of the ")
        assert (path.read_text(), new.parent) == ("old", path.parent)
        raise KeyboardInterrupt


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_is_replaced_whole_or_stays(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(KeyboardInterrupt):
        replace_half(path, shared=shared)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, torn())
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"file": "old"}
    with pytest.raises(DiskError, match="Is a directory"):
        write_atomically(tmp_path, "new")
    with replacing(path, shared=shared) as new:
        new.write_text("new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_only_what_several_may_write_at_once_has_a_name_of_its_own(tmp_path: Path) -> None:
    """A kill leaves a file beside a cell's only until the next run, which writes it again."""
    path = tmp_path / "file"
    (tmp_path / "file.new").write_text("left by a kill")
    with replacing(path, shared=True) as one, replacing(path, shared=True) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    write_atomically(path, "last")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["last"]


def test_of_several_who_write_a_file_once_the_first_one_wins(tmp_path: Path) -> None:
    path, together = tmp_path / "file", threading.Barrier(8)

    def write(number: int) -> bool:
        together.wait()
        return write_once(path, f"{number}\n" * 10_000)

    with ThreadPool(8) as pool:
        wrote = pool.map(write, range(8))
    assert sum(wrote) == 1
    assert path.read_text() == f"{wrote.index(True)}\n" * 10_000
    assert list(tmp_path.iterdir()) == [path]

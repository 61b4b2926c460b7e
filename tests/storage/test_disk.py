"""Lines that several processes add to one file, and what a kill leaves of them."""

from __future__ import annotations

import json
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from solvent.core.files import DiskError, append, disk_errors_explained, read_lines

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

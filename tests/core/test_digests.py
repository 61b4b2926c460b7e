"""Digests are those of the bytes, whatever was kept, and whatever a file's times say."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from solvent.core import digests as module
from solvent.core.digests import combined, digest, digests


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read."""
    names: list[str] = []
    original = module._read
    monkeypatch.setattr(module, "_read", lambda path: (names.append(path.name), original(path))[1])
    return names


def aged(path: Path, content: bytes) -> Path:
    """A file as it lies there for a while: its times are older than a tick."""
    path.write_bytes(content)
    return path


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "FRESH", -60.0)  # files count as old at once
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))


def test_bytes_are_read_once(tmp_path: Path, read: list[str]) -> None:
    paths = [aged(tmp_path / name, name.encode()) for name in ("a", "b")]
    expected = {path: sha256(path.name.encode()) for path in paths}
    assert digests(paths) == expected
    assert sorted(read) == ["a", "b"]
    assert digests([*paths, tmp_path / "gone", tmp_path / "no" / "folder"]) == expected | {
        tmp_path / "gone": None, tmp_path / "no" / "folder": None,
    }  # fmt: skip
    assert sorted(read) == ["a", "b"]


def test_what_was_written_again_is_read_again(tmp_path: Path, read: list[str]) -> None:
    """Also where size and time of modification are as before: `cp -p`, `rsync -t`, `touch -r`."""
    path = aged(tmp_path / "a", b"one")
    before = path.stat()
    assert digest(path) == sha256(b"one")
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (3, before.st_mtime_ns)
    assert digest(path) == sha256(b"two")
    assert read == ["a", "a"]


def test_a_file_of_this_moment_is_not_kept(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written again within the same tick of the clock, and nothing would tell."""
    monkeypatch.setattr(module, "FRESH", 3600.0)
    path = aged(tmp_path / "a", b"one")
    for _ in range(2):
        assert digest(path) == sha256(b"one")
    assert read == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"a": 1}', b'{"a": [[1, 2, 3]]}', b"\xff"])
def test_a_damaged_store_is_made_again(tmp_path: Path, content: bytes) -> None:
    path = aged(tmp_path / "a", b"one")
    digest(path)
    (store,) = (tmp_path / "cache").rglob("*.json")
    store.write_bytes(content)
    assert digest(path) == sha256(b"one")
    assert json.loads(store.read_bytes())["a"][1] == sha256(b"one")


def test_a_cache_that_cannot_be_written_is_said_and_costs_nothing_else(
    tmp_path: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "file"))
    path = aged(tmp_path / "a", b"one")
    with caplog.at_level("WARNING", logger="solvent"):
        assert {digest(path) for _ in range(3)} == {sha256(b"one")}
    assert caplog.text.count("set SOLVENT_CACHE to a folder that can be written") == 1
    assert read == ["a"]  # this process remembers
    path.write_bytes(b"other")
    assert digest(path) == sha256(b"other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone cannot be read: restore it"):
        digest(tmp_path / "gone")


def test_many_have_one_digest() -> None:
    one = combined({"a": "1", "b": "2"})
    assert one == combined({"b": "2", "a": "1"})
    assert len({one, combined({"a": "2", "b": "1"}), combined({"a": "1", "b": None})}) == 3

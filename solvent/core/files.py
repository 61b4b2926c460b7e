"""Writing so that nothing is lost: atomically, line by line, and never past the end of the disk."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
              errno.EEXIST)  # fmt: skip
OUTPUT = "output=FOLDER"
MEBIBYTE = 2**20

log = logging.getLogger("solvent")


class DiskError(OSError):
    """A disk that is full or cannot be written, in a sentence."""


@contextmanager
def disk_errors_explained(path: Path, setting: str = OUTPUT) -> Iterator[None]:
    """What the operating system refuses, in a sentence that says what to do.

    Args:
        path: what is written.
        setting: that says where to.

    Raises:
        DiskError: it cannot be written.
    """
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise DiskError(
                error.errno,
                f"no space is left for {path}: what was written before is kept; make room and run "
                "the same command again",
            ) from error
        if error.errno in UNWRITABLE:
            raise DiskError(
                error.errno,
                f"{path} cannot be written ({error.strerror}): choose another place with "
                f"{setting}, or make it writable",
            ) from error
        raise


def write_atomically(path: Path, text: str | Iterable[bytes]) -> None:
    """Write a file so that it is either the old one or the whole new one, whatever happens."""
    pieces = [text.encode()] if isinstance(text, str) else text
    with disk_errors_explained(path), replacing(path) as new, new.open("wb") as file:
        file.writelines(pieces)


def write_once(path: Path, text: str) -> bool:
    """Write a file that others may be writing, too: the first one's stays. Whether it is this one.

    Nobody ever finds a part of it.
    """
    new = _named_apart(path)
    with disk_errors_explained(path):
        try:
            new.write_text(text, encoding="utf-8")
            _secure(new)
            os.link(new, path)
        except FileExistsError:
            return False
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
    return True


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Where to write a file that, when the block is left, stands at `path`, safe from a crash.

    Whatever fails inside, what was there before stays, and nothing is left beside it. What a kill
    leaves beside it, `NAME.new`, the next writing replaces.

    Args:
        path: of the file.
        shared: whether others may write it at the same time; each then writes a file with a name
            of its own, which a kill leaves for good.
    """
    new = _named_apart(path) if shared else path.with_name(f"{path.name}.new")
    try:
        yield new
        _secure(new)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)  # half a file would only keep a full disk full
        raise


def _named_apart(path: Path) -> Path:
    """A name beside a file that no other process or thread has, on no machine."""
    return path.with_name(f"{path.name}.{os.urandom(8).hex()}.new")


def _secure(path: Path) -> None:
    """Return when a file's content survives a crash of the machine."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def append(path: Path, lines: Sequence[str], setting: str = OUTPUT) -> None:
    """Add lines to a file; they survive a kill as soon as this returns.

    They are written at once, so that several processes may add to one file, and begin a line of
    their own, whatever a kill has left of the last one. Where it is another process that has not
    come to the end of its line yet, an empty line comes between.
    """
    with disk_errors_explained(path, setting), path.open("a+b", buffering=0) as file:
        left = "".join(f"{line}\n" for line in lines).encode()
        if _ends_torn(file):
            left = b"\n" + left
        while left:  # a disk that is nearly full takes a piece
            left = left[file.write(left) :]
        os.fsync(file.fileno())


def _ends_torn(file: RawIOBase) -> bool:
    """Whether the last line of a file that was opened for reading, too, has no end."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 1))
    return file.read(1) not in (b"", b"\n")


def read_lines(path: Path) -> Iterator[Any]:
    """The values in a file of JSON lines that several processes may be adding to.

    Leaves out torn lines, wherever they are: they are not cut, since somebody may be at them.
    """
    with path.open("rb") as file:
        for line in filter(is_whole, file):
            yield json.loads(line)


def cut_torn_lines(path: Path) -> None:
    """Cut a file of JSON lines at the first one that a kill or a full disk has torn.

    Only where nobody is adding to it.
    """
    good = 0
    with path.open("rb") as file:
        for line in file:
            if not is_whole(line):
                break
            good += len(line)
        lost = sum(1 for _ in file)
    if lost:
        log.warning("%s is torn in the middle: %d lines behind it are made again", path, lost)
    if good < path.stat().st_size:
        with disk_errors_explained(path), path.open("r+b") as file:
            file.truncate(good)


def is_whole(line: bytes) -> bool:
    """Whether a line is a JSON text and has its end."""
    if not line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:  # also undecodable bytes
        return False
    return True


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `ValueError` with a sentence when it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, IsADirectoryError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): restore it, or move the folder away and run the command "
            "again"
        ) from error


def make_folder(path: Path, needed: int) -> None:
    """Make a folder with room for some bytes.

    Raises `DiskError` when it cannot be made, or has not as much. Whether files can be made in one
    that is there already, a claim on it shows: a file to try it would be left behind by a kill.
    """
    with disk_errors_explained(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # below /proc, say
            raise OSError(errno.EACCES, error.strerror) from error
    free = shutil.disk_usage(path).free
    if free < needed:
        raise DiskError(
            errno.ENOSPC,
            f"{path} has {free / MEBIBYTE:,.1f} MiB left, but the results take at least "
            f"{needed / MEBIBYTE:,.1f} MiB: make room, or choose another folder with output=FOLDER",
        )

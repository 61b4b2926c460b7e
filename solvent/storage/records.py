"""Predictions as JSON lines, each with a checksum of what stands before it."""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # left out of typeshed
from pathlib import Path
from typing import Any, NoReturn, overload

from solvent.core.stored_fields import stored_fields
from solvent.core.types import Accepted, CandidateScore, Prediction, VisualEntropy, VisualMass

HEAD = '{"uid": "'  # what every line begins with
FAILED = b', "status": "error", '  # what a line of a failed sample holds
CHECK = re.compile(rb', "check": "([0-9a-f]{16})"\}\n?\Z')  # what every line ends with


def encode(prediction: Prediction) -> str:
    """One JSON line, without anything that differs between two equal runs."""
    text = json.dumps(prediction, default=stored_fields, ensure_ascii=False, allow_nan=False)[:-1]
    return f'{text}, "check": "{_check(text.encode())}"}}'


def is_intact(line: bytes) -> bool | None:
    """Whether a line is as it was written, to the last byte; None: it was written without check."""
    found = CHECK.search(line)
    if found is None:
        return False if b'"check": "' in line else None
    return _check(line[: found.start()]) == found[1].decode()


def decode(line: str | bytes) -> Prediction:
    """The inverse of `encode`. Raises `ValueError` for what is no JSON, NaN included."""
    row = parse(line)
    row.pop("check", None)
    for name in ("scores", "blind_scores"):
        if row.get(name) is not None:
            row[name] = tuple(CandidateScore(**score) for score in row[name])
    for name, kind in (("visual_mass", VisualMass), ("visual_entropy", VisualEntropy)):
        if row.get(name) is not None:  # files written before entropy was measured lack it
            row[name] = kind(**{when: tuple(values) for when, values in row[name].items()})
    if isinstance(row["gold"], dict):
        lists = {name: tuple(row["gold"].get(name, ())) for name in ("answers", "prior")}
        row["gold"] = Accepted(**row["gold"] | lists)
    if row.get("options") is not None:
        row["options"] = tuple(row["options"])
    return Prediction(**row)


def parse(line: str | bytes) -> Any:
    """The value of a JSON text. Raises `ValueError` for NaN and infinities, too."""
    return json.loads(line, parse_constant=_refuse)


def uid_of(line: bytes) -> str:
    """The uid of an encoded prediction, which stands first: the rest need not be decoded."""
    uid, _ = scanstring(line.decode(), len(HEAD))
    return uid


def has_failed(line: bytes) -> bool:
    """Whether an encoded prediction is a failed sample; inside of text, quotes are escaped."""
    return FAILED in line


@dataclass(frozen=True, slots=True)
class Line:
    """Where a prediction stands."""

    uid: str
    failed: bool
    path: Path
    start: int
    length: int

    def read(self) -> bytes:
        """All of it."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.length)


def scan(path: Path) -> Iterator[Line]:
    """The whole lines of a file. Raises `ValueError` where one is not as it was written."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return  # a network disk shows only a piece yet
            check_intact(line, path, number, needs_check=True)
            yield Line(uid_of(line), has_failed(line), path, start, len(line))
            start += len(line)


def uids_of(path: Path) -> Iterator[str]:
    """Of the lines that can be read; nothing is raised for others."""
    try:
        with path.open("rb") as file:
            for line in file:
                with suppress(ValueError):  # torn
                    yield uid_of(line)
    except FileNotFoundError:
        return  # it has just been merged


class Stored(Sequence[Prediction]):
    """The predictions of a file, decoded while they are looked at: memory does not grow with them.

    Takes 8 bytes a prediction. Looking at one that was changed since it was written raises
    `ValueError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("q")
        at = 0
        with path.open("rb") as file:
            for line in file:
                self._starts.append(at)
                at += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Prediction]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                yield self._decoded(line, number)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        with self._path.open("rb") as file:
            file.seek(self._starts[index])
            return self._decoded(file.readline(), index % len(self))

    def _decoded(self, line: bytes, number: int) -> Prediction:
        check_intact(line, self._path, number, needs_check=False)
        try:
            return decode(line)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{damage(self._path, number)} ({error})") from error


def check_intact(line: bytes, path: Path, number: int, *, needs_check: bool) -> None:
    """Raise `ValueError` where a line, counted from 0, is not as it was written."""
    intact = is_intact(line)
    if intact is False or (intact is None and needs_check):
        raise ValueError(damage(path, number))


def damage(path: Path, number: int) -> str:
    """A sentence about a line, counted from 0, that is not as it was written."""
    return (
        f"{path}, line {number + 1}, is not as it was written (a value, or the ends of lines, were "
        "changed): restore the file, or move the folder away and run the cell's command again"
    )


def _check(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")

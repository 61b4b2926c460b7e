"""Predictions as JSON lines."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from json.decoder import scanstring
from pathlib import Path
from typing import overload

from evaluation.types import Accepted, CandidateScore, Prediction, VisualEntropy, VisualMass

HEAD = '{"uid": "'  # what every line begins with
FAILED = b', "status": "error", '  # what a line of a failed sample holds


def encode(prediction: Prediction) -> str:
    """One JSON line, without anything that differs between two equal runs."""
    return json.dumps(prediction, default=vars, ensure_ascii=False, allow_nan=False)


def decode(line: str | bytes) -> Prediction:
    """The inverse of `encode`."""
    row = json.loads(line)
    for name in ("scores", "blind_scores"):
        if row.get(name) is not None:
            row[name] = tuple(CandidateScore(**score) for score in row[name])
    for name, kind in (("visual_mass", VisualMass), ("visual_entropy", VisualEntropy)):
        if row.get(name) is not None:  # files written before entropy was measured lack it
            row[name] = kind(**{when: tuple(values) for when, values in row[name].items()})
    if isinstance(row["gold"], dict):
        row["gold"] = Accepted(**row["gold"] | {"answers": tuple(row["gold"]["answers"])})
    if row.get("options") is not None:
        row["options"] = tuple(row["options"])
    return Prediction(**row)


def uid_of(line: bytes) -> str:
    """The uid of an encoded prediction, which stands first: the rest need not be decoded."""
    uid, _ = scanstring(line.decode(), len(HEAD))
    return uid


def has_failed(line: bytes) -> bool:
    """Whether an encoded prediction is a failed sample; inside of text, quotes are escaped."""
    return FAILED in line


class Stored(Sequence[Prediction]):
    """The predictions of a file, decoded while they are looked at: memory does not grow with them.

    Takes 8 bytes a prediction.
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
            yield from map(decode, file)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        with self._path.open("rb") as file:
            file.seek(self._starts[index])
            return decode(file.readline())

"""Where the rows of a benchmark come from.

A source is a callable without arguments that returns samples in a fixed order. `LocalFiles` reads a
table from disk, `tables` has tables of other layouts; a procedural source draws its samples; a
source on a hub has the same shape as `LocalFiles`: it yields rows, hands each to `Columns.build`,
and says what an image cell becomes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, Protocol

from solvent.benchmarks.images import FileImage, TextImage
from solvent.benchmarks.sample import BadRowError, Columns, Row
from solvent.benchmarks.tables.base64_text import is_picture
from solvent.core import paths
from solvent.core.names import nearest
from solvent.core.types import LazyImage, Sample


class Source(Protocol):
    """What a benchmark needs from a source.

    One that reads tables from a disk also has `files()`, their paths, and those of the folders that
    it lists: samples that were read are used again as long as these stay as they are. One whose
    rows may be bad has `each()`, which gives every row's sample, or the `BadRowError` that stands
    for it. One whose settings decide every sample, because it draws them, has `drawn = True`.
    """

    def __call__(self) -> Sequence[Sample]:
        """All samples, in an order that depends on nothing but the data."""


@dataclass(frozen=True, kw_only=True)
class LocalFiles:
    """A JSON table and a folder of pictures.

    Attributes:
        root: the benchmark's data folder; a relative path starts at the repository root.
        file: the table, relative to `root`.
        format: "lines" (one JSON object per line) or "array" (one JSON array of objects).
        obtain: how to get the data, as the end of the sentence "... is missing: ..., or <obtain>".
        unroll: new column -> values; every row is repeated for every combination, last one fastest.
        sample: from columns to a sample; its images are file paths relative to `root`, or pictures
            in base64. `**/` stands for whatever folders the one file of that name is in, as in
            "images/**/1.png".
    """

    root: str
    file: str
    format: Literal["lines", "array"]
    obtain: str
    unroll: Mapping[str, Sequence[Any]]
    sample: Columns

    def files(self) -> list[Path]:
        """The table."""
        return [paths.resolve(self.root) / self.file]

    def __call__(self) -> tuple[Sample, ...]:
        """All samples, in the order of the file.

        Raises:
            FileNotFoundError: the table or a folder of pictures is missing.
            ValueError: a row cannot be read.
        """
        return none_bad(self.each())

    def each(self) -> list[Sample | BadRowError]:
        """The same with what is wrong in the place of a bad row."""
        root = paths.resolve(self.root)
        paths.require(root, self.obtain)
        places = cache(partial(_files_below, root))

        def picture(value: Any) -> FileImage | TextImage:
            if is_picture(str(value)):
                return TextImage(text=str(value))
            folder, wild, name = str(value).partition("**/")
            path = _only(places(folder), name, folder) if wild else folder
            return FileImage(root=root, path=path)

        found = [built(self.sample, row, picture) for row in unrolled(self.rows(), self.unroll)]
        samples = [each for each in found if isinstance(each, Sample)]
        files = [image for sample in samples for image in sample.images if hasattr(image, "file")]
        folders = {image.file.parent for image in files}
        for folder in sorted(folders):  # at once and by folder: not as an error of every sample
            paths.require(folder, self.obtain)
        return found

    def rows(self) -> list[Row]:
        """The rows of the table, before they are unrolled. Raises as a call does."""
        (table,) = (paths.require(file, self.obtain) for file in self.files())
        return read_rows(table, self.format)


def built(
    columns: Columns, row: Row, picture: Callable[[Any], LazyImage], table: str = ""
) -> Sample | BadRowError:
    """The sample of a row, or what is wrong with the row, after the words that name its table."""
    try:
        return columns.build(row, picture)
    except BadRowError as error:
        bad = BadRowError(f"{table}{error}", error.uid)
        bad.__cause__ = error.__cause__
        return bad


def none_bad(rows: Iterable[Sample | BadRowError]) -> tuple[Sample, ...]:
    """All samples. Raises the first bad row."""
    samples = []
    for row in rows:
        if isinstance(row, BadRowError):
            raise row
        samples.append(row)
    return tuple(samples)


def read_rows(table: Path, layout: Literal["lines", "array"]) -> list[Row]:
    """The objects of a JSON file. Raises `ValueError` naming the file and the line."""
    text = table.read_text(encoding="utf-8")
    if layout == "array":
        rows = _parse(text, str(table))
        if not isinstance(rows, list):
            raise ValueError(f"{table}: expected a JSON array of rows, found {type(rows).__name__}")
    elif layout == "lines":
        lines = enumerate(text.split("\n"), start=1)
        rows = [_parse(line, f"{table}, line {n}") for n, line in lines if line.strip()]
    else:
        raise ValueError(f"format {layout!r} of {table} is unknown; known: lines, array")
    wrong = [number for number, row in enumerate(rows, start=1) if not isinstance(row, dict)]
    if wrong:
        raise ValueError(f"{table}: row {wrong[0]} is no JSON object")
    return rows


def selected(
    rows: Iterable[Row], where: Mapping[str, Any], columns: Sequence[str], table: str
) -> list[Row]:
    """The rows that have these values, compared as text. Raises `ValueError` where none has."""
    for column in where:
        if column not in columns:
            raise ValueError(f"{table} has no column {column!r}; {nearest(column, columns)}")
    rows = list(rows)
    kept = [row for row in rows if all(str(row[key]) == str(where[key]) for key in where)]
    if not kept:
        raise ValueError(
            f"{table}: none of {len(rows)} rows has {dict(where)}; correct benchmark.source.where "
            "or the data"
        )
    return kept


def unrolled(rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Every row once for every combination of the new columns' values."""
    combinations = list(itertools.product(*columns.values()))
    for name in columns:
        if any(name in row for row in rows):
            raise ValueError(f"unroll would overwrite the column {name!r}: choose another name")
    return [
        {**row, **dict(zip(columns, values, strict=True))}
        for row in rows
        for values in combinations
    ]


def _files_below(root: Path, folder: str) -> dict[str, list[str]]:
    """Files in a folder and those inside it, by name, as paths from `root`."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / paths.check_inside(folder)).rglob("*")):
        found.setdefault(path.name, []).append(path.relative_to(root).as_posix())
    return found


def _only(places: Mapping[str, Sequence[str]], name: str, folder: str) -> str:
    found = places.get(name, ())
    if len(found) != 1:
        raise ValueError(f"{len(found)} files below {folder} are named {name}; expected one")
    return found[0]


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not valid JSON ({error})") from error

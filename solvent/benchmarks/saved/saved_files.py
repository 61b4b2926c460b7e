"""Tables that somebody else's run left: which files, and the rows in them.

The end of a file's name says what it is, `.gz` before all: `.jsonl` (an object per line), `.json`
(an array of objects, or an object per line), `.csv` and `.tsv` (a line of names first; every value
is text).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solvent.benchmarks.sample import Row
from solvent.core import paths

SEPARATORS = {".csv": ",", ".tsv": "\t"}
OBJECTS = (".json", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file that was read.

    Attributes:
        name: of the file, below the folder of all.
        sha256: of its bytes, in hexadecimal.
        rows: each with the columns that its file's name stands for.
    """

    name: str
    sha256: str
    rows: Sequence[Row]

    def located(self) -> Iterator[tuple[str, Row]]:
        """Rows with where they stand, counted from 1: `greedy.jsonl, row 3`."""
        for number, row in enumerate(self.rows, start=1):
            yield f"{self.name}, row {number}", row


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How files are named.

    Attributes:
        file: path below the folder, a template over the names of `over`.
        over: column -> its values, each with what stands for it in the paths. There is a file for
            every combination, and its rows get these columns.
    """

    file: str
    over: Mapping[str, Mapping[str, str]]

    def files(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Paths, and the columns that each stands for. Raises `ValueError` for unknown names."""
        for values in itertools.product(*(each.items() for each in self.over.values())):
            spelt = dict(zip(self.over, (spelling for _, spelling in values), strict=True))
            columns = dict(zip(self.over, (value for value, _ in values), strict=True))
            try:
                yield self.file.format_map(spelt), columns
            except KeyError as missing:
                raise ValueError(
                    f"the file {self.file!r} names {{{missing.args[0]}}}, which `over` does not "
                    f"have; it has {', '.join(self.over) or 'nothing'}"
                ) from None


@dataclass(frozen=True, kw_only=True)
class SavedFiles:
    """Files of rows below a folder.

    Attributes:
        root: the folder; a relative path starts at the repository root.
        obtain: how to get it, as the end of the sentence "... is missing: ..., or <obtain>".
        layouts: how files may be named there; the first of which a file is there counts.
    """

    root: str
    obtain: str
    layouts: Sequence[Layout]

    def files(self) -> list[Path]:
        """All of them, in their order."""
        return [paths.resolve(self.root) / name for name, _ in self._named()]

    def tables(self) -> list[Table]:
        """All of them, read.

        Raises:
            FileNotFoundError: one is missing.
            ValueError: one cannot be read, or a row has a column that the file's name stands for.
        """
        root = paths.resolve(self.root)
        return [
            _read(paths.require(root / name, self.obtain), name, columns)
            for name, columns in self._named()
        ]

    def _named(self) -> list[tuple[str, dict[str, str]]]:
        root = paths.require(paths.resolve(self.root), self.obtain)
        known = [list(layout.files()) for layout in self.layouts]
        there = (files for files in known if any((root / name).exists() for name, _ in files))
        return next(there, known[0])


def _read(path: Path, name: str, columns: Mapping[str, str]) -> Table:
    content = path.read_bytes()
    rows = _rows(content, name)
    for number, row in enumerate(rows, start=1):
        if taken := columns.keys() & row.keys():
            raise ValueError(
                f"{name}, row {number} has a column {min(taken)!r}, and so has the name of its "
                "file: give that of `over` another name"
            )
    digest = hashlib.sha256(content).hexdigest()
    return Table(name=name, sha256=digest, rows=[{**row, **columns} for row in rows])


def _rows(content: bytes, name: str) -> list[Row]:
    kind = Path(name.removesuffix(".gz")).suffix.lower()
    try:
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{name} cannot be read ({error}): fetch it again") from error
    if kind in SEPARATORS:
        return _separated(text, name, SEPARATORS[kind])
    if kind not in OBJECTS:
        known = ", ".join([*OBJECTS, *SEPARATORS])
        raise ValueError(f"{name} ends in none of {known}, which may be followed by .gz")
    if kind == ".json" and text.lstrip().startswith("["):
        rows = _value(text, name)
    else:
        lines = enumerate(text.split("\n"), start=1)
        rows = [_value(line, f"{name}, line {number}") for number, line in lines if line.strip()]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"{name}, row {number} is no JSON object")
    return rows


def _separated(text: str, name: str, separator: str) -> list[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        head, *rows = list(lines) or [[]]
    except csv.Error as error:
        raise ValueError(f"{name}, line {lines.line_num} cannot be read ({error})") from error
    if len(set(head)) < len(head):
        raise ValueError(f"{name} has two columns of one name: {', '.join(head)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise ValueError(f"{name}, row {number} has {len(row)} values for {len(head)} columns")
    return [dict(zip(head, row, strict=True)) for row in rows]


def _value(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not valid JSON ({error})") from error

"""Rows of an Arrow table, with its pictures left where they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvent.benchmarks.images import ADDRESS, StoredImage
from solvent.benchmarks.tables.base64_text import HEAD, PATTERN, is_list, is_picture, listed

PICTURE = ("bytes", "path")  # the fields of a picture, as `datasets` stores it
CHUNK = 1000  # rows that are converted at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One table.

    Attributes:
        data: a `datasets.Dataset` in Arrow format: it lies in a mapped file, not in memory.
        config: what its rows have in the column `config`; None: the rows say so themselves.
        split: likewise in the column `split`.
        folder: where paths in it start, or None.
        digest: of the files that it was read from; None: it came from the hub.
    """

    data: Any
    config: str | None
    split: str | None
    folder: Path | None
    digest: str | None

    @property
    def columns(self) -> list[str]:
        """The names of the stored columns."""
        return list(self.data.column_names)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row: column -> value; a picture is a `StoredImage`, an absent one None, and one
        that lies elsewhere the text that says where.
        """
        arrow = self.data[:]
        pictures = {name: self._pictures(name, arrow.column(name)) for name in self._of_pictures}
        plain = arrow.select([name for name in self.columns if name not in pictures])
        said = {"config": self.config, "split": self.split}
        added = {name: value for name, value in said.items() if value is not None}
        for start in range(0, len(self.data), CHUNK):
            for number, values in enumerate(plain.slice(start, CHUNK).to_pylist(), start):
                yield (
                    added
                    | {"row": number, "digest": _digest(values)}
                    | values
                    | {name: column[number] for name, column in pictures.items()}
                )

    def entry(self, column: str, row: int) -> Any:
        """The value of one entry, read from the file."""
        return self.data[row].column(column)[0].as_py()

    @cached_property
    def _of_pictures(self) -> list[str]:
        arrow = self.data[:]
        return [name for name in self.columns if holds_pictures(arrow.column(name))]

    def _pictures(self, name: str, column: Any) -> list[Any]:
        """Of every row a picture, a list of them, or None; nothing is decoded."""
        import pyarrow.compute as pc

        if not _is_list(column.type):
            marks = self._marks(name, column)
            return [self._found(name, row, mark) for row, mark in enumerate(marks)]
        counts = pc.list_value_length(column).to_pylist()
        known = iter(self._marks(name, pc.list_flatten(column)))
        return [
            [self._picture(name, row, place, next(known)) for place in range(count or 0)]
            for row, count in enumerate(counts)
        ]

    def _marks(self, name: str, column: Any) -> list[bool | str | None]:
        """What is known of every entry without reading its picture: True where its bytes lie here,
        False where a file beside the table has them, None where there is none; else its text.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_struct(column.type):
            inside = pc.is_valid(pc.struct_field(column, "bytes")).to_pylist()
            paths = pc.struct_field(column, "path").to_pylist()
            return [
                within or (_beside(path) if path is not None else None)
                for within, path in zip(inside, paths, strict=True)
            ]
        if not _is_text(column.type):
            return [known or None for known in pc.is_valid(column).to_pylist()]
        heads = pc.utf8_slice_codeunits(column, 0, HEAD).to_pylist()
        return [
            self.entry(name, row) if head and is_list(head) and is_picture(head) else _mark(head)
            for row, head in enumerate(heads)
        ]

    def _found(self, name: str, row: int, mark: bool | str | None) -> Any:
        if mark is None:
            return None
        if not (isinstance(mark, str) and is_list(mark) and is_picture(mark)):
            return self._picture(name, row, None, mark)
        try:
            entries = listed(mark)
        except ValueError:  # it is damaged: an error of its sample, like any other picture
            return self._picture(name, row, None, True)
        return [self._picture(name, row, k, _mark(each)) for k, each in enumerate(entries)]

    def _picture(self, name: str, row: int, place: int | None, mark: bool | str | None) -> Any:
        if isinstance(mark, str):
            return mark
        return StoredImage(
            entries=self.entry,
            column=name,
            row=row,
            place=place,
            folder=self.folder,
            table=self.digest if mark else None,
        )


def holds_pictures(column: Any) -> bool:
    """Whether the entries of an Arrow column, or those of its lists, are pictures: structures of
    bytes and path, bytes alone, or texts of which at least one is a picture in base64.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if _is_list(column.type) else column.type
    if pa.types.is_struct(kind):
        return {each.name for each in kind} == {*PICTURE}
    if _is_text(kind):
        each = pc.list_flatten(column) if _is_list(column.type) else column
        starts = pc.match_substring_regex(pc.utf8_slice_codeunits(each, 0, HEAD), PATTERN)
        return bool(pc.any(starts).as_py())
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _mark(head: str | None) -> bool | str | None:
    """Of an entry that is a text, by its first characters."""
    if not head or not head.strip():
        return None
    return True if is_picture(head) else head


def _beside(path: str) -> bool | str:
    """Of a structure that has a path alone: an address is told from a file."""
    return path if ADDRESS.match(path) else False


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _digest(values: dict[str, Any]) -> str:
    """Eight hexadecimal digits that change with any plain value of a row."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]

"""Rows of an Arrow table, with its pictures left where they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvent.benchmarks.images import StoredImage

PICTURE = ("bytes", "path")  # the fields of a picture, as `datasets` stores it
CHUNK = 1000  # rows that are converted at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One table.

    Attributes:
        data: a `datasets.Dataset` in Arrow format: it lies in a mapped file, not in memory.
        config: what its rows have in the column `config`; None: the rows say so themselves.
        folder: where paths in it start, or None.
        digest: of the files that it was read from; None: it came from the hub.
    """

    data: Any
    config: str | None
    folder: Path | None
    digest: str | None

    @property
    def columns(self) -> list[str]:
        """The names of the stored columns."""
        return list(self.data.column_names)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row: column -> value; a picture is a `StoredImage`, an absent one None."""
        arrow = self.data[:]
        pictures = {name: self._pictures(name, arrow.column(name)) for name in self._of_pictures}
        plain = arrow.select([name for name in self.columns if name not in pictures])
        added = {} if self.config is None else {"config": self.config}
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
        return [field.name for field in self.data[:].schema if _holds_pictures(field.type)]

    def _pictures(self, name: str, column: Any) -> list[Any]:
        """Of every row a picture, a list of them, or None; the bytes are not read."""
        import pyarrow.compute as pc

        each = pc.list_flatten(column) if _is_list(column.type) else column
        inside, outside = (pc.is_valid(pc.struct_field(each, part)).to_pylist() for part in PICTURE)
        if not _is_list(column.type):
            return [
                self._picture(name, row, None, within) if within or linked else None
                for row, (within, linked) in enumerate(zip(inside, outside, strict=True))
            ]
        counts, known = pc.list_value_length(column).to_pylist(), iter(inside)
        return [
            [self._picture(name, row, place, next(known)) for place in range(count or 0)]
            for row, count in enumerate(counts)
        ]

    def _picture(self, column: str, row: int, place: int | None, inside: bool) -> StoredImage:
        return StoredImage(
            entries=self.entry,
            column=column,
            row=row,
            place=place,
            folder=self.folder,
            table=self.digest if inside else None,
        )


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _holds_pictures(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if _is_list(kind) else kind
    return pa.types.is_struct(kind) and {each.name for each in kind} == {*PICTURE}


def _digest(values: dict[str, Any]) -> str:
    """Eight hexadecimal digits that change with any plain value of a row."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]

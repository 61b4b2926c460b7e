"""The files that VLMEvalKit reads, which most published numbers come from.

https://github.com/open-compass/VLMEvalKit, in August 2026: one table of text per set, with a header
and tabulators, in the folder that the environment variable LMUData names (else ~/LMUData).
"""

from __future__ import annotations

import hashlib
import logging
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvent.benchmarks.arrow import Table
from solvent.benchmarks.images import FileImage, StoredImage
from solvent.benchmarks.sample import BadRowError, Columns, Row
from solvent.benchmarks.source import built, none_bad, selected, unrolled
from solvent.benchmarks.tables import copies
from solvent.benchmarks.tables.base64_text import is_list, listed
from solvent.core import paths
from solvent.core.names import nearest
from solvent.core.types import LazyImage, Sample

IMAGE, PATH, INDEX = "image", "image_path", "index"  # its names of columns
ABSENT = dict.fromkeys([*string.ascii_uppercase, "hint"], "")  # where a table lacks the column
LONGEST_INDEX = 64  # characters of an image entry that are the index of another row

log = logging.getLogger("solvent")


@dataclass(frozen=True, kw_only=True)
class VLMEvalFile:
    """A table of VLMEvalKit, whose rules for pictures are kept.

    The entry `image` of a row is a picture in base64, a list of such, or, in at most 64 characters,
    the index of the row that holds it. Rows without one are left out, and it is said how many. A
    table without the column has picture files: `image_path`.

    Every entry is text, an absent one the text "". Every row also has the columns `row`, its number
    in the table, counting from 0, and `digest`, of its other columns, pictures left out; and in
    every table `image`, `hint` and the options A to Z.

    Attributes:
        root: the folder of the tables.
        file: the table below it, NAME.tsv; where that is absent, NAME_local.tsv.
        pictures: the folder of picture files below `root`, where it unpacks them to.
        md5: first digits of what VLMEvalKit lists for the file, or None; another file is warned of.
        where: column -> value that kept rows have.
        exploded: column -> separator; a row stands once for every piece of such an entry.
        unroll: new column -> values; every row is repeated for every combination, last one fastest.
        sample: from columns to a sample; its images are `image`.
    """

    root: str
    file: str
    pictures: str
    md5: str | None
    where: Mapping[str, Any]
    exploded: Mapping[str, str]
    unroll: Mapping[str, Sequence[Any]]
    sample: Columns

    def __call__(self) -> tuple[Sample, ...]:
        """All samples, in the order of the rows.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, or a row of it.
        """
        return none_bad(self.each())

    def each(self) -> Iterator[Sample | BadRowError]:
        """The same with what is wrong in the place of a bad row."""
        self._check_md5()
        for row in unrolled(self._rows, self.unroll):
            yield built(self.sample, row, self._picture, f"{self.file}, row {row['row']}: ")

    def files(self) -> list[Path]:
        """The table."""
        return [self._place]

    def provenance(self) -> dict[str, Any]:
        """What was read."""
        return {
            "file": self._place.name,
            "rows": len(self._table.data),
            "without_picture": len(self._table.data) - len(self._with_pictures),
            "sha256": self._table.digest,
        }

    @property
    def _place(self) -> Path:
        asked = paths.resolve(self.root) / self.file
        unpacked = asked.with_name(f"{asked.stem}_local{asked.suffix}")
        return unpacked if unpacked.exists() and not asked.exists() else asked

    @cached_property
    def _table(self) -> Table:
        if not self._place.exists():
            raise FileNotFoundError(
                f"{self._place} is missing: let VLMEvalKit download it, and set LMUData to the "
                "folder that holds it, or benchmark.source.root"
            )
        data, made = copies.read([self._place], self._place)
        folder = self._place.parent
        return Table(data=data, config=None, split=None, folder=folder, digest=made)

    @cached_property
    def _rows(self) -> list[Row]:
        rows = self._with_pictures
        if without := len(self._table.data) - len(rows):
            log.info(
                "%d of %d rows of %s have no picture and are left out, as VLMEvalKit does",
                without,
                len(self._table.data),
                self._place.name,
            )
        columns = [*self._table.columns, IMAGE]
        kept = selected(rows, self.where, columns, self.file)
        for column, separator in self.exploded.items():
            if column not in columns:
                raise ValueError(
                    f"{self.file} has no column {column!r}; {nearest(column, columns)}"
                )
            kept = [
                {**row, column: piece.strip()}
                for row in kept
                for piece in str(row[column]).split(separator)
            ]
        return kept

    @cached_property
    def _with_pictures(self) -> list[Row]:
        """The rows, less those without a picture, their entry `image` as it is to be read."""
        needed = INDEX if self._in_table else PATH
        if needed not in self._table.columns:
            raise ValueError(
                f"{self._place} has no column {needed!r}, as files of VLMEvalKit have beside or in "
                f"the place of {IMAGE!r}; it has {', '.join(self._table.columns)}"
            )
        rows = [ABSENT | row for row in self._table.rows()]
        if not self._in_table:
            return [{**row, IMAGE: _one_or_several(row[PATH])} for row in rows]
        holders = {row[INDEX]: row[IMAGE] for row in rows if not isinstance(row[IMAGE], str)}
        shown = [{**row, IMAGE: _followed(row[IMAGE], holders)} for row in rows]
        return [row for row in shown if row[IMAGE]]

    @property
    def _in_table(self) -> bool:
        return IMAGE in self._table.columns

    def _picture(self, value: Any) -> LazyImage:
        if isinstance(value, StoredImage):
            return value
        if self._in_table and "." not in value:  # a file has an ending
            raise ValueError(
                f"the image {value!r} is neither a picture nor the {INDEX} of a row that holds one"
            )
        return FileImage(root=self._place.parent, path=self._below_root(value))

    def _below_root(self, path: str) -> str:
        """A path as the table has it, perhaps absolute on the machine that wrote it."""
        start = path.rfind(f"{self.pictures}/")
        if start >= 0 or path.startswith("/"):
            return path[max(start, 0) :]
        return f"{self.pictures}/{path}"

    def _check_md5(self) -> None:
        if self.md5 is None or self._place.name != self.file or not self._place.exists():
            return
        with self._place.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        if not found.hexdigest().startswith(self.md5):
            log.warning(
                "%s is not the file that VLMEvalKit lists (its MD5 begins with %s, not with %s): "
                "it may be another version, with other rows",
                self._place,
                found.hexdigest()[:8],
                self.md5,
            )


def _followed(entry: Any, holders: Mapping[str, Any]) -> Any:
    """The picture that an entry holds, or that of the row whose index it is."""
    if isinstance(entry, str) and len(entry) <= LONGEST_INDEX:
        return holders.get(entry.strip(), entry)
    return entry


def _one_or_several(path: str) -> str | Sequence[str]:
    return listed(path) if is_list(path) else path

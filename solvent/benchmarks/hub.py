"""Rows from a data set on the Hugging Face hub, or from a copy of it on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solvent.benchmarks.arrow import Table
from solvent.benchmarks.hub_errors import explained
from solvent.benchmarks.images import FileImage, StoredImage
from solvent.benchmarks.sample import BadRowError, Columns, Row
from solvent.benchmarks.source import built, none_bad, selected, unrolled
from solvent.benchmarks.tables import copies
from solvent.core.types import LazyImage, Sample

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class HubTable:
    """One split of a data set, read through `datasets`; pictures stay undecoded until shown.

    A picture is a structure of bytes and path, bytes alone, or text in base64, as
    `solvent.benchmarks.tables.base64_text` tells it from a path; a list of them is several. An
    address is refused.

    Every row also has the columns `config` (of the data set), `split`, `row` (its number in the
    split, counting from 0) and `digest` (of its other columns, pictures left out), unless the table
    has columns of these names.

    Attributes:
        id: of the data set, "owner/name".
        configs: read one after the other; [null] where the data set has only one.
        split: of every config; a list where several make up the set, read one after the other.
        revision: commit, tag or branch. Pin a commit: data sets change under their name.
        local: a parquet, JSON-lines or .tsv file with the same columns, or a folder of such files
            (one folder per config, or all configs in one; of several splits, files or folders named
            by them, or rows with a column `split`); then the hub is not asked. A picture may be a
            path relative to the folder. `datasets` keeps an Arrow copy of it in its cache, which
            is what is mapped into memory. None: the hub, or what `datasets` keeps of it here.
        where: column -> value that kept rows have, compared as text.
        unroll: new column -> values; every row is repeated for every combination, last one fastest.
        sample: from columns to a sample; its images are columns of pictures.
    """

    id: str
    configs: Sequence[str | None]
    split: str | Sequence[str]
    revision: str
    local: str | None
    where: Mapping[str, Any]
    unroll: Mapping[str, Sequence[Any]]
    sample: Columns

    def __call__(self) -> tuple[Sample, ...]:
        """All samples, config by config, in the order of the rows.

        Raises:
            FileNotFoundError: there is no such file, or no network and nothing kept of the hub.
            PermissionError: the data set is gated and no token opens it.
            ValueError: an unknown id, config, split or revision, or a row that cannot be read.
        """
        return none_bad(self.each())

    def each(self) -> Iterator[Sample | BadRowError]:
        """The same with what is wrong in the place of a bad row."""
        for table in self.tables:
            kept = selected(table.rows(), self.where, table.columns, self.id)
            for row in unrolled(kept, self.unroll):
                yield self._build(row, table.folder)

    def provenance(self) -> dict[str, Any]:
        """What was read: commit and fingerprint where it came from the hub, else a digest."""
        return {
            "id": self.id,
            "split": self.split,
            "revision": self.revision,
            "tables": [
                {
                    "config": table.config,
                    **({} if isinstance(self.split, str) else {"split": table.split}),
                    "rows": len(table.data),
                    "commit": None if self.local else _commit(table.data),
                    "fingerprint": None if self.local else table.data._fingerprint,
                    "sha256": table.digest,
                }
                for table in self.tables
            ],
        }

    def files(self) -> list[Path]:
        """The tables on this disk that are read; none where they come from the hub."""
        return [file for _, _, _, files in self._copied() for file in files]

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """One table per config and split. Raises as a call does."""
        if self.local is not None:
            return tuple(self._table(*each) for each in self._copied())
        return tuple(
            Table(
                data=self._from_hub(config, split),
                config=config or "default",
                split=split,
                folder=None,
                digest=None,
            )
            for config in self.configs
            for split in self._splits
        )

    @property
    def _splits(self) -> Sequence[str]:
        return [self.split] if isinstance(self.split, str) else self.split

    def _from_hub(self, config: str | None, split: str) -> Any:
        import datasets  # seconds to import, and only these benchmarks need it

        try:
            data = datasets.load_dataset(
                self.id, config, split=split, revision=self.revision
            ).with_format("arrow")
        except Exception as error:
            clear = explained(error, self.id, config, split, self.revision)
            if clear is None:
                raise
            raise clear from error
        found = _commit(data)
        if COMMIT.fullmatch(self.revision) and found not in (None, self.revision):
            raise ValueError(
                f"expected revision {self.revision} of {self.id}, but the hub cannot be reached "
                f"and this machine keeps {found}: connect once to fetch it, or set "
                f"benchmark.source.revision={found} if that one is meant"
            )
        return data

    def _copied(self) -> list[tuple[Path, str | None, str | None, list[Path]]]:
        """Of every table on this disk its place, config, split and files."""
        if self.local is None:
            return []
        found = copies.places(self.local, self.configs, self.id)
        if isinstance(self.split, str):
            return [
                (place, config, self.split, copies.files_of(place, self.split, self.id))
                for place, config in found
            ]
        return [
            (place, config, split, files)
            for place, config in found
            for split, files in copies.files_of_each(place, self.split, self.id).items()
        ]

    def _table(
        self, place: Path, config: str | None, split: str | None, files: Sequence[Path]
    ) -> Table:
        data, made = copies.read(files, place)
        folder = place if place.is_dir() else place.parent
        table = Table(data=data, config=config, split=split, folder=folder, digest=made)
        if split is None and "split" not in table.columns:
            raise ValueError(
                f"{place} does not say which rows are of which split of {list(self._splits)}: name "
                "a file or folder by each, or give it a column 'split'"
            )
        return table

    def _build(self, row: Row, folder: Path | None) -> Sample | BadRowError:
        def picture(value: Any) -> LazyImage:
            if isinstance(value, StoredImage):
                return value
            if isinstance(value, str) and folder is not None:
                return FileImage(root=folder, path=value)
            if isinstance(value, str):
                raise ValueError(
                    f"an image column holds the path {value[:60]!r}, but the hub's table brings no "
                    "files: copy them and the table to this disk, and set benchmark.source.local"
                )
            raise ValueError(
                f"an image column holds {type(value).__name__}; expected a column of pictures"
            )

        return built(self.sample, row, picture, f"{self.id}, row {row['row']}: ")


def _commit(data: Any) -> str | None:
    """The commit in the path where `datasets` keeps a table of the hub."""
    folders = [Path(file["filename"]).parent.name for file in data.cache_files[:1]]
    return folders[0] if folders and COMMIT.fullmatch(folders[0]) else None

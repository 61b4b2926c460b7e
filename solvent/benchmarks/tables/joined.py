"""Questions in one file, answers in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solvent.benchmarks.sample import Row
from solvent.benchmarks.source import LocalFiles, read_rows
from solvent.core import paths
from solvent.core.names import nearest


@dataclass(frozen=True, kw_only=True)
class JoinedFiles(LocalFiles):
    """`LocalFiles` whose rows take further columns from a second table of the same format.

    Attributes:
        joined: the second table, relative to `root`; rows of it that no row names are left out.
        key: column of both tables that says which rows belong together.
    """

    joined: str
    key: str

    def files(self) -> list[Path]:
        """Both tables."""
        return [paths.resolve(self.root) / file for file in (self.file, self.joined)]

    def rows(self) -> list[Row]:
        """The rows of `file`, each with the columns of its row of `joined`.

        Raises `ValueError` where that is not exactly one, or has a column of the first, too.
        """
        first, second = (
            read_rows(paths.require(file, self.obtain), self.format) for file in self.files()
        )
        known: dict[Any, Row] = {}
        for row in second:
            name = self._name(row, self.joined)
            if name in known:
                raise ValueError(f"{self.joined} has two rows of which {self.key!r} is {name!r}")
            known[name] = row
        return [self._completed(row, known) for row in first]

    def _completed(self, row: Row, known: Mapping[Any, Row]) -> Row:
        name = self._name(row, self.file)
        if name not in known:
            raise ValueError(
                f"{self.file} has a row of which {self.key!r} is {name!r}, and {self.joined} has "
                "none: fetch both again, of one version"
            )
        twice = sorted((row.keys() & known[name].keys()) - {self.key})
        if twice:
            raise ValueError(f"{self.file} and {self.joined} both have the columns {twice}")
        return {**row, **known[name]}

    def _name(self, row: Row, file: str) -> Any:
        if self.key not in row:
            raise ValueError(f"{file}: a row has no column {self.key!r}; {nearest(self.key, row)}")
        return row[self.key]

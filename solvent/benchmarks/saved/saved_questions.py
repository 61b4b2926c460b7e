"""The questions that saved answers are answers to: a source of samples without pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from solvent.benchmarks.sample import Columns
from solvent.benchmarks.saved.saved_files import SavedFiles
from solvent.core.types import Sample


@dataclass(frozen=True, kw_only=True)
class SavedQuestions:
    """Questions with what is right, from a file of their own or from one of answers that has both.

    Attributes:
        tables: the files.
        sample: from columns to a sample; without images, which nobody is shown again. A picture's
            name is a group: questions about one picture are not independent.
    """

    tables: SavedFiles
    sample: Columns

    def files(self) -> list[Path]:
        """Where they stand."""
        return self.tables.files()

    def __call__(self) -> tuple[Sample, ...]:
        """All samples, in the order of the files.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a row cannot be read, has no right answer, or has the uid of another one.
        """
        places: dict[str, str] = {}
        samples = []
        for table in self.tables.tables():
            for where, row in table.located():
                try:
                    sample = self.sample.build(row, _no_picture)
                except ValueError as error:
                    raise ValueError(f"{where}: {error}") from error
                if sample.uid in places:
                    raise ValueError(
                        f"{where} is question {sample.uid}, which {places[sample.uid]} is, too: "
                        "uids are unique, so make `uid` of more columns or remove a row"
                    )
                places[sample.uid] = where
                samples.append(sample)
        return tuple(samples)


def _no_picture(value: Any) -> NoReturn:
    raise ValueError(
        f"saved answers need no picture, and `images` names {value!r}: keep its name as a group, "
        "groups: {picture: ...}"
    )

"""AMBER's pictures to be described, with what is in them and what one would expect there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solvent.benchmarks.captions.naming import answer_of
from solvent.benchmarks.captions.vocabulary import Mentions
from solvent.benchmarks.images import FileImage
from solvent.benchmarks.source import read_rows
from solvent.core import paths
from solvent.core.types import Accepted, Sample

GENERATIVE = "generative"
Associated = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class AmberQueries:
    """The generative part of AMBER, from a clone of https://github.com/junyangwang0410/AMBER.

    Attributes:
        root: the clone; a relative path starts at the repository root.
        pictures: folder of the pictures, below `root`, which the repository does not hold.
        queries: the table of questions, below `root`.
        annotations: the table of objects, below `root`.
        relation: the table of words that may stand for an object, below `root`.
        obtain: how to get the data, as the end of the sentence "... is missing: ..., or <obtain>".
        objects: reads the model's captions; it must know the words of `relation`.
        left_out: those that it need not know.
    """

    root: str
    pictures: str
    queries: str
    annotations: str
    relation: str
    obtain: str
    objects: Mentions
    left_out: Sequence[str]

    def files(self) -> list[Path]:
        """The tables."""
        names = (self.queries, self.annotations, self.relation)
        return [paths.resolve(self.root) / name for name in names]

    def __call__(self) -> tuple[Sample, ...]:
        """One sample per picture, in the order of the table of objects.

        Raises:
            FileNotFoundError: a table or the folder of pictures is missing.
            ValueError: a table cannot be read, or has what another one lacks.
        """
        root = paths.resolve(self.root)
        paths.require(root, self.obtain)
        for file in (*self.files(), root / self.pictures):
            paths.require(file, self.obtain)
        queries, annotations, _ = self.files()
        asked = {row["id"]: row for row in read_rows(queries, "array")}
        associated = self._associated()
        samples = []
        for row in read_rows(annotations, "array"):
            if row["type"] != GENERATIVE:
                continue
            if row["id"] not in asked:
                raise ValueError(
                    f"{queries} has no question {row['id']}, which {annotations} has: take both "
                    "from one clone"
                )
            samples.append(self._sample(asked[row["id"]], row, associated))
        return tuple(samples)

    def _associated(self) -> dict[str, list[str]]:
        """Object -> words that may stand for it."""
        path = self.files()[-1]
        table = json.loads(path.read_text(encoding="utf-8"))
        words = {word for name, others in table.items() for word in (name, *others)}
        unknown = sorted(words - {*self.objects.objects, *self.left_out})
        if unknown:
            raise ValueError(
                f"{path} has {len(unknown):,} words that benchmark.free.parser.objects lacks "
                f"(first: {unknown[0]!r}): add them"
            )
        return table

    def _sample(
        self, query: Mapping[str, Any], row: Mapping[str, Any], associated: Associated
    ) -> Sample:
        there, usual = (_objects(row, column, associated) for column in ("truth", "hallu"))
        picture = FileImage(root=paths.resolve(self.root), path=f"{self.pictures}/{query['image']}")
        return Sample(
            uid=f"amber_generative/{row['id']}",
            images=(picture,),
            text=query["query"],
            options=(),
            gold=Accepted(answers=there, prior=usual),
        )


def _objects(row: Mapping[str, Any], column: str, associated: Associated) -> tuple[str, ...]:
    unknown = [name for name in row[column] if name not in associated]
    if unknown:
        raise ValueError(
            f"row {row['id']} of AMBER's objects names {unknown[0]!r}, which its table of words "
            "lacks: take both from one clone"
        )
    return tuple(answer_of(name, associated[name]) for name in row[column])

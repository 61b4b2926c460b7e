"""COCO's pictures to be described, with the objects that are in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvent.benchmarks.captions.annotations import Picture, pictures_of
from solvent.benchmarks.captions.vocabulary import Mentions
from solvent.benchmarks.images import FileImage
from solvent.core import paths
from solvent.core.names import nearest
from solvent.core.types import Accepted, Sample

NUMBER = re.compile(r"(?:.*_)?0*(\d+)(?:\.\w+)?")  # an id, or a file's name that ends in it


@dataclass(frozen=True, kw_only=True)
class CocoCaptions:
    """Some pictures of a split of COCO, all asked the same.

    The objects of a picture are the categories that are marked in it and the objects that its
    captions name. Which pictures are asked is drawn from all that the annotations hold, by a hash
    of (seed, id), or listed by the user.

    Attributes:
        name: of the benchmark, which every uid begins with.
        root: folder of the data; a relative path starts at the repository root.
        pictures: folder of the pictures, below `root`.
        instances: the file with the marked objects, below `root`.
        captions: the file with people's captions, below `root`.
        obtain: how to get the data, as the end of the sentence "... is missing: ..., or <obtain>".
        held: pictures that the annotations must hold: of another number, others would be drawn.
        count: pictures that are asked, the first by their hash.
        seed: of the hash.
        ids: a file, below `root`, with the pictures to ask in the place of those that are drawn:
            ids or names of files, one a line or as a JSON list. None: they are drawn.
        wording: which of `wordings` is asked.
        wordings: name -> text.
        objects: reads the captions, as it reads the model's; it must know every category.
    """

    name: str
    root: str
    pictures: str
    instances: str
    captions: str
    obtain: str
    held: int
    count: int
    seed: int
    ids: str | None
    wording: str
    wordings: Mapping[str, str]
    objects: Mentions

    def files(self) -> list[Path]:
        """The tables that are read."""
        names = (self.instances, self.captions, *([self.ids] if self.ids else []))
        return [paths.resolve(self.root) / name for name in names]

    def __call__(self) -> tuple[Sample, ...]:
        """One sample per picture, by ascending id.

        Raises:
            FileNotFoundError: a table or the folder of pictures is missing.
            ValueError: a table cannot be read, or does not hold what is asked of it.
        """
        root = paths.resolve(self.root)
        paths.require(root, self.obtain)
        for file in (*self.files(), root / self.pictures):
            paths.require(file, self.obtain)
        if self.wording not in self.wordings:
            raise ValueError(
                f"there is no wording {self.wording!r}; {nearest(self.wording, self.wordings)}"
            )
        known = pictures_of(*self.files()[:2])
        if len(known) != self.held:
            raise ValueError(
                f"{self.files()[0]} describes {len(known):,} pictures, expected {self.held:,}: of "
                "another number, other pictures would be asked; take the file of the whole split, "
                f"or say that yours is meant with benchmark.source.held={len(known)}"
            )
        chosen = self._listed(known) if self.ids else drawn(list(known), self.count, self.seed)
        return tuple(self._sample(number, known[number], root) for number in sorted(chosen))

    def _sample(self, number: int, picture: Picture, root: Path) -> Sample:
        file, categories, said = picture
        there = {name for caption in said for name in self.objects.named(caption)}
        for category in categories:
            named = self.objects.named(category)
            if len(named) != 1:
                raise ValueError(
                    f"the category {category!r} of COCO is {named or 'unknown'} to the vocabulary "
                    "benchmark.free.parser.objects: list it there as one object"
                )
            there |= set(named)
        return Sample(
            uid=f"{self.name}/{number}",
            images=(FileImage(root=root, path=f"{self.pictures}/{file}"),),
            text=self.wordings[self.wording],
            options=(),
            gold=Accepted(answers=tuple(sorted(there))),
        )

    def _listed(self, known: Mapping[int, Picture]) -> list[int]:
        path = paths.resolve(self.root) / str(self.ids)
        text = path.read_text(encoding="utf-8").strip()
        entries = json.loads(text) if text.startswith("[") else text.split()
        matches = {str(entry): NUMBER.fullmatch(str(entry)) for entry in entries}
        found = [int(match[1]) if (match := matches[str(entry)]) else None for entry in entries]
        for entry, number in zip(entries, found, strict=True):
            if number not in known or found.count(number) > 1:
                what = "twice" if number in known else "and the annotations have no such picture"
                raise ValueError(f"{path} lists {entry!r} {what}: correct the list")
        return [number for number in found if number is not None]


def drawn(numbers: Sequence[int], count: int, seed: int) -> list[int]:
    """The `count` numbers whose SHA-256 of "seed:number" is least: the same on every machine.

    Raises `ValueError` where there are fewer.
    """
    if not 1 <= count <= len(numbers):
        raise ValueError(
            f"benchmark.source.count is {count}; expected 1 to {len(numbers):,}, as many as the "
            "annotations hold"
        )
    return sorted(numbers, key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).digest())[
        :count
    ]

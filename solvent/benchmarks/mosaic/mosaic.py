"""Mosaics of a folder of photos as a benchmark: a seed becomes samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, Literal

from solvent.benchmarks.mosaic.collage import Collage, Grid
from solvent.benchmarks.mosaic.kinds import (
    ASKERS,
    BARRED,
    KINDS,
    Question,
    Wish,
    World,
    answers,
)
from solvent.benchmarks.mosaic.nouns import Noun, noun
from solvent.benchmarks.mosaic.photos import Part, chosen, folders, listed, of_part
from solvent.core import paths
from solvent.core.names import nearest
from solvent.core.types import Box, Sample

EVERYWHERE: Box = (0.0, 0.0, 1.0, 1.0)
DECK = 20  # questions of a kind, after which the prior law has its share exactly
GRIDS = ((2, 2), (2, 3), (3, 2), (3, 3))


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """Questions about grids of photos.

    Every sample is a pure function of (seed, law, part, kind, index) and of the names that the
    folder has; no photo is opened before somebody looks at the picture, and none stands twice in
    one. Under the `balanced` law a question has each of its answers once, in turn; under the
    `prior` law its likely answer (`solvent.benchmarks.mosaic.kinds` says which) in a share
    `typical` of the questions, exactly so after every 20, and the others equally often.

    Attributes:
        root: folder with a folder of photos per class; a relative path starts at the repository
            root.
        classes: how many take part, those with most photos; or their folders; None: all.
        names: folder -> what the class is called, where its folder does not say it: a name, or
            some of {name, article, plural}.
        part: all photos, or the `first` or `second` half of them, which share none.
        law: balanced or prior.
        typical: share of likely answers under the prior law, between 0 and 1, in steps of 0.05.
        kinds: question types, from `solvent.benchmarks.mosaic.kinds.KINDS`.
        questions: per question type.
        grid: rows and columns, each 2 or 3.
        side: of a cell, in pixels.
        gap: between cells, in pixels.
        most: greatest number of photos of one class that `count` asks for.
        seed: of the questions, and of the photos.
    """

    root: str
    classes: int | Sequence[str] | None
    names: Mapping[str, Any]
    part: Part
    law: Literal["balanced", "prior"]
    typical: float
    kinds: Sequence[str]
    questions: int
    grid: Sequence[int]
    side: int
    gap: int
    most: int
    seed: int

    def __post_init__(self) -> None:
        for name, value, known in (
            ("law", self.law, ("balanced", "prior")),
            ("part", self.part, ("all", "first", "second")),
            *(("kinds", kind, KINDS) for kind in self.kinds),
        ):
            if value not in known:
                raise ValueError(f"benchmark.source.{name} has {value!r}; {nearest(value, known)}")
        enough = not isinstance(self.classes, int) or self.classes >= 2
        cells = self.grid[0] * self.grid[1] if tuple(self.grid) in GRIDS else 0
        for name, value, right, expected in (
            ("classes", self.classes, enough, "2 or more, folders, or null"),
            ("grid", self.grid, bool(cells), "[rows, columns], each 2 or 3"),
            ("side", self.side, self.side >= 1, "1 pixel or more"),
            ("gap", self.gap, self.gap >= 0, "0 pixels or more"),
            ("most", self.most, 1 <= self.most <= max(cells, 1), f"1 to {cells}, the cells"),
            ("typical", self.typical, self._in_steps(), "0.05, 0.1, ... 0.95"),
        ):
            if not right:
                raise ValueError(f"benchmark.source.{name} is {value}; expected {expected}")

    def _in_steps(self) -> bool:
        return 0 < self.typical < 1 and abs(self.typical * DECK - round(self.typical * DECK)) < 1e-9

    def files(self) -> list[Path]:
        """The folders that are listed."""
        return folders(paths.resolve(self.root))

    def provenance(self) -> dict[str, Any]:
        """How many photos of every class there are to choose from."""
        return {"photos": {folder: len(names) for folder, names in self._stock().items()}}

    def __call__(self) -> list[Sample]:
        """All samples, kind by kind.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: too few classes or photos, or a class without a name.
        """
        return _Drawing(self, self._stock()).samples()

    def _stock(self) -> dict[str, Sequence[str]]:
        """Photos that may be shown, by folder; classes with most photos first."""
        found = listed(paths.resolve(self.root))
        return {
            folder: of_part(folder, found[folder], self.part)
            for folder in chosen(found, self.classes)
        }


@dataclass(frozen=True)
class _Drawing:
    """Settings, and the photos that they led to."""

    source: Mosaic
    stock: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        self._check_enough()

    @cached_property
    def _folders(self) -> list[str]:
        """Classes in the order of their names."""
        return sorted(self.stock, key=lambda folder: (self._nouns[folder].name, folder))

    @cached_property
    def _nouns(self) -> dict[str, Noun]:
        given = {str(folder): value for folder, value in self.source.names.items()}
        nouns = {folder: noun(folder, given.get(folder)) for folder in self.stock}
        owners: dict[str, str] = {}
        for folder, named in nouns.items():
            for name in (named.name, named.plural):  # "cats" would be two classes, of cat and cats
                if (owner := owners.setdefault(name.casefold(), folder)) != folder:
                    raise ValueError(
                        f"the folders {owner!r} and {folder!r} are both called {name!r}: put "
                        "their photos together, or correct benchmark.source.names"
                    )
        return nouns

    @cached_property
    def world(self) -> World:
        """What can stand in a mosaic."""
        rows, columns = self.source.grid
        ranked = list(self.stock)
        return World(
            nouns=[self._nouns[folder] for folder in self._folders],
            ranks=[ranked.index(folder) for folder in self._folders],
            grid=Grid(rows=rows, columns=columns, side=self.source.side, gap=self.source.gap),
            most=self.source.most,
        )

    def _check_enough(self) -> None:
        """Raise `ValueError` where a mosaic could run out of photos."""
        source, sizes = self.source, sorted(map(len, self.stock.values()), reverse=True)
        here = f"{source.root}, part {source.part}"
        if len(sizes) < 2:
            raise ValueError(f"{here}: {len(sizes)} class takes part; expected 2 or more")
        rows, columns = source.grid
        for kind in source.kinds:
            barred = BARRED.get(kind, 0)
            free, wanted = sum(sizes[barred:]), rows * columns - 2 * (kind == "relation")
            if free < wanted:
                beside = f" beside those of {barred} of the classes" if barred else ""
                raise ValueError(
                    f"{here}: questions of the kind {kind!r} in a grid of {rows} x {columns} need "
                    f"{wanted} photos{beside}, and there are {free}: add photos or classes, or "
                    "choose a smaller benchmark.source.grid or other benchmark.source.kinds"
                )
            least = {"count": source.most}.get(kind, 1)
            few = next((f for f, names in self.stock.items() if len(names) < least), None)
            if few is not None:
                raise ValueError(
                    f"{here}: {few!r} has {len(self.stock[few])} photos, and questions of the kind "
                    f"{kind!r} need {least} of every class: add some, choose others with "
                    "benchmark.source.classes, or lower benchmark.source.most"
                )

    def samples(self) -> list[Sample]:
        """All samples, kind by kind."""
        source = self.source
        return [
            self._sample(kind, index) for kind in source.kinds for index in range(source.questions)
        ]

    def _sample(self, kind: str, index: int) -> Sample:
        source, count = self.source, answers(self.world, kind)
        key = f"mosaic/{source.law}/{source.seed}/{source.part}/{kind}"
        turn, at = divmod(index, count)
        question, uid = ASKERS[kind](self.world, key, turn), f"{key}/{index:05d}"
        answer, tags = at, {}
        if source.law == "prior":
            answer = self._by_prior(key, index, question)
            tags = {"typical": "yes" if answer == question.likely else "no"}
        meta = {"paraphrase": question.paraphrase}
        if question.statement is not None:
            meta["statement"] = question.statement
        return Sample(
            uid=uid,
            images=(self._picture(uid, question.wish(Random(uid), answer)),),
            text=question.text,
            options=question.options,
            gold=answer,
            groups={"question": f"{key}/{turn}"},
            tags={"kind": kind, **question.tags, **tags},
            meta=meta,
        )

    def _by_prior(self, key: str, index: int, question: Question) -> int:
        """The answer to a question: the likely one in its share of every `DECK` questions."""
        passed, at = divmod(index, DECK)
        deck = list(range(DECK))
        Random(f"{key}/{passed}/deck").shuffle(deck)
        if deck[at] < round(self.source.typical * DECK):
            return question.likely
        others = [each for each in range(len(question.options)) if each != question.likely]
        return Random(f"{key}/{index}/other").choice(others)

    def _picture(self, uid: str, wish: Wish) -> Collage:
        classes = self._filled(Random(f"{uid}/classes"), wish)
        about = {*wish.cells, *(cell for cell, each in enumerate(classes) if each in wish.classes)}
        photos, rng = [""] * len(classes), Random(f"{uid}/photos")
        for each in sorted(set(classes)):
            cells = [cell for cell, other in enumerate(classes) if other == each]
            folder = self._folders[each]
            for cell, name in zip(cells, rng.sample(self.stock[folder], len(cells)), strict=True):
                photos[cell] = f"{folder}/{name}"
        grid = self.world.grid
        return Collage(
            name=uid,
            root=paths.resolve(self.source.root),
            photos=tuple(photos),
            grid=grid,
            regions=tuple(grid.box(cell) for cell in sorted(about)) or (EVERYWHERE,),
        )

    def _filled(self, rng: Random, wish: Wish) -> list[int]:
        """The class in every cell: what is wished for, then others as the law has them, as long as
        there are photos.
        """
        left = [len(self.stock[folder]) for folder in self._folders]
        for each in wish.put.values():
            left[each] -= 1
        classes, filled = range(len(left)), dict(wish.put)
        cells = [cell for cell in range(len(self.world.grid.places)) if cell not in filled]
        rng.shuffle(cells)
        for cell in cells:
            there = [each for each in classes if left[each] > 0 and each not in wish.barred]
            filled[cell] = rng.choices(there, self._weights(cell, there))[0]
            left[filled[cell]] -= 1
        return [filled[cell] for cell in sorted(filled)]

    def _weights(self, cell: int, classes: Sequence[int]) -> list[float] | None:
        """How often classes stand at a place where the question does not say it."""
        if self.source.law == "balanced":
            return None
        rest = (1 - self.source.typical) / (len(self._folders) - 1)
        likely = self.world.likely(cell)
        return [self.source.typical if each == likely else rest for each in classes]

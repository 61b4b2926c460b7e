"""The world as a benchmark: a seed becomes samples, without files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import ClassVar

from solvent.benchmarks.shapes.drawing import DrawnImage, cell_of
from solvent.benchmarks.shapes.questions import ASKERS, Question
from solvent.benchmarks.shapes.world import Law, Scene, draw_scene
from solvent.core.types import Box, Sample

EVERYWHERE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Questions about drawn scenes.

    Every sample is a pure function of (seed, law, kind, index). Under the `balanced` law the right
    answers of a question type are spread evenly over its options; under the `prior` law they fall
    as the priors make them.
    """

    drawn: ClassVar[bool] = True  # there are no files

    law: Law
    kinds: Sequence[str]  # question types, from `solvent.benchmarks.shapes.questions.KINDS`
    questions: int  # per question type
    seed: int

    def __post_init__(self) -> None:
        if self.law not in ("balanced", "prior"):
            raise ValueError(f"shapes: law must be balanced or prior, not {self.law!r}")
        if unknown := [kind for kind in self.kinds if kind not in ASKERS]:
            raise ValueError(f"shapes: unknown kinds {unknown}; known are {', '.join(ASKERS)}")

    def __call__(self) -> list[Sample]:
        """All samples, kind by kind."""
        return [self._sample(kind, index) for kind in self.kinds for index in range(self.questions)]

    def _sample(self, kind: str, index: int) -> Sample:
        uid = f"shapes/{self.law}/{self.seed}/{kind}/{index:05d}"
        scene, question = self._draw(uid, kind, index)
        return Sample(
            uid=uid,
            images=(DrawnImage(scene=scene, seed=uid, regions=_regions(question)),),
            text=question.text,
            options=question.options,
            gold=question.options.index(question.answer),
            groups={"image": uid},
            tags={"kind": kind, **question.tags},
            meta=question.meta,
        )

    def _draw(self, uid: str, kind: str, index: int) -> tuple[Scene, Question]:
        for attempt in count():
            rng = Random(f"{uid}/{attempt}")
            scene = draw_scene(rng, self.law)
            question = ASKERS[kind](rng, scene)
            if question is None:
                continue
            wanted = question.options[index % len(question.options)]
            if self.law == "prior" or question.answer == wanted:
                return scene, question
        raise AssertionError("unreachable: count() never ends")


def _regions(question: Question) -> tuple[Box, ...]:
    """Patches of the objects that the question is about; everywhere, where something is absent."""
    return tuple(map(cell_of, question.about)) or (EVERYWHERE,)

"""The picture of another sample from the second sentence of an answer on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from solvent.core.types import Condition, Sample


@dataclass(frozen=True, kw_only=True)
class SwapMidway:
    """The question with its own picture, and another one in its place once the model has said the
    first sentence of its answer.

    The model answers the question as it is, under whatever edits its attention. Then it reads the
    prompt with the other picture, what it said up to the end of the first sentence as its own
    words, and goes on from there: what follows says which of the two it goes by, the picture or
    its words. `shown["begun"]` keeps the sentence. An answer of one sentence may end there again.
    Only generated answers have a middle.
    """

    name: str
    donors: Condition  # that shows another sample's pictures, of the same size

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample that has a donor, with its own pictures and those that come later."""
        own = {sample.uid: sample for sample in samples}
        return [
            replace(own[view.uid], later=view.images, shown=view.shown)
            for view in self.donors.views(samples)
        ]

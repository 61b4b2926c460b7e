"""The question with noise in the place of what its image becomes for the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from solvent.core.types import Sample
from solvent.diagnostics.conditions.keys import question_key


@dataclass(frozen=True, kw_only=True)
class NoiseEmbeddings:
    """The sample as it is, to a model whose image embeddings are noise with the mean and the
    standard deviation of the real ones.

    Other than with `Noise`, the vision encoder has no say in what is left, and no token's embedding
    tells of the picture; positions and the number of image tokens stay. The noise is drawn for
    every question by itself: it is the same beside any others, and for every order of its options.
    """

    name: str
    seed: int

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample, with a seed for its noise."""
        return [replace(sample, noise=f"{self.seed}/{question_key(sample)}") for sample in samples]

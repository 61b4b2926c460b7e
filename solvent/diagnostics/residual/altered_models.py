"""Conditions that show the samples as they are, to a model that is not itself for that long.

    noise_qkv   queries, keys and values are made by noise with the moments of the learned weights
    noise_ffn   likewise the feed-forward parts
    untrained   all weights are drawn anew, as before any training
    unrotated   attention is held against itself without rotation by position

They are controls of what is measured of updates; their answers mean nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar, Literal

from solvent.core.types import VLM, Sample
from solvent.diagnostics.statistics.place_bias import TURN

Draw = Literal["own", "same"]
Weights = Literal["noise_qkv", "noise_ffn", "untrained"]
WHICH: Mapping[Weights, Literal["qkv", "ffn", "all"]] = {
    "noise_qkv": "qkv",
    "noise_ffn": "ffn",
    "untrained": "all",
}
UNROTATED = "unrotated"


def first_questions(uids: Collection[str], count: int) -> frozenset[str]:
    """Those whose hashed names come first, whatever else there is; of a question that is asked in
    turns, the first turn.
    """
    first = [uid for uid in uids if not TURN.fullmatch(uid)]
    return frozenset(sorted(first, key=lambda uid: blake2b(uid.encode()).digest())[:count])


@dataclass(frozen=True, kw_only=True)
class OtherWeights:
    """Some of the samples, to the same model with weights that were drawn anew."""

    name: Weights
    seed: int
    draw: Draw  # of noise: streams of their own for all matrices, or the same one
    samples: int  # questions at most

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The chosen samples as they are."""
        return _chosen(samples, self.samples)

    def check(self, model: VLM) -> None:
        """Raise where a model's weights cannot be drawn anew: quantised ones, say."""
        model.check_weights(WHICH[self.name])

    def altered(self, model: VLM) -> AbstractContextManager[None]:
        """The model with these weights."""
        return model.other_weights(WHICH[self.name], seed=self.seed, draw=self.draw)


@dataclass(frozen=True, kw_only=True)
class Unrotated:
    """Some of the samples; what is measured is attention with rotation against that without."""

    samples: int  # questions at most

    name: ClassVar[str] = UNROTATED
    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The chosen samples as they are."""
        return _chosen(samples, self.samples)

    def altered(self, model: VLM) -> AbstractContextManager[None]:
        """The model, both ways."""
        return model.compare_rotation()


def _chosen(samples: Sequence[Sample], count: int) -> list[Sample]:
    chosen = first_questions([sample.uid for sample in samples], count)
    return [sample for sample in samples if sample.uid in chosen]

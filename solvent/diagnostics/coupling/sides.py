"""Image and text states of the same samples, in the real run and in its controls.

Axes: N samples, L layers, D components; R runs, the real one first; B random halves of the samples;
P permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from solvent.diagnostics.statistics.information_theory import (
    conditional_information_bits,
    halves,
    largest_correlations,
    permuted_information_bits,
)
from solvent.diagnostics.statistics.projection import Scores
from solvent.diagnostics.stored_states import Part


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Scores of the same samples and layers: the image's, and the text's in every run."""

    image: Float[np.ndarray, "N L D"]
    runs: Sequence[Float[np.ndarray, "N L D"]]
    strata: Int[np.ndarray, " N"]
    clusters: Int[np.ndarray, " N"]

    def at(self, layers: slice) -> Sides:
        """Some of the layers."""
        runs = [run[:, layers] for run in self.runs]
        return replace(self, image=self.image[:, layers], runs=runs)

    def pooled(self) -> Sides:
        """Everything in one stratum: what the answer explains counts as shared."""
        return replace(self, strata=np.zeros_like(self.strata))

    def bits(self, rows: Int[np.ndarray, " M"] | slice = slice(None)) -> Float[np.ndarray, "R L"]:
        """GC-CMI of the image with every run's text, per layer."""
        runs = [run[rows] for run in self.runs]
        return conditional_information_bits(self.image[rows], runs, self.strata[rows])

    def correlations(self) -> Float[np.ndarray, "R L"]:
        """The largest canonical correlation of the image with every run's text, per layer."""
        return largest_correlations(self.image, self.runs, self.strata)

    def resampled(self, repeats: int, seed: int) -> Float[np.ndarray, "B R L"]:
        """The same in random halves of the clusters."""
        return np.stack(
            [self.bits(rows) for rows in halves(self.strata, self.clusters, repeats, seed)]
        )

    def permuted(self, permutations: int, seed: int) -> Float[np.ndarray, "P R L"]:
        """The same with the text's rows permuted inside strata, alike in all runs and layers."""
        return permuted_information_bits(self.image, self.runs, self.strata, permutations, seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """The part of stored scores that is judged."""

    scores: Scores
    rows: Bool[np.ndarray, " N"]
    layers: Sequence[int]
    runs: Sequence[str]

    @property
    def strata(self) -> Int[np.ndarray, " n"]:
        """Number of every sample's stratum."""
        names = [name for name, use in zip(self.scores.strata, self.rows, strict=True) if use]
        return np.unique(names, return_inverse=True)[1]

    @property
    def smallest_stratum(self) -> int:
        """Samples of the smallest one."""
        return int(np.bincount(self.strata).min())

    def sides(self, part: Part, dimensions: int) -> Sides:
        """The first components of the image's scores, and of this part of the text's."""

        def cut(values: Float[np.ndarray, "N L D"]) -> Float[np.ndarray, "n l d"]:
            return values[self.rows][:, self.layers, :dimensions].astype(np.float64)

        runs = getattr(self.scores, part)
        return Sides(
            image=cut(self.scores.image),
            runs=[cut(runs[name]) for name in self.runs],
            strata=self.strata,
            clusters=self.scores.clusters[self.rows],
        )

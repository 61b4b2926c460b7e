"""How the questions of a family of arms lie in clusters: made once, used for every arm.

Axes: N questions, C clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import Bounds, Clustered


@dataclass(frozen=True, eq=False)
class Layout:
    """Which questions belong together.

    Attributes:
        order: of the questions, by which those of a cluster stand side by side.
        starts: of every cluster in that order.
        sizes: questions of every cluster.
    """

    order: Int[np.ndarray, " N"]
    starts: Int[np.ndarray, " C"]
    sizes: Float[np.ndarray, " C"]

    @classmethod
    def of(cls, clusters: Int[np.ndarray, " N"]) -> Layout:
        """From the number of the cluster that each question lies in; any integers."""
        if not len(clusters):
            raise ValueError("there are no questions; a comparison needs at least one")
        _, place, counts = np.unique(clusters, return_inverse=True, return_counts=True)
        return cls(
            order=np.argsort(place, kind="stable"),
            starts=np.concatenate([[0], np.cumsum(counts)[:-1]]),
            sizes=counts.astype(float),
        )

    @property
    def questions(self) -> int:
        return len(self.order)

    def sums(self, values: Float[np.ndarray, "*arms N"]) -> Float[np.ndarray, "*arms C"]:
        """Of the values in every cluster."""
        if values.shape[-1] != self.questions:
            raise ValueError(
                f"{values.shape[-1]} values were given for {self.questions} questions: every arm "
                "must answer the questions of its control"
            )
        return np.add.reduceat(values[..., self.order], self.starts, axis=-1)

    def mean(self, values: Float[np.ndarray, " N"], bounds: Bounds | None) -> Clustered:
        """The mean of one value per question."""
        return Clustered(self.sums(values), self.sizes, self.sums(values**2), bounds)

    def rows_of(self, clusters: Int[np.ndarray, " K"]) -> Int[np.ndarray, " M"]:
        """Numbers of the questions in some clusters, ascending."""
        ends = self.starts + self.sizes.astype(int)
        rows = [self.order[self.starts[each] : ends[each]] for each in clusters]
        return np.sort(np.concatenate(rows))

    def only(self, clusters: Int[np.ndarray, " K"]) -> tuple[Int[np.ndarray, " M"], Layout]:
        """Some of the clusters: the numbers of their questions, and how these lie."""
        labels = np.empty(self.questions, dtype=int)
        labels[self.order] = np.repeat(np.arange(len(self.sizes)), self.sizes.astype(int))
        rows = self.rows_of(clusters)
        return rows, Layout.of(labels[rows])

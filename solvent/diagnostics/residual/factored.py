"""Residual-stream states, taken apart once: Gram matrix, singular values, rank, both subspaces.

Axes: batch (layers, or anything else), token T, width H; m = min(T, H), n = max(T, H).

The plain route is a thin SVD of every state. The fast one is taken where it is exact: from the
m x m Gram matrix and matrix products, where its least eigenvalue shows that the rank is m, and
elsewhere from a QR decomposition and the SVD of its small factor, which is as exact as an SVD.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Route = Literal["fast", "svd"]

EPS = torch.finfo(torch.float64).eps
SAFE = 100.0  # times n * EPS: what rounding of a Gram matrix may do to its eigenvalues, and more


@dataclass(frozen=True, kw_only=True, eq=False)
class Factored:
    """A batch of states and what follows from them, each computed when it is first asked for.

    A state with a value that is not finite is held as zeros, and `finite` says so.
    """

    states: Float[Tensor, "batch token width"]  # float64
    finite: Bool[Tensor, " batch"]
    rtol: float | None  # see `rank`
    route: Route

    @cached_property
    def norm(self) -> Float[Tensor, " batch"]:
        """Frobenius norm."""
        return torch.linalg.matrix_norm(self.states)

    @cached_property
    def gram(self) -> Float[Tensor, "batch token token"]:
        """X X^T: lengths of tokens, and angles between them."""
        return self.states @ self.states.mT

    @cached_property
    def singular_values(self) -> Float[Tensor, "batch m"]:
        """From the greatest down; absolute error below 1e-10 of the greatest."""
        values = self._eigenvalues.sqrt()
        if self._by_vectors.any():
            values[self._by_vectors] = self._vectors[1]
        return values

    @cached_property
    def rank(self) -> Int[Tensor, " batch"]:
        """How many singular values are above `rtol` times the greatest.

        `rtol` None: max(T, H) * 2.2e-16, the rounding of float64, as `numpy.linalg.matrix_rank`
        has it. Zeros have rank 0.
        """
        values = self.singular_values
        return (values > self._tolerance * values[:, :1]).sum(dim=1)

    def outside_rows(self, others: Float[Tensor, "batch token width"]) -> Float[Tensor, " batch"]:
        """||Y (I - P_R)||: how much of the rows of Y no mixture of the tokens of X gives.

        P_R projects on the span of the rows of X. From Y - (Y V) V^T itself, never from a
        difference of squared norms, which cancels. Exactly 0 where the rank is H.
        """
        return self._beyond(others) if self._wide else self._across(others.mT)

    def outside_columns(
        self, others: Float[Tensor, "batch token width"]
    ) -> Float[Tensor, " batch"]:
        """||(I - P_C) Y||: what no linear map of the features of X gives. Exactly 0 at rank T."""
        return self._across(others) if self._wide else self._beyond(others.mT)

    @property
    def _wide(self) -> bool:
        return self.states.shape[1] <= self.states.shape[2]

    @property
    def _short(self) -> Float[Tensor, "batch m n"]:
        """The states, lying on their longer side."""
        return self.states if self._wide else self.states.mT

    @property
    def _tolerance(self) -> float:
        return max(self.states.shape[1:]) * EPS if self.rtol is None else self.rtol

    @cached_property
    def _short_gram(self) -> Float[Tensor, "batch m m"]:
        return self.gram if self._wide else self._short @ self._short.mT

    @cached_property
    def _eigenvalues(self) -> Float[Tensor, "batch m"]:
        with one_thread():
            return torch.linalg.eigvalsh(self._short_gram).flip(-1).clamp_min(0.0)

    @cached_property
    def _by_vectors(self) -> Bool[Tensor, " batch"]:
        """Where the Gram matrix does not show that the rank is full, or is not to be believed."""
        if self.route == "svd":
            return torch.ones_like(self.finite)
        greatest, least = self._eigenvalues[:, 0], self._eigenvalues[:, -1]
        limit = self._tolerance**2 + SAFE * max(self.states.shape[1:]) * EPS
        return ~(least > limit * greatest)

    @cached_property
    def _vectors(
        self,
    ) -> tuple[Float[Tensor, "some m m"], Float[Tensor, "some m"], Float[Tensor, "some m n"]]:
        """U, s and V^T of `_short` where `_by_vectors`; vectors beyond the rank are zeros."""
        states = _taken(self._short, self._by_vectors)
        with one_thread():
            if self.route == "svd":
                left, values, right = torch.linalg.svd(states, full_matrices=False)
            else:
                basis, small = torch.linalg.qr(states.mT)
                left, values, inner = torch.linalg.svd(small.mT)
                right = inner @ basis.mT
        kept = (values > self._tolerance * values[:, :1]).to(values)
        return left * kept[:, None, :], values, right * kept[:, :, None]

    @cached_property
    def _lengths(self) -> Float[Tensor, "batch m"]:
        return self._short_gram.diagonal(dim1=1, dim2=2).sqrt()

    @cached_property
    def _cholesky(self) -> Float[Tensor, "some m m"]:
        """Of the cosines between the rows of `_short`, where not `_by_vectors`.

        Rows of unit length span the same space, and one huge token then does no harm.
        """
        full = ~self._by_vectors
        lengths, gram = self._lengths[full], self._short_gram[full]
        with one_thread():
            return torch.linalg.cholesky(gram / lengths[:, :, None] / lengths[:, None, :])

    def _beyond(self, others: Float[Tensor, "batch m n"]) -> Float[Tensor, " batch"]:
        """Norm of the part of rows outside the span of the rows of `_short`."""
        norms, full = others.new_zeros(len(others)), ~self._by_vectors
        if full.any():
            rows, left = _taken(self._short, full), _taken(others, full)
            lengths = self._lengths[full][:, None, :]
            for _ in range(2):  # the second time takes what rounding left of the first
                products = (left @ rows.mT) / lengths
                with one_thread():
                    mixed = torch.cholesky_solve(products.mT, self._cholesky).mT
                left = left - (mixed / lengths) @ rows
            norms[full] = torch.linalg.matrix_norm(left)
        if self._by_vectors.any():
            basis, left = self._vectors[2], _taken(others, self._by_vectors)
            for _ in range(2):
                left = left - (left @ basis.mT) @ basis
            norms[self._by_vectors] = torch.linalg.matrix_norm(left)
        return torch.where(self.rank == others.shape[2], 0.0, norms)

    def _across(self, others: Float[Tensor, "batch m n"]) -> Float[Tensor, " batch"]:
        """Norm of the part of columns outside the span of the columns of `_short`."""
        norms, lacking = others.new_zeros(len(others)), self.rank < others.shape[1]
        if lacking.any():  # and then they are among those with vectors
            basis, left = self._vectors[0], _taken(others, self._by_vectors)
            for _ in range(2):
                left = left - basis @ (basis.mT @ left)
            norms[self._by_vectors] = torch.linalg.matrix_norm(left)
        return torch.where(lacking, norms, 0.0)


def factor(
    states: Float[Tensor, "batch token width"], *, rtol: float | None, route: Route
) -> Factored:
    """Take states of any floating type apart, in float64 on their own device.

    Raises `ValueError` when they are not of three axes, or empty.
    """
    if states.ndim != 3 or 0 in states.shape[1:]:
        raise ValueError(
            f"States are expected as (batch, token, width) with tokens in them, got the shape "
            f"{tuple(states.shape)}; add an axis in front for a single state."
        )
    states = states.detach().to(torch.float64)
    finite = torch.linalg.matrix_norm(states).isfinite()
    if not finite.all():
        states = torch.where(finite[:, None, None], states, 0.0)
    return Factored(states=states, finite=finite, rtol=rtol, route=route)


@contextmanager
def one_thread() -> Iterator[None]:
    """For decompositions of small matrices on a CPU: several threads are slower than one.

    On 2 idle cores 3 times, and on busy ones a hundred times, as they wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _taken(values: Tensor, where: Bool[Tensor, " batch"]) -> Tensor:
    """Those of a batch; without a copy where it is all of them."""
    return values if bool(where.all()) else values[where]


def centred(states: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
    """States less their mean over tokens, in float64: spans become those around the mean token.

    A variant: the rank falls by one, and with it goes the fast route.
    """
    states = states.to(torch.float64)
    return states - states.mean(dim=1, keepdim=True)

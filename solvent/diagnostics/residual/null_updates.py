"""Updates that nothing computed: directions, numbers and rounding by chance.

Axes: batch (layers); T tokens, width H. X is the state before an update, D the update of a model.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from solvent.diagnostics.residual.factored import EPS, one_thread
from solvent.diagnostics.residual.random_streams import normal

Matching = Literal["moments", "norms"]


def haar_update(
    update: Float[Tensor, "batch token width"], generator: np.random.Generator
) -> Float[Tensor, "batch token width"]:
    """D Q with an orthogonal Q drawn uniformly (Haar), anew for every update: random directions.

    Lengths of the tokens' updates and angles between them stay: D Q Q^T D^T = D D^T, to rounding.
    With no more tokens than dimensions it is drawn as the square root of D D^T times T orthonormal
    rows, which has the same distribution and needs no H x H matrix. Kappa of it is about 1.
    """
    update = update.to(torch.float64)
    tokens, width = update.shape[1:]
    if tokens > width:
        square = normal(update.new_empty((len(update), width, width)), generator)
        return update @ _orthonormal(square)
    gram = update @ update.mT
    with one_thread():
        values, vectors = torch.linalg.eigh(gram)
    values = torch.where(values > width * EPS * values[:, -1:], values, 0.0)
    root = vectors * values.sqrt()[:, None, :] @ vectors.mT
    return root @ _orthonormal(normal(update, generator))


def gaussian_update(
    update: Float[Tensor, "batch token width"],
    matching: Matching,
    generator: np.random.Generator,
) -> Float[Tensor, "batch token width"]:
    """Noise in place of an update ("Noise-Delta"): independent normal numbers.

    `moments`: with the mean and the population standard deviation of all entries of that D, in
    distribution, as the paper says; so every token gets about the same length. `norms`: of mean 0,
    and every token's noise is as long as that token's update. Raises `ValueError` for others.
    """
    update = update.to(torch.float64)
    noise = normal(update, generator)
    if matching == "moments":
        mean = update.mean(dim=(1, 2), keepdim=True)
        return mean + update.std(dim=(1, 2), correction=0, keepdim=True) * noise
    if matching == "norms":
        lengths = torch.linalg.vector_norm(update, dim=2, keepdim=True)
        return noise * (lengths / torch.linalg.vector_norm(noise, dim=2, keepdim=True))
    raise ValueError(f"Noise is matched to moments or norms of an update, got {matching!r}.")


def rounding_update(
    states: Float[Tensor, "batch token width"], update: Float[Tensor, "batch token width"]
) -> Float[Tensor, "batch token width"]:
    """What keeping X + D in bfloat16 adds to it: an update that is nothing but rounding.

    At most 2^-8 of every entry, up or down by chance, so in random directions: no row innovation
    below that of it can be told from 0.
    """
    total = states.to(torch.float64) + update.to(torch.float64)
    return total.to(torch.bfloat16).to(torch.float64) - total


def _orthonormal(gaussian: Float[Tensor, "batch k n"]) -> Float[Tensor, "batch k n"]:
    """k orthonormal rows, uniformly distributed: the Q of a QR decomposition with R positive.

    Source: Mezzadri (2007), https://arxiv.org/abs/math-ph/0609050, section 5. Of a matrix at least
    twice as wide as high, which is well conditioned, the same Q by Cholesky decomposition.
    """
    if 2 * gaussian.shape[1] <= gaussian.shape[2]:
        gram = gaussian @ gaussian.mT
        with one_thread():
            lower = torch.linalg.cholesky(gram)
        return torch.linalg.solve_triangular(lower, gaussian, upper=False)
    with one_thread():
        basis, upper = torch.linalg.qr(gaussian.mT)
    return (basis * upper.diagonal(dim1=1, dim2=2).sign()[:, None, :]).mT

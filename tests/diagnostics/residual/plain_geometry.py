"""The measures as they are printed, one matrix and one token at a time, in NumPy and `math`."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from solvent.diagnostics.residual.factored import Factored, Route, factor


def factored(
    *states: np.ndarray | Tensor, rtol: float | None = None, route: Route = "fast"
) -> Factored:
    """A batch of the code under test, of matrices one by one."""
    return factor(torch.stack([torch.as_tensor(each) for each in states]), rtol=rtol, route=route)


def gaussian(tokens: int, width: int, seed: int = 0, rank: int | None = None) -> np.ndarray:
    """Independent normal numbers, or the product of two such matrices."""
    random = np.random.default_rng((tokens, width, seed))
    if rank is None:
        return random.normal(size=(tokens, width))
    return random.normal(size=(tokens, rank)) @ random.normal(size=(rank, width))


def plain_effective_rank(states: Float[np.ndarray, "T H"]) -> float:
    values = np.linalg.svd(states, compute_uv=False)
    shares = [value / values.sum() for value in values if value > 0]
    return math.exp(-sum(share * math.log(share) for share in shares))


def plain_innovation(
    before: Float[np.ndarray, "T H"], after: Float[np.ndarray, "T H"]
) -> tuple[float, float]:
    """Column and row innovation, by projectors written out."""
    left, values, right = np.linalg.svd(before)
    rank = int((values > max(before.shape) * np.finfo(float).eps * values[0]).sum())
    columns = np.eye(len(before)) - left[:, :rank] @ left[:, :rank].T
    rows = np.eye(before.shape[1]) - right[:rank].T @ right[:rank]
    size = np.linalg.norm(after)
    return (
        float(np.linalg.norm(columns @ after) / size),
        float(np.linalg.norm(after @ rows) / size),
    )


def plain_kappa(before: Float[np.ndarray, "T H"], after: Float[np.ndarray, "T H"]) -> float:
    update, rank = after - before, np.linalg.matrix_rank(before)
    rows = np.linalg.svd(before)[2][rank:]  # what is outside the row space
    share = np.linalg.norm(update @ rows.T) / np.linalg.norm(update)
    return float(share / math.sqrt(1 - rank / before.shape[1]))


def plain_mixing_entropy(
    states: Float[np.ndarray, "T H"], alpha: float, last: bool = False
) -> float:
    entropies = []
    for row in states:
        weights = []
        for other in states:
            product = np.linalg.norm(row) * np.linalg.norm(other)
            cosine = row @ other / product if product > 0 else 0.0
            weights.append(((min(max(cosine, -1.0), 1.0) + 1) / 2) ** alpha)
        shares = [weight / sum(weights) for weight in weights]
        entropies.append(-sum(share * math.log(share) for share in shares if share > 0))
    return entropies[-1] if last else sum(entropies) / len(entropies)

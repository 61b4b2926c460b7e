"""How evenly tokens resemble each other: token mixing entropy (TME).

Axes: batch; T tokens.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from solvent.diagnostics.residual.factored import Factored

Rows = Literal["mean", "last"]


def mixing_entropy(states: Factored, *, alpha: float, rows: Rows) -> Float[Tensor, " batch"]:
    """Entropy in nats of P_tj proportional to ((cos(x_t, x_j) + 1) / 2)^alpha over j.

    `mean`: over rows t, as in the paper; `last`: of the last token alone, the helpers' default.
    In [0, ln T]. With alpha 1, which the paper prints, the mean is in [ln T - ln 2, ln T], so that
    no update changes it by more than ln 2; the helpers' default is 8. A token of zeros has cosine
    0 with all. Divide by ln T for the normalised value. NaN where a state is not finite. Raises
    `ValueError` for other names and for an alpha that is not above 0.
    """
    if rows not in ("mean", "last"):
        raise ValueError(f"Entropies of rows are taken as mean or last, got {rows!r}.")
    if not alpha > 0:
        raise ValueError(f"The exponent alpha of similarities must be above 0, got {alpha}.")
    similar = cosines(states)
    if rows == "last":
        similar = similar[:, -1:]
    weights = ((similar + 1.0) / 2.0) ** alpha
    shares = weights / weights.sum(dim=-1, keepdim=True)
    entropy = torch.special.entr(shares).sum(dim=-1).mean(dim=-1)
    return torch.where(states.finite, entropy, torch.nan)


def normalised(nats: Float[Tensor, " batch"], tokens: int) -> Float[Tensor, " batch"]:
    """Nats as a share of ln T, the entropy of a token that resembles all; NaN for one token."""
    return nats / math.log(tokens) if tokens > 1 else torch.full_like(nats, torch.nan)


def cosines(states: Factored) -> Float[Tensor, "batch token token"]:
    """Between tokens, clipped to [-1, 1]; 0 with a token of zeros, itself included."""
    lengths = states.gram.diagonal(dim1=1, dim2=2).sqrt()
    products = lengths[:, :, None] * lengths[:, None, :]
    return torch.where(products > 0, states.gram / products, 0.0).clamp(-1.0, 1.0)


def zero_tokens(states: Factored) -> Bool[Tensor, " batch"]:
    """Where some token is all zeros."""
    return (states.gram.diagonal(dim1=1, dim2=2) == 0).any(dim=1)

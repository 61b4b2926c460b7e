"""Over how many directions the energy of a state is spread.

Axes: batch; T tokens, H width, m = min(T, H).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from solvent.diagnostics.residual.factored import Factored


def effective_rank(states: Factored) -> Float[Tensor, " batch"]:
    """exp(-sum_i p_i ln p_i), p_i = s_i / sum s, of singular values s (not squared).

    In [1, m]; NaN for zeros. Natural logarithms, and 0 ln 0 = 0. Source: Roy and Vetterli (2007),
    The effective rank, EUSIPCO.
    """
    values = states.singular_values
    shares = values / values.sum(dim=1, keepdim=True)
    return torch.special.entr(shares).sum(dim=1).exp()


def spectral_change(before: Factored, after: Factored) -> Float[Tensor, " batch"]:
    """(eRank(X') - eRank(X)) / m: above 0 an expansion, below a collapse.

    Within (m - 1) / m of 0; NaN where either is zeros. The paper's Delta S is its absolute value,
    in which the two look alike.
    """
    least = min(before.states.shape[1:])
    return (effective_rank(after) - effective_rank(before)) / least

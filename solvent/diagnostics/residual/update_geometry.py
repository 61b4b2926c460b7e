"""All measures of updates, computed together, and why some of them are not there.

Axes: batch; T tokens, H width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from solvent.diagnostics.residual.effective_rank import effective_rank, spectral_change
from solvent.diagnostics.residual.factored import Factored
from solvent.diagnostics.residual.innovation import Combine, innovation, subspace_innovation
from solvent.diagnostics.residual.mixing_entropy import (
    Rows,
    mixing_entropy,
    normalised,
    zero_tokens,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdateGeometry:
    """Of every update X -> X'. What is undefined is NaN, and a flag says why."""

    rank: Int[Tensor, " batch"]  # of X
    effective_rank: Float[Tensor, " batch"]  # of X
    spectral_change: Float[Tensor, " batch"]  # signed; RID has its absolute value
    column_innovation: Float[Tensor, " batch"]
    row_innovation: Float[Tensor, " batch"]
    subspace_innovation: Float[Tensor, " batch"]
    rid: Float[Tensor, " batch"]  # |spectral change| + subspace innovation
    kappa: Float[Tensor, " batch"]
    relative_norm: Float[Tensor, " batch"]
    entropy_nats: Mapping[float, Float[Tensor, " batch"]]  # of X, by alpha
    mixig_nats: Mapping[float, Float[Tensor, " batch"]]  # change of it, by alpha
    mixig: Mapping[float, Float[Tensor, " batch"]]  # the same, as a share of ln T
    flags: Mapping[str, Bool[Tensor, " batch"]]

    def columns(self) -> dict[str, Float[Tensor, " batch"] | Int[Tensor, " batch"]]:
        """By name, those with an alpha as `mixig_nats_alpha8`; without the flags."""
        found: dict[str, Tensor] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name == "flags":
                continue
            if isinstance(value, Mapping):
                found |= {f"{part.name}_alpha{alpha:g}": each for alpha, each in value.items()}
            else:
                found[part.name] = value
        return found


def measure(
    before: Factored, after: Factored, *, combine: Combine, rows: Rows, alphas: Sequence[float]
) -> UpdateGeometry:
    """All measures of the updates from `before` to `after`.

    What an update is held against is the caller's choice: `before` is its own input, or the input
    of the layer, as the released helpers have it for both updates. Raises `ValueError` when shapes
    differ.
    """
    if before.states.shape != after.states.shape:
        raise ValueError(
            f"States before and after an update have one shape, got {tuple(before.states.shape)} "
            f"and {tuple(after.states.shape)}; measure the same tokens."
        )
    tokens = before.states.shape[1]
    change, new = spectral_change(before, after), innovation(before, after)
    subspace = subspace_innovation(new.column, new.row, combine)
    entropy = {alpha: mixing_entropy(before, alpha=alpha, rows=rows) for alpha in alphas}
    gained = {
        alpha: mixing_entropy(after, alpha=alpha, rows=rows) - entropy[alpha] for alpha in alphas
    }
    found = _flags(before, after, new.relative_norm)
    undefined = found["not_finite"] | found["zero_before"] | found["zero_after"]
    sure = {
        "spectral_change": change,
        "column_innovation": new.column,
        "row_innovation": new.row,
        "subspace_innovation": subspace,
        "rid": change.abs() + subspace,
    }
    return UpdateGeometry(
        rank=before.rank,
        effective_rank=effective_rank(before),
        **{name: torch.where(undefined, torch.nan, value) for name, value in sure.items()},
        kappa=torch.where(found["not_finite"] | found["zero_before"], torch.nan, new.kappa),
        relative_norm=torch.where(found["not_finite"], torch.nan, new.relative_norm),
        entropy_nats=entropy,
        mixig_nats=gained,
        mixig={alpha: normalised(nats, tokens) for alpha, nats in gained.items()},
        flags=found,
    )


def _flags(
    before: Factored, after: Factored, relative_norm: Float[Tensor, " batch"]
) -> dict[str, Bool[Tensor, " batch"]]:
    """Names say what is so; a zero token has cosine 0 with all others and makes nothing NaN."""
    finite = before.finite & after.finite
    return {
        "not_finite": ~finite,
        "zero_before": finite & (before.norm == 0),  # no RID, kappa, relative norm
        "zero_after": finite & (after.norm == 0),  # no RID
        "zero_update": finite & (relative_norm == 0),  # no kappa
        "full_width": finite & (before.rank == before.states.shape[2]),  # no kappa
        "zero_token": finite & (zero_tokens(before) | zero_tokens(after)),
        "one_token": finite & (before.states.shape[1] == 1),  # no share of ln T
    }

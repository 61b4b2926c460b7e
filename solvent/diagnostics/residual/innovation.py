"""How much of an update lies outside what the state before it spans.

Axes: batch; T tokens, H width. X before, X' after, D = X' - X; P_C and P_R project on the columns
and rows of X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from solvent.diagnostics.residual.factored import Factored

Combine = Literal["mean", "l2", "sum"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Innovation:
    """Of every update; NaN where something is divided by zero.

    At full rank either `row` or `column` is 0 by algebra, whatever the update: `column` with no
    more tokens than dimensions (T <= H), `row` with no fewer.
    """

    row: Float[Tensor, " batch"]  # ||X' (I - P_R)|| / ||X'||, in [0, 1]
    column: Float[Tensor, " batch"]  # ||(I - P_C) X'|| / ||X'||, in [0, 1]
    kappa: Float[Tensor, " batch"]
    relative_norm: Float[Tensor, " batch"]  # ||D|| / ||X||, 0 and above


def innovation(before: Factored, after: Factored) -> Innovation:
    """Row and column innovation, kappa and the relative norm of updates.

    X (I - P_R) = 0, so X' (I - P_R) is D (I - P_R), which does not cancel. Where the rank was cut
    with an `rtol`, X lies outside its own subspace in part, and X' itself is projected.
    """
    update = after.states - before.states
    outside, size = before.outside_rows(update), torch.linalg.matrix_norm(update)
    if before.rtol is None:
        row, column = outside, before.outside_columns(update)
    else:
        row, column = before.outside_rows(after.states), before.outside_columns(after.states)
    return Innovation(
        row=row / after.norm,
        column=column / after.norm,
        kappa=kappa(outside / size, before.rank, update.shape[2]),
        relative_norm=torch.where(before.norm > 0, size / before.norm, torch.nan),
    )


def kappa(
    share: Float[Tensor, " batch"], rank: Int[Tensor, " batch"], width: int
) -> Float[Tensor, " batch"]:
    """The share of an update outside the row space, in units of what random directions have.

    share = ||D (I - P_R)|| / ||D||, kappa = share / sqrt(1 - rank / H). In
    [0, 1 / sqrt(1 - rank / H)]: 0 for pure mixing of tokens, about 1 for random directions, and
    independent of how large the update is. NaN at rank H, where nothing is outside.
    """
    room = (1.0 - rank.to(share) / width).clamp_min(0.0).sqrt()
    return torch.where(room > 0, share / room, torch.nan)


def subspace_innovation(
    column: Float[Tensor, " batch"], row: Float[Tensor, " batch"], combine: Combine
) -> Float[Tensor, " batch"]:
    """Delta D of column and row innovation c and r.

    `mean`: (c + r) / 2, in [0, 1], the paper's; `l2`: sqrt(c^2 + r^2) and `sum`: c + r, the two of
    the released helpers, whose default is `l2`. Raises `ValueError` for another name.
    """
    if combine == "mean":
        return (column + row) / 2
    if combine == "l2":
        return torch.hypot(column, row)
    if combine == "sum":
        return column + row
    raise ValueError(f"Innovations are combined by mean, l2 or sum, got {combine!r}.")

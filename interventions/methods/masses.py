"""How much of a row's attention a block receives.

A mass answers one question: given the block's learned log-mass l_b and the log-mass of the proposed
scores, what is the block's new log-mass? The other blocks keep theirs and the softmax over all of
them decides the shares, unless the mass moves other keys too or leaves the row unnormalised.

Axes: B batch, H heads, R rows, K keys.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interventions.engine.algebra import log_add, log_mass
from interventions.engine.view import View
from interventions.errors import InterventionError
from interventions.methods.parts import Part
from interventions.methods.selectors import ROLES, check_choice
from interventions.methods.tensor_files import read_tensor


@dataclass(frozen=True, kw_only=True)
class Mass(metaclass=Part):
    """Base of all masses."""

    leaks: ClassVar[bool] = False  # whether rows then sum to something other than one
    needs_rest: ClassVar[bool] = False  # whether a row must see keys outside the block

    @abstractmethod
    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        """New log-mass of the block; -inf means that it receives nothing."""

    def shift_others(self, view: View) -> Float[Tensor, "batch head row key"] | None:
        """What is added to the scores of keys outside the block; None for nothing."""
        return None


@dataclass(frozen=True, kw_only=True)
class Keep(Mass):
    """l'_b = l_b: the block receives exactly what it received before."""

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return view.learned_log_mass


@dataclass(frozen=True, kw_only=True)
class FromPattern(Mass):
    """l'_b = log sum_b exp(a): what a softmax over the row with replaced scores gives."""

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return proposed


@dataclass(frozen=True, kw_only=True)
class Shift(Mass):
    """l'_b = l_b + log c: every score of the block moves by log c, m -> c m / (c m + 1 - m).

    Unlike multiplying scores, which lowers negative ones, c > 1 always raises the block's share.
    It equals multiplying the block's weights by c and normalising the row again.
    The additive form is PASTA's (https://arxiv.org/abs/2311.02262).
    """

    factor: float  # c, above 0; 1 changes nothing

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 0):
            raise ValueError(
                f"The factor of a mass shift must be a number above 0, got {self.factor}; "
                "to remove a block use the mass Drop."
            )

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return view.learned_log_mass + math.log(self.factor)


@dataclass(frozen=True, kw_only=True)
class Leak(Mass):
    """The block's weights times c, the others untouched: the row no longer sums to one.

    l'_b = l_b + log c, divided by the learned normaliser. c = 0 zeroes the block without giving its
    share to anybody; compare with a pure norm control (head_gain) before reading such results.
    """

    needs_rest: ClassVar[bool] = True

    leaks: ClassVar[bool] = True
    factor: float  # c, 0 or above; 1 changes nothing

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor >= 0):
            raise ValueError(f"The factor of a leak must be 0 or above, got {self.factor}.")

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return view.learned_log_mass + (math.log(self.factor) if self.factor else -math.inf)


@dataclass(frozen=True, kw_only=True)
class Acausal(Mass):
    """The share that falls on the past when a row is normalised over the whole prompt.

    Row i (counted from 0) of a prompt of n tokens keeps (i + 1) / n of the row, and leaks the rest;
    generated rows keep all. This is what zeroing the future after normalising does to equal
    weights in CausalMM (https://github.com/The-Martyr/CausalMM).
    """

    leaks: ClassVar[bool] = True

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        seen = (view.rows.position + 1.0)[:, None, :]
        share = (seen / view.rows.prompt_lengths[:, None, None]).clamp(max=1.0)
        return view.learned_log_mass + share.log()


@dataclass(frozen=True, kw_only=True)
class Drop(Mass):
    """l'_b = -inf: attention knockout, the rest of the row absorbs the block's share.

    Source: Geva et al. 2023, https://arxiv.org/abs/2304.14767
    """

    needs_rest: ClassVar[bool] = True

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return torch.full_like(proposed, -torch.inf)


@dataclass(frozen=True, kw_only=True)
class Constant(Mass):
    """The block receives the same share of every row: l'_b = l_rest + log(share / (1 - share))."""

    needs_rest: ClassVar[bool] = True

    share: float  # above 0 and below 1

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(
                f"A constant share must lie between 0 and 1, got {self.share}; "
                "to remove a block use the mass Drop."
            )

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        return view.rest_log_mass + math.log(self.share / (1.0 - self.share))


@dataclass(frozen=True, kw_only=True)
class Fitted(Mass):
    """A constant share per layer and head, from a file: l'_b = l_rest + logit.

    The file holds `mass_logit` of shape (layer, head), as `python -m solvent calibrate` writes.
    """

    needs_rest: ClassVar[bool] = True

    file: str

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        logit = read_tensor(self.file, "mass_logit", view.rows.sample.device)
        if logit.shape != (view.rows.layers, view.heads):
            raise InterventionError(
                f"mass_logit in {self.file} must have shape (layer, head), here "
                f"{(view.rows.layers, view.heads)}, got {tuple(logit.shape)}."
            )
        return view.rest_log_mass + logit[view.layer][None, :, None]


@dataclass(frozen=True, kw_only=True)
class Transfer(Mass):
    """Part of the block's mass moves to other keys, in proportion to their learned weights.

    m'_b = (1 - f) m_b and m'_to = m_to + f m_b; the row keeps its sum. Rows in which the receiving
    keys have no allowed member are left alone.
    """

    fraction: float  # f, above 0 and at most 1
    to: Sequence[str]  # roles of the keys that receive; the block itself never does

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", tuple(self.to))
        for name in self.to:
            check_choice(name, ROLES[1:], "the receiver of a transfer")
        if not 0.0 < self.fraction <= 1.0:
            raise ValueError(f"The fraction of a transfer must lie in (0, 1], got {self.fraction}.")

    def _receives(self, view: View) -> Tensor:
        return view.with_role(self.to) & view.allowed & ~view.block

    def log_mass(
        self, view: View, proposed: Float[Tensor, "batch head row"]
    ) -> Float[Tensor, "batch head row"]:
        left = math.log1p(-self.fraction) if self.fraction < 1.0 else -math.inf
        possible = self._receives(view).any(dim=-1)
        return torch.where(possible, view.learned_log_mass + left, torch.inf)  # not to be edited

    def shift_others(self, view: View) -> Float[Tensor, "batch head row key"] | None:
        receives = self._receives(view)
        held = log_mass(view.scores, receives)
        given = view.learned_log_mass + math.log(self.fraction)
        possible = held.isfinite() & given.isfinite()
        some = held.masked_fill(~possible, 0.0)
        gain = log_add(some, given.masked_fill(~possible, 0.0)) - some
        gain = gain.masked_fill(~possible, 0.0)
        return torch.where(receives, gain[..., None], 0.0)

"""Which heads are edited when that depends on the sample: rules over scores of heads.

A rule is asked for every row, so what it chooses depends on nothing but that row (and, for a file,
the layer).

Axes: B batch, H heads, R rows.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.engine.noise import splitmix
from interventions.engine.view import View
from interventions.errors import InterventionError
from interventions.methods.parts import Part
from interventions.methods.selectors import ROLES, check_choice
from interventions.methods.shipped import located
from interventions.methods.tensor_files import Seal, seal


@dataclass(frozen=True, kw_only=True)
class HeadScore(metaclass=Part):
    """A number per head and row, from the learned scores."""

    @abstractmethod
    def values(self, view: View) -> Float[Tensor, "batch head row"]:
        """NaN where it is undefined: such heads are never chosen."""


@dataclass(frozen=True, kw_only=True)
class MeanScore(HeadScore):
    """Mean raw score over the keys of each group of roles, averaged over the groups.

    Undefined for rows in which a group has no allowed key.
    """

    groups: Sequence[Sequence[str]]
    negative: bool  # minus that mean

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(tuple(group) for group in self.groups))
        for group in self.groups:
            _check_roles(group)

    def values(self, view: View) -> Float[Tensor, "batch head row"]:
        means = []
        for group in self.groups:
            keys = view.with_role(group) & view.allowed
            total = torch.where(keys, view.scores, 0.0).sum(dim=-1)
            means.append(total / keys.sum(dim=-1))  # 0 / 0 is NaN
        mean = torch.stack(means).mean(dim=0)
        return -mean if self.negative else mean


@dataclass(frozen=True, kw_only=True)
class SumScore(HeadScore):
    """Sum of raw scores over the allowed keys with some roles."""

    keys: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))
        _check_roles(self.keys)

    def values(self, view: View) -> Float[Tensor, "batch head row"]:
        return torch.where(view.with_role(self.keys) & view.allowed, view.scores, 0.0).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Share(HeadScore):
    """Learned attention on keys with some roles, in [0, 1]."""

    keys: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))
        _check_roles(self.keys)

    def values(self, view: View) -> Float[Tensor, "batch head row"]:
        return view.share(self.keys)


@dataclass(frozen=True, kw_only=True)
class BlockShare(HeadScore):
    """Of the learned attention on keys with some roles, the part that falls into the block."""

    of: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", tuple(self.of))
        _check_roles(self.of)

    def values(self, view: View) -> Float[Tensor, "batch head row"]:
        inside = (view.weights * (view.with_role(self.of) & view.block)).sum(dim=-1)
        return inside / view.share(self.of)


@dataclass(frozen=True, kw_only=True)
class HeadRule(metaclass=Part):
    """Base of all rules."""

    @abstractmethod
    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        """Which heads are edited in which rows."""


@dataclass(frozen=True, kw_only=True)
class Band(HeadRule):
    """Heads between two quantiles of a score over the heads of a row, both ends included.

    Quantiles interpolate linearly between heads, so a narrow band may hold none.
    Source: the head rule of https://github.com/Lrbomchz/vlms_lost_in_attn
    """

    score: HeadScore
    low: float  # in [0, 1]
    high: float  # in [0, 1], not below `low`

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.high <= 1.0:
            raise ValueError(
                f"A band of heads needs 0 <= low <= high <= 1, got {self.low} and {self.high}."
            )

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        values = self.score.values(view)
        low, high = (quantile(values, end) for end in (self.low, self.high))
        return (low <= values) & (values <= high)


def quantile(values: Float[Tensor, "batch head row"], share: float) -> Float[Tensor, "batch 1 row"]:
    """Linearly interpolated quantile over heads; NaN where a head is NaN.

    As `torch.quantile`, rounding included, which waits for the device in some releases.
    """
    exact = np.float64 if values.dtype == torch.float64 else np.float32
    place, last = float(exact(share) * exact(values.shape[1] - 1)), values.shape[1] - 1
    below = int(place)
    ordered = values.sort(dim=1).values
    first, second = (ordered[:, each : each + 1] for each in (below, min(below + 1, last)))
    found = torch.lerp(first, second, place - below)
    return found.masked_fill(values.isnan().any(dim=1, keepdim=True), torch.nan)


@dataclass(frozen=True, kw_only=True)
class Top(HeadRule):
    """The floor(share * H) heads of a row with the highest score, or all the others."""

    score: HeadScore
    share: float  # of heads, in [0, 1]
    others: bool

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"The share of top heads must be in [0, 1], got {self.share}.")

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        values = self.score.values(view)
        rank = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        top = rank < int(self.share * values.shape[1] + 1e-9)
        return (~top if self.others else top) & values.isfinite()


@dataclass(frozen=True, kw_only=True)
class Between(HeadRule):
    """Heads whose score lies between two numbers, both included."""

    score: HeadScore
    least: float
    most: float

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"least must not be above most, got {self.least} and {self.most}.")

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        values = self.score.values(view)
        return (values >= self.least) & (values <= self.most)


@dataclass(frozen=True, kw_only=True)
class Table(HeadRule):
    """Heads listed per layer in a JSON file, {"16": [29], ...}; without a file, every head."""

    file: str | None

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        shape = (len(view.rows.sample), view.heads, len(view.rows.index))
        if self.file is None:
            return torch.ones(shape, dtype=torch.bool, device=view.rows.sample.device)
        path = located(self.file)
        listed = _read_table(str(path), seal(path) if path.is_file() else None)
        unknown = {
            (layer, head)
            for layer, heads in listed.items()
            for head in heads
            if not (0 <= layer < view.rows.layers and 0 <= head < view.heads)
        }
        if unknown:
            raise InterventionError(
                f"{self.file} lists heads such as {min(unknown)} (layer, head), but the model has "
                f"{view.rows.layers} layers of {view.heads} heads; use a table made for this model."
            )
        chosen = torch.zeros(shape, dtype=torch.bool, device=view.rows.sample.device)
        chosen[:, list(listed.get(view.layer, ()))] = True
        return chosen


@dataclass(frozen=True, kw_only=True)
class Every(HeadRule):
    """Heads that all rules choose; rules are named so that a setting can reach into them."""

    rules: Mapping[str, HeadRule]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", dict(self.rules))
        if not self.rules:
            raise ValueError("Every needs at least one rule, got none.")

    def __hash__(self) -> int:
        return hash(tuple(self.rules.items()))

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        return torch.stack([rule.chosen(view) for rule in self.rules.values()]).all(dim=0)


@dataclass(frozen=True, kw_only=True)
class Shuffled(HeadRule):
    """As many heads of every row as others are, but the heads of each layer in a random order: what
    a choice of heads must do better than. The order depends on the seed and the layer alone.

    `heads: random:N:SEED` of an intervention is short for N heads of every layer.
    """

    of: HeadRule | Sequence[int]  # the rule, or the list, that chooses how many
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.of, HeadRule):
            object.__setattr__(self, "of", tuple(int(head) for head in self.of))

    def chosen(self, view: View) -> Bool[Tensor, "batch head row"]:
        place = (self.seed, view.layer, view.heads, view.rows.sample.device)
        if isinstance(self.of, HeadRule):
            return self.of.chosen(view).index_select(1, _random_order(*place))
        if not all(0 <= head < view.heads for head in self.of):
            raise InterventionError(
                f"Shuffled is given the heads {list(self.of)}, but a layer has {view.heads}: name "
                f"some of 0 to {view.heads - 1}."
            )
        shape = (len(view.rows.sample), view.heads, len(view.rows.index))
        return _random_list(self.of, *place)[None, :, None].expand(shape)


@lru_cache(maxsize=256)  # a copy to the device waits for it, and every layer asks
def _random_order(seed: int, layer: int, heads: int, device: torch.device) -> Int[Tensor, " head"]:
    """A permutation of heads, the same on every device."""
    with torch.inference_mode(False):
        start = splitmix(torch.tensor(seed)) ^ layer
        return splitmix(splitmix(start) ^ torch.arange(heads)).argsort().to(device)


@lru_cache(maxsize=256)
def _random_list(
    listed: tuple[int, ...], seed: int, layer: int, heads: int, device: torch.device
) -> Bool[Tensor, " head"]:
    """Where those heads come to stand."""
    with torch.inference_mode(False):
        order = _random_order(seed, layer, heads, device)
        return torch.isin(order, torch.tensor(listed, device=device))


@lru_cache(maxsize=8)
def _read_table(file: str, changed: Seal | None) -> dict[int, tuple[int, ...]]:
    try:
        content = json.loads(Path(file).read_text())
        return {int(layer): tuple(int(head) for head in heads) for layer, heads in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InterventionError(
            f'{file} should be a JSON file such as {{"16": [29], "26": [9, 28]}} (layer to heads): '
            f"{error}"
        ) from error


def _check_roles(names: Sequence[str]) -> None:
    for name in names:
        check_choice(name, ROLES[1:], "the keys of a head score")

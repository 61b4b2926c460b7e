"""Which tokens of a prompt are measured, and what is measured on them, layer by layer.

Axes: batch (samples and draws); N tokens of a prompt, S of a draw, H width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from solvent.diagnostics.residual.layer_geometry import Control, Variant
from solvent.diagnostics.residual.null_updates import (
    gaussian_update,
    haar_update,
    rounding_update,
)
from solvent.diagnostics.residual.random_streams import stream
from solvent.diagnostics.residual.token_draws import FEWEST, token_draws

Place = tuple[str, str, int]  # sample, set of tokens, number of the draw
Tokens = Literal["all", "image", "text"]
Null = Literal["haar", "moments", "norms", "rounding"]

AT = "@"  # `all@32`: the first set of tokens, as draws of the curve against their number have it
FLAG = "flag_"  # `attention.flag_zero_update`: 1 where it is so
STEP = "step"  # what is measured where a state is held against another

Make = Callable[[Tensor, Tensor, np.random.Generator], Tensor]
NULLS: Mapping[str, Make] = {
    "haar": lambda state, update, draw: haar_update(update, draw),
    "moments": lambda state, update, draw: gaussian_update(update, "moments", draw),
    "norms": lambda state, update, draw: gaussian_update(update, "norms", draw),
    "rounding": lambda state, update, draw: rounding_update(state, update),
}
"""Updates in place of a layer's own, each drawn from a generator of its own."""


class Updates(Protocol):
    """One decoder layer, on the chosen tokens of some samples."""

    layer: int
    parallel: bool
    before: Float[Tensor, "batch S H"]
    attention: Float[Tensor, "batch S H"]
    ffn: Float[Tensor, "batch S H"]
    between: Float[Tensor, "batch S H"] | None
    has_rest: bool

    @property
    def rest(self) -> Float[Tensor, "batch S H"]:
        """What else the layer did to the stream."""


@dataclass(frozen=True, kw_only=True)
class UpdateLens:
    """Stratified draws of a fixed number of tokens, and the geometry of the updates on them.

    Every set of tokens has a size of its own, cut to H / `width_share`: measures depend on S / H,
    so it is the same for all samples, and a prompt with fewer tokens of a set is not measured on
    it. Draws are keyed by sample and set, and by nothing else. Sizes of a curve are not cut, and
    are of prompts with enough tokens for the largest, so that all its points are of the same ones.
    """

    sizes: Mapping[Tokens, int]
    width_share: int
    draws: int
    variant: Variant
    curve: Sequence[int]  # further sizes of the first set; [] in most cells
    nulls: Sequence[Null]  # controls: each in place of both updates, on one draw of the first set
    uids: frozenset[str]  # of the samples that are measured
    seed: int

    def __post_init__(self) -> None:
        if unknown := set(self.sizes) - set(get_args(Tokens)):
            raise ValueError(
                f"tokens are those of {', '.join(get_args(Tokens))}, got {', '.join(unknown)}"
            )
        if small := [size for size in (*self.sizes.values(), *self.curve) if size < FEWEST]:
            raise ValueError(f"{FEWEST} tokens of a set are the fewest, got {small[0]}")
        if self.draws < 1 or self.width_share < 1:
            raise ValueError("expected one draw and a width_share of 1 at least")
        if unknown := set(self.nulls) - set(NULLS):
            raise ValueError(f"controls are {', '.join(NULLS)}, got {', '.join(unknown)}")

    def size(self, tokens: Tokens, width: int) -> int:
        """Tokens of a draw. Raises `ValueError` where a width is too small for any."""
        size = min(self.sizes[tokens], width // self.width_share)
        if size < FEWEST:
            raise ValueError(
                f"updates are measured on {FEWEST} tokens at least, but a width of {width} allows "
                f"{size}: set diagnostic.residual.width_share to {max(width // FEWEST, 1)} or less"
            )
        return size

    def choose(
        self, uid: str, image: Bool[np.ndarray, " N"], width: int
    ) -> dict[str, Int[np.ndarray, "draw S"]]:
        """Chosen tokens, by set; of sets that have enough of them."""
        if uid not in self.uids:
            return {}
        every = np.arange(len(image))
        members = {"all": every, "image": every[image], "text": every[~image]}
        first: Tokens = next(iter(self.sizes))
        named: dict[str, tuple[Tokens, int]] = {
            tokens: (tokens, size)
            for tokens in self.sizes
            if len(members[tokens]) >= (size := self.size(tokens, width))
        }
        if self.curve and len(members[first]) >= max(self.curve):
            named |= {f"{first}{AT}{size}": (first, size) for size in self.curve}
        return {
            name: token_draws(
                members[tokens],
                size,
                self.draws if len(members[tokens]) > size else 1,  # else all would be the same
                stream(self.seed, name, uid),
            )
            for name, (tokens, size) in named.items()
        }

    def measure(
        self, places: Sequence[Place], updates: Updates
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Numbers of every entry, as `attention.rid`; NaN where undefined, and of controls but in
        the first draw of the first set of tokens.
        """
        found = self._geometry(updates, torch.arange(len(places)), {})
        found |= self._controls(places, updates)
        size = torch.linalg.matrix_norm(updates.before.double())
        rest = updates.rest if updates.has_rest else None
        for name, extra in (("rest", rest), ("between", updates.between)):
            moved = torch.zeros_like(size) if extra is None else torch.linalg.matrix_norm(extra)
            found[f"{name}.relative_norm"] = moved / size
        found["ffn.parallel"] = torch.full_like(size, float(updates.parallel))
        numbers = torch.stack([*found.values()]).cpu()  # one wait for the device
        return dict(zip(found, numbers, strict=True))

    def compare(
        self, before: Float[Tensor, "batch S H"], after: Float[Tensor, "batch S H"]
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Numbers of every entry's state held against another, as `step.rid`."""
        found = self.variant.of_step(before, after).columns()
        return {f"{STEP}.{name}": values.double().cpu() for name, values in found.items()}

    def _controls(
        self, places: Sequence[Place], updates: Updates
    ) -> dict[str, Float[Tensor, " batch"]]:
        """What other updates would do in the place of both, as `attention_haar.rid`."""
        drawn = (next(iter(self.sizes)), 0)
        first = [row for row, place in enumerate(places) if place[1:] == drawn]
        found: dict[str, Float[Tensor, " batch"]] = {}
        for start in range(0, len(first) if self.nulls else 0, self.variant.at_once):
            some = first[start : start + self.variant.at_once]
            rows, names = torch.tensor(some), [(updates.layer, *places[row]) for row in some]
            controls = {
                null: _control(null, [stream(self.seed, null, *name) for name in names])
                for null in self.nulls
            }
            for name, values in self._geometry(updates, rows, controls).items():
                if name.startswith(("attention.", "ffn.")):
                    continue  # these are known of all draws
                if name not in found:
                    found[name] = values.new_full((len(places),), torch.nan)
                found[name][rows.to(values.device)] = values
        return found

    def _geometry(
        self, updates: Updates, rows: Int[Tensor, " some"], controls: Mapping[str, Control]
    ) -> dict[str, Float[Tensor, " some"]]:
        rows = rows.to(updates.before.device)
        parts = (each[rows] for each in (updates.before, updates.attention, updates.ffn))
        found = self.variant.of_layers(*parts, parallel=updates.parallel, controls=controls)
        numbers = {
            f"{part}.{name}": values.double()
            for part, geometry in found.items()
            for name, values in geometry.columns().items()
        }
        return numbers | {
            f"{part}.{FLAG}{name}": flagged.double()
            for part in ("attention", "ffn")
            for name, flagged in found[part].flags.items()
        }


def _control(null: Null, streams: Sequence[np.random.Generator]) -> Control:
    """A control whose entries are each drawn from a stream of its own, whatever is beside it."""

    def make(states: Tensor, updates: Tensor) -> Tensor:
        rows = zip(states.split(1), updates.split(1), streams, strict=True)
        return torch.cat([NULLS[null](state, update, draw) for state, update, draw in rows])

    return make

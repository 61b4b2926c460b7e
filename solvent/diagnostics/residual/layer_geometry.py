"""The geometry of what decoder layers add to the residual stream, many layers at a time.

    variant = Variant(combine="mean", rows="mean", alphas=(1.0, 8.0), reference="own", rtol=None,
                      centre=False, route="fast", at_once=8)
    found = variant.of_layers(before, attention, ffn, parallel=False, controls={})
    found["attention"].rid  # (layer,)

Axes: L layers; T tokens, the same ones everywhere, H width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from solvent.diagnostics.residual.factored import Factored, Route, centred, factor
from solvent.diagnostics.residual.innovation import Combine
from solvent.diagnostics.residual.mixing_entropy import Rows
from solvent.diagnostics.residual.update_geometry import UpdateGeometry, measure

Reference = Literal["own", "layer_input"]
CHOICES = {"combine": Combine, "rows": Rows, "reference": Reference, "route": Route}
Control = Callable[[Tensor, Tensor], Tensor]
"""(state before, update) -> another update in its place, all (layer, token, width)."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Which of the published readings of the measures is meant.

    The paper's: mean, mean, own input. The released helpers': l2 (or sum), last, layer input, with
    alpha 8; and their subspaces from float32 have rtol = max(T, H) * 1.2e-7.
    """

    combine: Combine  # of column and row innovation
    rows: Rows  # whose entropies count
    alphas: Sequence[float]  # exponents of similarities
    reference: Reference  # what the feed-forward update is held against
    rtol: float | None  # of the rank; None: the rounding of float64
    centre: bool  # take the mean over tokens off states first
    route: Route
    at_once: int  # layers at a time: 10 float64 states each in memory, 20 with controls

    def __post_init__(self) -> None:
        for name, kind in CHOICES.items():
            if (given := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} is one of {', '.join(get_args(kind))}, got {given!r}")
        if not all(alpha > 0 for alpha in self.alphas):
            raise ValueError(f"alphas are above 0, got {', '.join(map(str, self.alphas))}")
        if self.rtol is not None and not 0 <= self.rtol < 1:
            raise ValueError(f"rtol is a share of the greatest singular value, got {self.rtol}")
        if self.at_once < 1:
            raise ValueError(f"at_once is 1 at least, got {self.at_once}")

    def of_layers(
        self,
        before: Float[Tensor, "layer token width"],
        attention: Float[Tensor, "layer token width"],
        ffn: Float[Tensor, "layer token width"],
        *,
        parallel: bool,
        controls: Mapping[str, Control],
    ) -> dict[str, UpdateGeometry]:
        """`attention` and `ffn`, and each with every control: `attention_haar`, say.

        Args:
            before: what enters the layers.
            attention: what attention adds.
            ffn: what the feed-forward part adds.
            parallel: both parts read the layer's input, so that it is the own input of both.
            controls: by name, what makes other updates of a state and an update.
        """
        parts: dict[str, list[UpdateGeometry]] = {}
        split = zip(*(each.split(self.at_once) for each in (before, attention, ffn)), strict=True)
        for start, mixed, fed in split:
            start, mixed, fed = (each.to(torch.float64) for each in (start, mixed, fed))
            for name, origin, update, behind in self._updates(start, mixed, fed, parallel):
                parts.setdefault(name, []).append(self._measured(origin, behind))
                for control, make in controls.items():
                    other = self._factored(origin.states + make(origin.states, update))
                    parts.setdefault(f"{name}_{control}", []).append(self._measured(origin, other))
        return {name: joined(found) for name, found in parts.items()}

    def of_step(
        self,
        before: Float[Tensor, "layer token width"],
        after: Float[Tensor, "layer token width"],
    ) -> UpdateGeometry:
        """Of one state held against another."""
        pairs = zip(
            before.double().split(self.at_once), after.double().split(self.at_once), strict=True
        )
        return joined([self._measured(*map(self._factored, pair)) for pair in pairs])

    def _updates(
        self, start: Tensor, mixed: Tensor, fed: Tensor, parallel: bool
    ) -> list[tuple[str, Factored, Tensor, Factored]]:
        """Name, state before, update, and state after."""
        entering, behind = self._factored(start), self._factored(start + mixed)
        attention = ("attention", entering, mixed, behind)
        if self.reference == "layer_input":
            fed = mixed + fed
        own = behind if self.reference == "own" and not parallel else entering
        return [attention, ("ffn", own, fed, self._factored(own.states + fed))]

    def _factored(self, states: Tensor) -> Factored:
        states = centred(states) if self.centre else states
        return factor(states, rtol=self.rtol, route=self.route)

    def _measured(self, before: Factored, after: Factored) -> UpdateGeometry:
        return measure(before, after, combine=self.combine, rows=self.rows, alphas=self.alphas)


def joined(parts: Sequence[UpdateGeometry]) -> UpdateGeometry:
    """One batch after the other."""
    together: dict[str, Any] = {}
    for part in fields(UpdateGeometry):
        values = [getattr(each, part.name) for each in parts]
        if isinstance(values[0], Mapping):
            together[part.name] = {
                name: torch.cat([each[name] for each in values]) for name in values[0]
            }
        else:
            together[part.name] = torch.cat(values)
    return UpdateGeometry(**together)

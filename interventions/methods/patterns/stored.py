"""Patterns read from a file: a vector, a dataset mean, other samples' attention, a fitted prior.

Axes: D donors, L layers, H heads, N image tokens; B batch, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interventions.engine.view import View
from interventions.methods.patterns.pattern import Pattern
from interventions.methods.tensor_files import read_tensor, stored_at


@dataclass(frozen=True, kw_only=True)
class Stored(Pattern):
    """p_j from a safetensors file: `pattern` of shape (donor, layer, head, image token).

    Axes of size one are shared, so a single vector has shape (1, 1, 1, N). A sample's donor is
    chosen by its name. Weights must be non-negative; they are normalised over the block. Images
    must have as many tokens as the file: another number raises `InterventionError`.
    """

    reads_scores: ClassVar[bool] = False
    proper: ClassVar[bool] = False
    file: str

    def scores(self, view: View) -> Float[Tensor, "batch head|1 1 key"]:
        pattern = read_tensor(self.file, "pattern", view.rows.sample.device)
        return stored_at(pattern, self.file, view).to(view.precision).log()

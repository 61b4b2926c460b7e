"""Numbers by image token, as a map over the picture.

Axes: Y and X pixels of the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedModel

from interventions.patching.layouts import Layout, find_layouts
from interventions.patching.upstream import image_token


def image_layouts(
    model: PreTrainedModel, inputs: Mapping[str, Any]
) -> tuple[tuple[Layout, ...], ...]:
    """Where the image tokens of every row lie, picture by picture, in the order of tokens.

    `inputs` are those of the model's forward, as its processor gives them. Raises
    `InterventionError` where tokens have no place, or none that the inputs tell.
    """
    counts = (inputs["input_ids"] == image_token(model)).sum(dim=1).tolist()
    return find_layouts(model.config, inputs, counts)


def heat_map(
    layout: Layout, weights: Float[np.ndarray, " token"], height: int, width: int
) -> Float[np.ndarray, "y x"]:
    """The weights of one picture's tokens, each spread evenly over what it shows.

    Tokens for the same place, of tiles and of the whole picture, add up; what shows no place is
    left out. The map sums to what all others weigh, save what lies beyond the picture.
    """
    if len(weights) != layout.tokens:
        raise ValueError(
            f"Expected one weight for each of the picture's {layout.tokens} tokens, but "
            f"{len(weights)} came."
        )
    heat, start = np.zeros((height, width)), layout.before
    for grid in layout.grids:
        part = np.asarray(weights[start : start + grid.tokens], dtype=np.float64)
        values = part.reshape(grid.height, -1)[:, : grid.width]
        down = _shares(grid.height, grid.box[1], grid.box[3], height)
        across = _shares(grid.width, grid.box[0], grid.box[2], width)
        heat += down.T @ values @ across
        start += grid.tokens
    return heat


def _shares(
    tokens: int, start: float, stop: float, pixels: int
) -> Float[np.ndarray, "token pixel"]:
    """Which share of a token's side lies in every pixel of the map's side."""
    ends = start + (stop - start) * np.arange(tokens + 1) / tokens
    edges = np.arange(pixels + 1) / pixels
    low = np.maximum(ends[:-1, None], edges[None, :-1])
    high = np.minimum(ends[1:, None], edges[None, 1:])
    return np.clip(high - low, 0.0, None) / np.diff(ends)[:, None]

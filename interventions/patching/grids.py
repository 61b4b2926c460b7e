"""The grid of visual tokens behind each picture, for the families whose layout is known.

Read from what the vision encoder is called with. Adding a family is one function and one table row.

Axes: N pictures, P patches (one per visual token), C channels, Y and X pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interventions.errors import InterventionError
from interventions.methods.patterns import Box, Picture, Prior

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of red, green and blue


def square_grid(config: Any, arguments: Mapping[str, Any]) -> list[Picture]:
    """One token per square patch of a picture of fixed size (LLaVA 1.5)."""
    pixels = arguments["pixel_values"]
    side = config.vision_config.patch_size
    height, width = pixels.shape[-2] // side, pixels.shape[-1] // side
    gray = _gray(pixels[..., : height * side, : width * side], channel=1)
    tiles = gray.unfold(1, side, side).unfold(2, side, side).flatten(1, 2)
    return [Picture(height=height, width=width, patches=patches) for patches in tiles]


def merged_grid(config: Any, arguments: Mapping[str, Any]) -> list[Picture]:
    """One token per merge x merge patches of a picture of its own size (Qwen2-VL, Qwen2.5-VL).

    The processor lists patches merge unit by merge unit, each flattened as (channel, frame, y, x);
    a still picture is the same frame repeated.
    """
    vision = config.vision_config
    side, merge, pictures, start = vision.patch_size, vision.spatial_merge_size, [], 0
    for frames, rows, columns in arguments["grid_thw"].tolist():
        if frames != 1:
            raise ValueError(f"A picture must have one frame, got {frames}.")
        count = rows * columns
        pixels = arguments["hidden_states"][start : start + count]
        pixels = pixels.reshape(count, -1, vision.temporal_patch_size, side, side).mean(dim=2)
        units = _gray(pixels, channel=1).reshape(-1, merge, merge, side, side)
        patches = units.transpose(2, 3).reshape(-1, merge * side, merge * side)
        pictures.append(Picture(height=rows // merge, width=columns // merge, patches=patches))
        start += count
    return pictures


GRIDS: Mapping[str, Callable[[Any, Mapping[str, Any]], list[Picture]]] = {
    "llava": square_grid,
    "qwen2_vl": merged_grid,
    "qwen2_5_vl": merged_grid,
}
"""Family (`config.model_type`) to its layout."""


@torch.no_grad()  # a fixed pattern is a constant to gradients
def fixed_weights(
    pattern: Prior,
    counts: Sequence[int],
    pictures: Sequence[Picture],
    regions: Sequence[Sequence[Sequence[Box]]] | None,
    family: str,
) -> tuple[Float[np.ndarray, " token"], ...]:
    """A fixed pattern for every sample: the weights of its pictures, in the order of its tokens.

    `counts` holds the image tokens of each sample; pictures come in the same order. `regions` holds
    the boxes of every picture of each sample, if known. Raises `InterventionError` when the
    family's grid is unknown or does not cover the tokens exactly.
    """
    if family not in GRIDS:
        raise InterventionError(
            f"The visual grid of the family {family!r} is unknown (known: {', '.join(GRIDS)}); "
            "give the fixed pattern to log.expect(priors=...)."
        )
    remaining, samples = list(pictures), []
    for sample, count in enumerate(counts):
        boxes = list(regions[sample]) if regions is not None else []
        weights = np.zeros(0, dtype=np.float32)
        while len(weights) < count and remaining:
            picture = remaining.pop(0)
            if boxes:
                picture = replace(picture, regions=tuple(_box(*box) for box in boxes.pop(0)))
            weights = np.concatenate([weights, pattern.weights(picture).cpu().numpy()])
        if len(weights) != count:
            raise InterventionError(
                f"A sample has {count} image tokens but its pictures have {len(weights)}; "
                "give the fixed pattern to log.expect(priors=...)."
            )
        samples.append(weights)
    return tuple(samples)


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return left, top, right, bottom


def _gray(pixels: Float[Tensor, " *axes"], channel: int) -> Float[Tensor, " *axes"]:
    weights = torch.tensor(LUMINANCE, dtype=torch.float32, device=pixels.device)
    return torch.movedim(pixels.float(), channel, -1) @ weights

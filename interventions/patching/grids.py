"""A fixed pattern on the visual tokens behind each picture.

A pattern is a function of places in a picture. A token gets what the pattern says of the part of
the picture that it shows, so that two tokens for the same place, of a tile and of the whole beside
it, weigh the same; a token that shows no place gets nothing.

Axes: N pictures, P patches (one per visual token), C channels, Y and X pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interventions.errors import InterventionError
from interventions.methods.patterns import Box, Picture, Prior
from interventions.methods.patterns.pictured import WHOLE
from interventions.patching.layouts import Grid, Layout, find_layouts, lies_by_pixels
from interventions.patching.tower_inputs import Arguments, pixels_of, sizes_of, tiles_of

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of red, green and blue


def reads_pixels(pattern: Prior, config: Any) -> bool:
    """Whether a fixed pattern needs each prompt's pixels, or its run through the vision encoder.

    Otherwise sizes and grids among the arguments are enough, with features kept from before.
    """
    return pattern.needs_patches or pattern.needs_attention or lies_by_pixels(config)


@torch.no_grad()  # a fixed pattern is a constant to gradients
def fixed_weights(
    pattern: Prior,
    config: Any,
    arguments: Arguments,
    counts: Sequence[int],
    regions: Sequence[Sequence[Sequence[Box]]] | None,
    attention: Float[Tensor, " patch"] | None = None,
    pictures: Sequence[int] | None = None,
) -> tuple[Float[np.ndarray, " token"], ...]:
    """A fixed pattern for every sample: the weights of its pictures, in the order of its tokens.

    Arguments:
        config: of the model.
        arguments: of its forward, or of `generate`: pixels, sizes, grids.
        counts: image tokens of each sample.
        regions: boxes of every picture of each sample, if known.
        attention: what the patches of all pictures, in order, received in the vision encoder,
            summed over the patches of their picture.
        pictures: how many each sample has, if known.

    Raises `InterventionError` where places are unknown or do not explain the tokens, and where the
    pattern needs pixels or attention by patch that are not to be had.
    """
    rows = find_layouts(config, arguments, counts, pictures)
    layouts = [layout for row in rows for layout in row]
    patches = gray_patches(config, arguments, layouts) if pattern.needs_patches else None
    received = _received(config, arguments, layouts, attention) if pattern.needs_attention else None
    samples, first = [], 0
    for sample, row in enumerate(rows):
        boxes = regions[sample] if regions is not None else ()
        parts = [
            _weights(
                pattern,
                layout,
                tuple(boxes[index]) if index < len(boxes) else None,
                patches[first + index] if patches is not None else None,
                received[first + index] if received is not None else None,
            )
            for index, layout in enumerate(row)
        ]
        first += len(row)
        samples.append(torch.cat([torch.zeros(0), *parts]).numpy())
    return tuple(samples)


def _weights(
    pattern: Prior,
    layout: Layout,
    regions: tuple[Box, ...] | None,
    patches: Float[Tensor, "patch y x"] | None,
    attention: Float[Tensor, " patch"] | None,
) -> Float[Tensor, " token"]:
    """Weights of one picture's tokens; 0 for those without a place, and outside of the picture."""
    parts = [torch.zeros(layout.before)]
    for grid in layout.grids:
        picture = Picture(
            height=grid.height,
            width=grid.width,
            box=grid.box,
            patches=patches,
            attention=attention,
            regions=regions,
        )
        weights = pattern.weights(picture).float().cpu()
        if min(grid.box) < 0 or max(grid.box) > 1:  # reaches into padding
            weights = weights * picture.cover(WHOLE)
        if grid.row_ends:
            rows = weights.reshape(grid.height, grid.width)
            weights = torch.nn.functional.pad(rows, (0, grid.row_ends)).flatten()
        parts.append(weights)
    return torch.cat([*parts, torch.zeros(layout.after)])


def _only_grid(config: Any, layout: Layout, what: str) -> Grid:
    """The grid of a picture that is shown once, in one piece."""
    if len(layout.grids) > 1:
        raise InterventionError(
            f"{what} is compared between the patches of one grid, but {config.model_type!r} shows "
            f"a picture in {len(layout.grids)} grids (tiles, and the whole picture); choose a "
            "pattern of places, or give the fixed pattern to log.expect(priors=...)."
        )
    return layout.grids[0]


def _received(
    config: Any,
    arguments: Arguments,
    layouts: Sequence[Layout],
    attention: Float[Tensor, " patch"] | None,
) -> list[Float[Tensor, " patch"]]:
    """Mean over a picture's queries of what its patches received."""
    if not layouts:
        return []
    grids = [_only_grid(config, layout, "The encoder's attention") for layout in layouts]
    counts = [grid.height * grid.width for grid in grids]
    ordered = _merge(config) == 1 or _lists_units(config, arguments, grids)
    if attention is None or len(attention) != sum(counts) or not ordered:
        raise InterventionError(
            f"The attention of the vision encoder of {config.model_type!r} cannot be told by image "
            "token; choose another pattern, or give the fixed pattern to log.expect(priors=...)."
        )
    return [part / len(part) for part in attention.split(counts)]


def _merge(config: Any) -> int:
    """Patches per side of what becomes one token, where they stand beside each other."""
    return getattr(getattr(config, "vision_config", None), "spatial_merge_size", 1)


def _lists_units(config: Any, arguments: Arguments, grids: Sequence[Grid]) -> bool:
    """Whether flattened patches come merge unit by merge unit, one unit for each token."""
    pixels = pixels_of(arguments)
    if pixels is None or pixels.ndim != 2 or arguments.get("image_grid_thw") is None:
        return False
    sizes = zip(sizes_of(arguments), grids, strict=True)
    merges = {rows // grid.height for (rows, _), grid in sizes}
    return merges <= {1, _merge(config)} and not any(grid.row_ends for grid in grids)


def gray_patches(
    config: Any, arguments: Arguments, layouts: Sequence[Layout]
) -> list[Float[Tensor, "patch y x"]]:
    """Gray pixels of the patch behind every token of every picture."""
    if not layouts:
        return []
    grids = [_only_grid(config, layout, "The complexity of a patch") for layout in layouts]
    if _lists_units(config, arguments, grids):
        return list(_merged_patches(config, arguments, grids))
    pixels, sizes = pixels_of(arguments), sizes_of(arguments)
    stacked = pixels is not None and pixels.ndim == 4 and pixels.shape[1] == len(LUMINANCE)
    tiles = tiles_of(arguments) if stacked else []
    if len(tiles) != len(grids):
        raise InterventionError(
            f"The order of pixels in the inputs of {config.model_type!r} is unknown, or features "
            "came in their place; choose a pattern of places, or give the fixed pattern to "
            "log.expect(priors=...)."
        )
    parts = zip(tiles, sizes, grids, strict=True)
    return [_square_patches(tile[:, :h, :w], grid) for tile, (h, w), grid in parts]


def _square_patches(pixels: Float[Tensor, "channel y x"], grid: Grid) -> Float[Tensor, "patch y x"]:
    """One token per rectangle of a picture."""
    tall, wide = pixels.shape[-2] // grid.height, pixels.shape[-1] // grid.width
    gray = _gray(pixels[..., : grid.height * tall, : grid.width * wide], channel=0)
    return gray.unfold(0, tall, tall).unfold(1, wide, wide).flatten(0, 1)


def _merged_patches(
    config: Any, arguments: Arguments, grids: Sequence[Grid]
) -> Iterator[Float[Tensor, "patch y x"]]:
    """One token per merge x merge patches, listed merge unit by merge unit.

    Each patch is flattened as (channel, frame, y, x); a still picture is the same frame repeated.
    See https://github.com/QwenLM/Qwen2.5-VL.
    """
    side, start = config.vision_config.patch_size, 0
    for (rows, columns), grid in zip(sizes_of(arguments), grids, strict=True):
        count, merge = rows * columns, rows // grid.height
        part = arguments["pixel_values"][start : start + count]
        part = part.reshape(count, len(LUMINANCE), -1, side, side).mean(dim=2)
        units = _gray(part, channel=1).reshape(-1, merge, merge, side, side)
        yield units.transpose(2, 3).reshape(-1, merge * side, merge * side)
        start += count


def _gray(pixels: Float[Tensor, " *axes"], channel: int) -> Float[Tensor, " *axes"]:
    weights = torch.tensor(LUMINANCE, dtype=torch.float32, device=pixels.device)
    return torch.movedim(pixels.float(), channel, -1) @ weights

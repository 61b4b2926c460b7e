"""What a vision tower is given of pictures: how big they are, their pixels, tile by tile.

Axes: N pictures or tiles, P patches, C channels, Y and X pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

Size = tuple[int, int]  # height, width
Arguments = Mapping[str, Any]  # of the model's forward, or of `generate`


def sizes_of(arguments: Arguments) -> list[Size]:
    """Height and width of every picture or tile, in pixels or patches, in the order of tokens.

    Empty where the arguments do not say.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if "image_grid_thw" in given:
        frames = [grid for grid in given["image_grid_thw"].tolist() if grid[0] != 1]
        if frames:
            raise ValueError(f"A picture must have one frame, got {frames[0][0]}.")
        return [(h, w) for _, h, w in given["image_grid_thw"].tolist()]
    for name in ("target_sizes", "spatial_shapes", "image_sizes"):
        if name in given:
            return [(int(h), int(w)) for h, w in given[name]]
    if "image_position_ids" in given:  # (column, row) of every patch, -1 where there is none
        ends = given["image_position_ids"].amax(dim=1) + 1
        return [(h, w) for w, h in ends.tolist()]
    pixels, features = pixels_of(given), feature_counts(given)
    if pixels is not None and pixels.ndim > 3:
        return [(tile.shape[-2], tile.shape[-1]) for tile in tiles_of(given)]
    squares = [(math.isqrt(count), math.isqrt(count)) for count in features]
    return squares if [h * w for h, w in squares] == features else []


def pixels_of(arguments: Arguments) -> Tensor | None:
    """Pixels of pictures or tiles; None where features stand in their place."""
    for name in ("pixel_values", "pixel_values_images"):
        if arguments.get(name) is not None:
            return arguments[name]
    return None


def feature_counts(arguments: Arguments) -> list[int]:
    """Tokens of every picture whose features are given in the place of its pixels."""
    given = arguments.get("mm_encoder_outputs") or {}
    features = getattr(given.get("image"), "pooler_output", None)
    flat = isinstance(features, Tensor) and features.ndim < 3  # of all pictures in a row
    return [] if features is None or flat else [len(part) for part in features]


def tiles_of(arguments: Arguments) -> list[Float[Tensor, "channel y x"]]:
    """Pictures or tiles, one by one; what fills up a row of tiles is left out, as models do."""
    pixels = pixels_of(arguments)
    assert pixels is not None  # whoever asks for tiles has pixels
    if pixels.ndim == 5:
        pixels = pixels.flatten(0, 1)
        pixels = pixels[(pixels != 0).flatten(1).any(dim=1)]
    whole = list(pixels)
    if arguments.get("num_local_patches") is None:
        return whole
    counts = arguments["num_local_patches"].tolist()  # Step 3: tiles before their whole picture
    local = iter(arguments["pixel_values_local"] if sum(counts) else ())
    pictures = zip(counts, whole, strict=True)
    return [tile for n, last in pictures for tile in (*(next(local) for _ in range(n)), last)]


def levels_of(arguments: Arguments, sizes: Sequence[Size]) -> list[Float[Tensor, "y x"]]:
    """Brightness of every tile, by pixel or by patch."""
    pixels = pixels_of(arguments)
    assert pixels is not None
    counts = [h * w for h, w in sizes]
    if arguments.get("spatial_shapes") is not None:  # (N, P, values), filled up
        flat = [tile[:n].float().mean(dim=-1) for tile, n in zip(pixels, counts, strict=True)]
    elif arguments.get("target_sizes") is not None:  # one strip: (1, C, y, P x)
        strip = pixels[0].float().unflatten(-1, (sum(counts), -1))
        flat = list(strip.mean(dim=(0, 1, 3)).split(counts))
    else:
        return [tile.float().mean(dim=0) for tile in tiles_of(arguments)]
    return [tile.unflatten(0, size) for tile, size in zip(flat, sizes, strict=True)]

"""Inputs of a tiny model, without any processor: token ids with image tokens, pixels, grids.

Axes: B batch, T tokens, N images, P patches.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from conformance.sizes import FIRST_TEXT_ID, VOCABULARY

Inputs = dict[str, Any]
Pixels = Callable[[Any, int, torch.Generator], Inputs]

SIDE = 16  # pixels per side of an image or tile
GRID = (1, 4, 8)  # time, height and width of an image in patches, where images are given as patches
PER_TOKEN = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A batch to be made: one entry per row."""

    lengths: tuple[int, ...] = (9,)  # text tokens
    images: tuple[int, ...] = (1,)
    padding: str = "left"
    split: bool = False  # whether a text token stands between the tiles of an image


def make_inputs(model: PreTrainedModel, family: str, prompt: Prompt, seed: int = 0) -> Inputs:
    """Keyword arguments of the model's forward."""
    draw = torch.Generator().manual_seed(seed)
    text = [torch.randint(FIRST_TEXT_ID, VOCABULARY, (n,), generator=draw) for n in prompt.lengths]
    pixels = make_pixels(model, family, prompt.images, draw)
    rows = []
    for words, count in zip(text, prompt.images, strict=True):
        image = image_tokens(model, family, pixels, sum(prompt.images)) if count else []
        if prompt.split:
            half = len(image) // 2
            image = [*image[:half], int(words[-1]), *image[half:]]
        between = [int(words[-1]), *image] * (count - 1)  # text keeps images apart
        rows.append([*words[:2].tolist(), *image, *between, *words[2:].tolist()])
    inputs = padded(rows, prompt.padding) | pixels
    return inputs | token_types(model, family, inputs["input_ids"])


def padded(rows: Sequence[Sequence[int]], side: str) -> Inputs:
    """Ids and mask of a batch."""
    longest = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        pad = longest - len(row)
        before, after = (pad, 0) if side == "left" else (0, pad)
        ids.append([0] * before + list(row) + [0] * after)
        mask.append([0] * before + [1] * len(row) + [0] * after)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def token_types(model: PreTrainedModel, family: str, ids: Tensor) -> Inputs:
    """What a processor says about the kind of every token, where the model asks for it."""
    accepted = inspect.signature(model.forward).parameters
    image = (ids == image_id(model)).long()
    types: Inputs = {}
    if "mm_token_type_ids" in accepted:
        types["mm_token_type_ids"] = image
    if "token_type_ids" in accepted:  # PaliGemma: 0 is the prefix, here everything
        types["token_type_ids"] = torch.zeros_like(ids) if family == "paligemma" else image
    return types


def image_id(model: PreTrainedModel) -> int:
    """The token in whose place the model itself puts image features."""
    config = model.config
    for name in ("image_token_id", "image_token_index", "image_patch_id"):
        if getattr(config, name, None) is not None:
            return getattr(config, name)
    raise ValueError(f"{type(config).__name__} names no image token.")


def repainted(inputs: Inputs, seed: int = 1) -> Inputs:
    """The same prompt about other pictures."""
    draw = torch.Generator().manual_seed(seed)
    names = [name for name in inputs if name.endswith(("pixel_values", "pixel_values_images"))]
    other = {
        name: torch.randn(inputs[name].shape, generator=draw) * (inputs[name] != 0)
        for name in names
    }
    return {**inputs, **other}


def extended(model: PreTrainedModel, family: str, inputs: Inputs, ids: Tensor) -> Inputs:
    """The prompt with text behind it; `ids` has shape (B, new)."""
    longer = dict(inputs)
    for name in PER_TOKEN:
        if name not in inputs:
            continue
        suffix = 1 if name == "attention_mask" else 0
        if name == "token_type_ids" and family == "paligemma":
            suffix = 1
        tail = ids if name == "input_ids" else torch.full_like(ids, suffix)
        longer[name] = torch.cat([inputs[name], tail.to(inputs[name].dtype)], dim=1)
    return longer


def make_pixels(
    model: PreTrainedModel, family: str, images: Sequence[int], draw: torch.Generator
) -> Inputs:
    """Pixel arguments of all images of a batch; none for a batch of text."""
    if not sum(images):
        return {}
    accepted = inspect.signature(model.forward).parameters
    if family in PIXELS:
        return PIXELS[family](model, images, draw)
    if "image_grid_thw" in accepted:
        return grid_pixels(model, images, draw)
    return tile_pixels(model, images, draw)


def tile_pixels(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """One square tile per image, (N, 3, S, S)."""
    side = getattr(getattr(model.config, "vision_config", None), "image_size", None)
    side = side if isinstance(side, int) else SIDE
    return {"pixel_values": torch.randn(sum(images), 3, side, side, generator=draw)}


def tiles_per_row(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Tiles by row, (B, N, 3, S, S)."""
    tiles = tile_pixels(model, [len(images) * max(images)], draw)["pixel_values"]
    return {"pixel_values": tiles.reshape(len(images), max(images), *tiles.shape[1:])}


def sized_tiles(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Tiles with the size of the picture that each is."""
    sizes = torch.full((sum(images), 2), SIDE)
    return {**tile_pixels(model, images, draw), "image_sizes": sizes}


def any_resolution(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """A thumbnail and one tile per image, (N, 2, 3, S, S)."""
    total = sum(images)
    return {
        "pixel_values": torch.randn(total, 2, 3, SIDE, SIDE, generator=draw),
        "image_sizes": torch.full((total, 2), SIDE),
    }


def counted_any_resolution(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """The same, with the number of images of every row that has some."""
    counts = torch.tensor([count for count in images if count])
    return {**any_resolution(model, images, draw), "batch_num_images": counts}


def grid_pixels(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Flattened patches of all images, (P, channels x time x height x width), and their grids."""
    vision = model.config.vision_config
    times = (getattr(vision, name, None) for name in ("temporal_patch_size", "patch_temporal"))
    time = next((value for value in times if value is not None), 1)
    shape = (sum(images) * GRID[1] * GRID[2], 3 * time * vision.patch_size**2)
    return {
        "pixel_values": torch.randn(shape, generator=draw),
        "image_grid_thw": torch.tensor([GRID] * sum(images)),
    }


def square_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """The same patches as small images, (P, 3, p, p)."""
    flat, side = grid_pixels(model, images, draw), model.config.vision_config.patch_size
    return {**flat, "pixel_values": flat["pixel_values"].reshape(-1, 3, side, side)}


def merged_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches, their grids, and how many patches per side become one token."""
    merges = torch.full((sum(images),), 2)
    return {**grid_pixels(model, images, draw), "image_merge_sizes": merges}


def shaped_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches by image, (N, P, 3 x p x p), with height and width in patches."""
    total, patches = sum(images), GRID[1] * GRID[2]
    width = 3 * model.config.vision_config.patch_size**2
    return {
        "pixel_values": torch.randn(total, patches, width, generator=draw),
        "spatial_shapes": torch.tensor([GRID[1:]] * total),
        "pixel_attention_mask": torch.ones(total, patches, dtype=torch.long),
    }


def placed_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches by image, (N, P, 3 x p x p), with the column and row of each."""
    shaped = shaped_patches(model, images, draw)
    places = torch.cartesian_prod(torch.arange(GRID[1]), torch.arange(GRID[2])).flip(-1)
    return {
        "pixel_values": shaped["pixel_values"],
        "image_position_ids": places.expand(sum(images), -1, -1),
    }


def placed_blocks(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Blocks of patches by image, one token each, with the column and row of each."""
    placed = placed_patches(model, images, draw)
    side = model.config.vision_config.model_patch_size
    shape = (*placed["pixel_values"].shape[:2], 3 * side**2)
    return {**placed, "pixel_values": torch.randn(shape, generator=draw)}


def gridded_by_height(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches, (P, 3 x p x p), with height and width in patches."""
    flat = grid_pixels(model, images, draw)
    return {
        "pixel_values": flat["pixel_values"],
        "image_grid_hw": flat["image_grid_thw"][:, 1:],
    }


def cropped_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """One crop of 4 x 4 patches per image, (N, P, 3 x p x p), pooled by 2 x 2 patches."""
    total, width = sum(images), 3 * model.config.vision_config.patch_size**2
    square = torch.arange(16).reshape(2, 2, 2, 2).transpose(1, 2).reshape(4, 4)
    return {
        "pixel_values": torch.randn(total, 16, width, generator=draw),
        "image_token_pooling": torch.cat([square + 16 * image for image in range(total)]),
        "image_grids": torch.tensor([[2, 2, 0, 0]] * total),
        "image_num_crops": torch.ones(total, dtype=torch.long),
    }


def whole_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches by image, (N, P, 3 x p x p)."""
    shape = (sum(images), 16, 3 * model.config.patch_size**2)
    return {"pixel_values": torch.randn(shape, generator=draw)}


def packed_patches(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Patches of all images in one long strip, (1, 3, p, P x p), with their grids."""
    side, total = model.config.vision_config.patch_size, sum(images)
    strip = torch.randn(1, 3, side, total * GRID[1] * GRID[2] * side, generator=draw)
    return {"pixel_values": strip, "target_sizes": torch.tensor([GRID[1:]] * total)}


def masked_tiles(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Tiles by row, (B, N, 3, S, S), and which of them are real."""
    mask = torch.ones(len(images), max(images), dtype=torch.bool)
    return {**tiles_per_row(model, images, draw), "pixel_attention_mask": mask}


def both_resolutions(model: Any, images: Sequence[int], draw: torch.Generator) -> Inputs:
    """Every picture twice: small, and for the second tower, large."""
    high = model.config.high_res_vision_config.image_size
    return {
        **tile_pixels(model, images, draw),
        "high_res_pixel_values": torch.randn(sum(images), 3, high, high, generator=draw),
    }


PIXELS: Mapping[str, Any] = {
    "molmo2": cropped_patches,
    "granite_docling": masked_tiles,
    "deepseek_vl_hybrid": both_resolutions,
    "apertus1p5": sized_tiles,
    "emu3": sized_tiles,
    "fuyu": whole_patches,
    "minicpm_ocr": packed_patches,
    "minicpmv4_6": packed_patches,
    "minicpmv4_7": packed_patches,
    "gemma4": placed_patches,
    "gemma4_unified": placed_blocks,
    "granite4_vision": any_resolution,
    "idefics2": tiles_per_row,
    "idefics3": tiles_per_row,
    "inkling2": grid_pixels,
    "kimi_k25": square_patches,
    "lfm2_vl": shaped_patches,
    "lighton_ocr": sized_tiles,
    "llava_next": any_resolution,
    "llava_next_video": any_resolution,
    "llava_onevision": counted_any_resolution,
    "mistral3": sized_tiles,
    "mistral_large4": sized_tiles,
    "nemotron_h_omni": gridded_by_height,
    "paddleocr_vl": square_patches,
    "smolvlm": tiles_per_row,
    "video_llama_3": merged_patches,
}


@torch.no_grad()
def image_tokens(model: PreTrainedModel, family: str, pixels: Inputs, images: int) -> list[int]:
    """Ids of the tokens of one image: as many as the model makes features of it."""
    if family == "fuyu":  # one token per patch, embedded by a linear map
        return [image_id(model)] * pixels["pixel_values"].shape[1]
    owner = model if hasattr(model, "get_image_features") else model.model
    features = owner.get_image_features(**pixels)
    pooled = getattr(features, "pooler_output", features)
    features = features.last_hidden_state if pooled is None else pooled
    if isinstance(features, (list, tuple)):
        rows = sum(part.shape[:-1].numel() for part in features)
    else:
        rows = features.shape[:-1].numel()
    return [image_id(model)] * (rows // images)

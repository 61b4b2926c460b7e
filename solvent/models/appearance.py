"""What a model gets of a prompt: its tokens with their roles, and its pictures as they arrive.

Pictures are made again from the processor's output, so that cropping, resizing and tiling show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interventions.methods.selectors import ROLES, Span, token_roles
from solvent.models.prefill import EncodedBatch


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """One prompt as the model gets it."""

    text: str  # rendered by the chat template, one image token per image
    spans: tuple[tuple[str, str, int], ...]  # role, text and number of tokens, in order
    pictures: tuple[Image.Image, ...]  # tiles of an image are pictures of their own

    @property
    def image_tokens(self) -> int:
        """How many tokens show an image."""
        return sum(count for role, _, count in self.spans if role == "image")


def appearance(
    processor: Any,
    batch: EncodedBatch,
    image_token_id: int,
    turns: Sequence[Sequence[Span]] | None = None,
) -> Appearance:
    """What the model gets of the only prompt of a batch, whose words are the user's where known.

    Raises `ValueError` for several prompts: whose tile is whose is known to the processor only.
    """
    if len(batch.uids) > 1:
        raise ValueError(f"encode one prompt at a time to look at it, not {len(batch.uids)}")
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
    roles = token_roles(ids, mask, mask.sum(dim=1), image_token_id, turns=turns)
    spans = []
    known = zip(roles[0].tolist(), ids[0].tolist(), strict=True)
    for role, group in groupby(known, key=itemgetter(0)):
        tokens = [token for _, token in group]
        spans.append((ROLES[role], processor.tokenizer.decode(tokens), len(tokens)))
    pictures = tuple(_pictures(processor.image_processor, batch.inputs))
    return Appearance(text=batch.texts[0], spans=tuple(spans), pictures=pictures)


def _pictures(image_processor: Any, inputs: Any) -> Iterator[Image.Image]:
    if "pixel_values" not in inputs:
        return
    pixels = inputs["pixel_values"].float().cpu()
    if "image_grid_thw" in inputs:
        tiles = _from_patches(pixels, inputs["image_grid_thw"].tolist(), image_processor)
    else:  # images, perhaps in tiles: (images, [tiles,] 3, height, width)
        tiles = pixels.reshape(-1, *pixels.shape[-3:])
    mean, deviation = (
        torch.tensor(values)[:, None, None]
        for values in (image_processor.image_mean, image_processor.image_std)
    )
    for tile in tiles:
        if tile.any():  # a row of tiles is filled up with zeros
            levels = ((tile * deviation + mean).clamp(0, 1) * 255).round().byte()
            yield Image.fromarray(levels.permute(1, 2, 0).numpy())


def _from_patches(
    patches: Float[Tensor, "patch value"], grids: list[list[int]], image_processor: Any
) -> Iterator[Float[Tensor, "3 height width"]]:
    """Qwen-VL's order: blocks of merged patches, and of every patch (channel, time, row, column).

    See https://github.com/QwenLM/Qwen2.5-VL.
    """
    size, merge = image_processor.patch_size, image_processor.merge_size
    time, start = image_processor.temporal_patch_size, 0
    for frames, height, width in grids:
        count = frames * height * width
        block = patches[start : start + count].reshape(
            frames, height // merge, width // merge, merge, merge, 3, time, size, size
        )
        start += count
        yield (
            block[0, ..., 0, :, :]
            .permute(4, 0, 2, 5, 1, 3, 6)
            .reshape(3, height * size, width * size)
        )

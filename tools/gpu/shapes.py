"""Random models of the shapes that people run, built on the device from their configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

VOCABULARY, IMAGE_TOKEN = 32064, 3
FIRST_TEXT_ID = 100


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder, and the prompt that it reads: a picture in a text."""

    layers: int
    width: int
    heads: int
    key_heads: int
    inner: int
    grid: tuple[int, int]  # image tokens: rows, columns
    text: int  # tokens beside them
    tower: Mapping[str, int]  # of the vision encoder

    @property
    def image(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        return self.image + self.text

    def text_config(self, **more: Any) -> dict[str, Any]:
        return {
            "vocab_size": VOCABULARY,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "max_position_embeddings": 8192,
            **more,
        }


NEXT_TO_NONE = {"hidden_size": 32, "intermediate_size": 32, "layers": 1, "heads": 1}
CLIP_LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "layers": 24, "heads": 16}
SHAPES: Mapping[str, Shape] = {
    "llava_1_5_7b": Shape(
        layers=32, width=4096, heads=32, key_heads=32, inner=11008, grid=(24, 24), text=64,
        tower=NEXT_TO_NONE,
    ),
    "qwen2_5_vl_7b": Shape(
        layers=28, width=3584, heads=28, key_heads=4, inner=18944, grid=(26, 50), text=64,
        tower=NEXT_TO_NONE,
    ),
}  # fmt: skip


def smaller(shape: Shape) -> Shape:
    """The same with a decoder that a CPU gets through."""
    return Shape(
        layers=2, width=128, heads=4, key_heads=4 * shape.key_heads // shape.heads or 1, inner=256,
        grid=shape.grid, text=shape.text, tower=NEXT_TO_NONE,
    )  # fmt: skip


@contextmanager
def on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """New weights go there, in that precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)


def llava(shape: Shape, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A LLaVA 1.5: pictures of 336 pixels, a token for every 14 x 14 of them."""
    config = LlavaConfig(
        text_config={"model_type": "llama", **shape.text_config()},
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": shape.tower["hidden_size"],
            "intermediate_size": shape.tower["intermediate_size"],
            "num_hidden_layers": shape.tower["layers"],
            "num_attention_heads": shape.tower["heads"],
            "image_size": 14 * shape.grid[0],
            "patch_size": 14,
        },
        image_token_index=IMAGE_TOKEN,
        vision_feature_layer=-1,
    )
    with on(device, dtype):
        return LlavaForConditionalGeneration(config).eval()


def qwen(shape: Shape, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A Qwen2.5-VL: pictures of their own size, a token for every 28 x 28 pixels."""
    width = shape.width // shape.heads
    sections = [width // 8, 3 * width // 16, 3 * width // 16]  # half of a head: time, height, width
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    config = Qwen2_5_VLConfig(
        text_config=shape.text_config(rope_parameters=rope),
        vision_config={
            "depth": shape.tower["layers"],
            "hidden_size": shape.tower["hidden_size"],
            "intermediate_size": shape.tower["intermediate_size"],
            "num_heads": shape.tower["heads"],
            "out_hidden_size": shape.width,
            "fullatt_block_indexes": [0],
        },
        image_token_id=IMAGE_TOKEN,
        video_token_id=IMAGE_TOKEN + 1,
        vision_start_token_id=IMAGE_TOKEN + 2,
        vision_end_token_id=IMAGE_TOKEN + 3,
    )
    with on(device, dtype):
        return Qwen2_5_VLForConditionalGeneration(config).eval()


BUILDERS: Mapping[str, Callable[..., PreTrainedModel]] = {
    "llava_1_5_7b": llava,
    "qwen2_5_vl_7b": qwen,
}


def prompt(model: PreTrainedModel, shape: Shape, batch: int) -> dict[str, Any]:
    """Ten tokens, the picture, the rest of the text; every row another."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(FIRST_TEXT_ID, VOCABULARY, (batch, shape.tokens), generator=draw)
    ids[:, 10 : 10 + shape.image] = IMAGE_TOKEN
    rows, columns = shape.grid
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.model_type == "llava":
        inputs["pixel_values"] = torch.randn(batch, 3, 14 * rows, 14 * columns, generator=draw)
    else:
        ids[:, 9] = IMAGE_TOKEN + 2
        patches = 4 * shape.image * batch
        inputs["pixel_values"] = torch.randn(patches, 3 * 2 * 14**2, generator=draw)
        inputs["image_grid_thw"] = torch.tensor([[1, 2 * rows, 2 * columns]] * batch)
        inputs["mm_token_type_ids"] = (ids == IMAGE_TOKEN).int()
    return {
        key: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for key, value in inputs.items()
    }

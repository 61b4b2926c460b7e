"""The grid behind the visual tokens, against pixels laid out by transformers' own processors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from interventions import InterventionError, intervene, load
from interventions.methods.patterns import CentreGaussian, PatchComplexity, Picture
from interventions.patching.grids import fixed_weights, gray_patches
from interventions.patching.layouts import find_layouts
from tests.random_models import random_inputs, random_model


def drawing(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def tiles(gray: np.ndarray, side: int) -> np.ndarray:
    height, width = gray.shape[0] // side, gray.shape[1] // side
    return np.stack(
        [
            gray[side * y : side * (y + 1), side * x : side * (x + 1)]
            for y in range(height)
            for x in range(width)
        ]
    )


def gray(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114])


def config_of(family: str, **vision: int) -> SimpleNamespace:
    return SimpleNamespace(model_type=family, vision_config=SimpleNamespace(**vision))


def pictures_of(config: Any, arguments: dict[str, torch.Tensor], *counts: int) -> list[Picture]:
    """Single grids with their pixels."""
    layouts = [layout for row in find_layouts(config, arguments, counts) for layout in row]
    grids = [grid for layout in layouts for grid in layout.grids]
    patches = gray_patches(config, arguments, layouts)
    return [
        Picture(height=grid.height, width=grid.width, patches=pixels)
        for grid, pixels in zip(grids, patches, strict=True)
    ]


def test_square_grid_reads_row_by_row() -> None:
    pixels = drawing(16, 16)
    tensor = torch.tensor(pixels).permute(2, 0, 1)[None].float()
    (picture,) = pictures_of(config_of("llava"), {"pixel_values": tensor}, 4)
    assert (picture.height, picture.width) == (2, 2)
    np.testing.assert_allclose(picture.patches.numpy(), tiles(gray(pixels), 8), rtol=1e-5)


def test_merged_grid_undoes_the_order_of_the_processor() -> None:
    processor = Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, temporal_patch_size=2, do_resize=False, do_rescale=False,
        do_normalize=False,
    )  # fmt: skip
    pixels = [drawing(16, 24), drawing(8, 16)]
    inputs = processor([Image.fromarray(array) for array in pixels], return_tensors="pt")
    pictures = pictures_of(
        config_of("qwen2_vl", patch_size=4, spatial_merge_size=2), dict(inputs), 6, 0, 2
    )
    assert [(picture.height, picture.width) for picture in pictures] == [(2, 3), (1, 2)]
    for picture, array in zip(pictures, pixels, strict=True):
        np.testing.assert_allclose(picture.patches.numpy(), tiles(gray(array), 8), rtol=1e-4)


def test_samples_take_their_pictures_in_order() -> None:
    grids = torch.tensor([[1, 2, 4], [1, 2, 6], [1, 2, 8]])  # 2, 3 and 4 tokens in a row
    config, arguments = config_of("qwen2_vl"), {"image_grid_thw": grids}
    pattern = CentreGaussian(width=0.5)
    weights = fixed_weights(pattern, config, arguments, (5, 0, 4), None)
    assert [len(vector) for vector in weights] == [5, 0, 4]
    second = pattern.weights(Picture(height=1, width=3))
    np.testing.assert_array_equal(weights[0][2:], second.numpy())
    with pytest.raises(InterventionError, match="has 4 image tokens but its pictures have 5"):
        fixed_weights(pattern, config, arguments, (4, 5), None)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
@pytest.mark.parametrize("name", ["fixed_center", "fixed_complexity"])
def test_the_image_block_has_the_pattern_of_its_picture(
    family: str, name: str, request: pytest.FixtureRequest
) -> None:
    model = random_model(family)
    model.set_attn_implementation("eager")
    inputs = random_inputs(model, (6, 6), images=(2, 1))
    counts = (inputs["input_ids"] == model.config.image_token_id).sum(dim=1).tolist()
    made = pictures_of(model.config, inputs, *counts)
    kind = CentreGaussian(width=0.25) if "center" in name else PatchComplexity(temperature=1.0)
    expected = [
        torch.cat([kind.weights(made[0]), kind.weights(made[1])]), kind.weights(made[2])
    ]  # fmt: skip
    with intervene(model, load(name)):
        attentions = model(**inputs, output_attentions=True).attentions
    for weights in attentions:
        for row, prior in enumerate(expected):
            image = inputs["input_ids"][row] == model.config.image_token_id
            last = weights[row, :, -1, image]
            ratio = last / last.sum(dim=-1, keepdim=True)
            target = (prior / prior.sum()).expand_as(ratio)
            torch.testing.assert_close(ratio, target, atol=1e-6, rtol=1e-4)


def test_pictures_do_not_leak_from_one_prompt_to_the_next(llava: PreTrainedModel) -> None:
    with intervene(llava, load("fixed_complexity")) as log:
        for seed in (0, 1):
            inputs = random_inputs(llava, (9, 6), seed=seed)
            llava.generate(**inputs, max_new_tokens=2, do_sample=False)
            first = llava(**inputs).logits
            llava.get_image_features(
                inputs["pixel_values"].flip(0)
            )  # seen, but not part of a prompt
            assert torch.equal(first, llava(**inputs).logits)
        assert log.entries_edited > 0

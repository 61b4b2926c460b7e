"""The grid behind the visual tokens, against pixels laid out by transformers' own processors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from interventions import InterventionError, intervene, load
from interventions.methods.patterns import CentreGaussian, PatchComplexity, Picture
from interventions.patching.grids import fixed_weights, merged_grid, square_grid
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


def test_square_grid_reads_row_by_row() -> None:
    pixels = drawing(16, 16)
    config = SimpleNamespace(vision_config=SimpleNamespace(patch_size=8))
    tensor = torch.tensor(pixels).permute(2, 0, 1)[None].float()
    (picture,) = square_grid(config, {"pixel_values": tensor})
    assert (picture.height, picture.width) == (2, 2)
    np.testing.assert_allclose(picture.patches.numpy(), tiles(gray(pixels), 8), rtol=1e-5)


def test_merged_grid_undoes_the_order_of_the_processor() -> None:
    processor = Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, temporal_patch_size=2, do_resize=False, do_rescale=False,
        do_normalize=False,
    )  # fmt: skip
    pixels = [drawing(16, 24), drawing(8, 16)]
    inputs = processor([Image.fromarray(array) for array in pixels], return_tensors="pt")
    vision = SimpleNamespace(patch_size=4, spatial_merge_size=2, temporal_patch_size=2)
    arguments = {"hidden_states": inputs["pixel_values"], "grid_thw": inputs["image_grid_thw"]}
    pictures = merged_grid(SimpleNamespace(vision_config=vision), arguments)
    assert [(picture.height, picture.width) for picture in pictures] == [(2, 3), (1, 2)]
    for picture, array in zip(pictures, pixels, strict=True):
        np.testing.assert_allclose(picture.patches.numpy(), tiles(gray(array), 8), rtol=1e-4)


def test_samples_take_their_pictures_in_order() -> None:
    pictures = [Picture(height=1, width=n, patches=torch.zeros(n, 1, 1)) for n in (2, 3, 4)]
    pattern = CentreGaussian(width=0.5)
    weights = fixed_weights(pattern, (5, 0, 4), pictures, None, "llava")
    assert [len(vector) for vector in weights] == [5, 0, 4]
    np.testing.assert_array_equal(weights[0][2:], pattern.weights(pictures[1]).numpy())
    with pytest.raises(InterventionError, match="has 4 image tokens but its pictures have 5"):
        fixed_weights(pattern, (4,), pictures, None, "llava")


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
@pytest.mark.parametrize("name", ["fixed_center", "fixed_complexity"])
def test_the_image_block_has_the_pattern_of_its_picture(
    family: str, name: str, request: pytest.FixtureRequest
) -> None:
    model = random_model(family)
    model.set_attn_implementation("eager")
    inputs = random_inputs(model, (6, 6), images=(2, 1))
    if family == "llava":
        made = square_grid(model.config, {"pixel_values": inputs["pixel_values"]})
    else:
        arguments = {"hidden_states": inputs["pixel_values"], "grid_thw": inputs["image_grid_thw"]}
        made = merged_grid(model.config, arguments)
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

"""What the vision encoders of the random models give to fixed patterns, written out with numpy.

Attention weights are those that the encoder's own eager function returns.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.random_models import QWEN_MERGE, QWEN_PATCH, QWEN_TIME

GRID = (2, 3)  # rows and columns of Qwen's image tokens
WINDOW = 2  # image tokens per side of one of its windows


def received_attention(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """Of the only picture: attention that every image token receives in the last layer."""
    weights = eager_weights(model, inputs)
    if model.config.model_type == "llava":
        return weights[:, 1:, 1:].mean(axis=(0, 1))  # the class token is no patch
    heads, patches, _ = weights.shape
    unit, received = QWEN_MERGE**2, np.zeros(patches // QWEN_MERGE**2)
    for head in range(heads):
        for source in range(len(received)):
            for target, token in enumerate(window_order()):
                rows = slice(unit * source, unit * (source + 1))
                columns = slice(unit * target, unit * (target + 1))
                received[token] += weights[head, rows, columns].max()
    return received / heads / len(received)


def window_order() -> list[int]:
    """Image tokens in the order in which the encoder holds them: window by window."""
    rows, columns = GRID
    return [
        row * columns + column
        for top in range(0, rows, WINDOW)
        for left in range(0, columns, WINDOW)
        for row in range(top, min(top + WINDOW, rows))
        for column in range(left, min(left + WINDOW, columns))
    ]


def eager_weights(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """Head, query, key: weights of the encoder's last layer, of the only picture."""
    encoder = model.get_encoder(modality="image")
    modeling = sys.modules[type(encoder).__module__]
    original, seen = modeling.eager_attention_forward, []

    def spy(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        output, weights = original(*args, **kwargs)
        seen.append(weights)
        return output, weights

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(modeling, "eager_attention_forward", spy)
        model.set_attn_implementation({"vision_config": "eager"})
        model(**inputs)
        model.set_attn_implementation({"vision_config": "sdpa"})
    return seen[-1][0].double().numpy()


def gray_patches(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Gray pixels (y, x) behind every image token of the only picture."""
    pixels = inputs["pixel_values"].double().numpy()
    luminance = np.array([0.299, 0.587, 0.114])
    if model.config.model_type == "llava":
        gray = np.tensordot(luminance, pixels[0], axes=1)
        return [gray[y : y + 8, x : x + 8] for y in (0, 8) for x in (0, 8)]
    patches = pixels.reshape(-1, 3, QWEN_TIME, QWEN_PATCH, QWEN_PATCH).mean(axis=2)
    gray = np.einsum("c,pcyx->pyx", luminance, patches)
    return [np.block([[a, b], [c, d]]) for a, b, c, d in gray.reshape(-1, 4, *gray.shape[1:])]


def complexity(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """Mean |dI/dx| + mean |dI/dy| + variance of every patch, scaled to [0, 1]."""
    values = np.array(
        [
            np.abs(np.diff(gray, axis=1)).mean() + np.abs(np.diff(gray, axis=0)).mean() + gray.var()
            for gray in gray_patches(model, inputs)
        ]
    )
    return (values - values.min()) / (values.max() - values.min())

"""A whole Llama decoder written out with numpy in float64, with edited attention.

Nothing here uses the package's own arithmetic: the edit is applied to each row of weights with a
loop, from the definition in words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from interventions import intervene, load
from tests.random_models import random_inputs, random_model

Row = np.ndarray
Edit = Callable[[Row, np.ndarray], Row]  # learned weights of a row, which keys are image


def unedited(weights: Row, image: np.ndarray) -> Row:
    return weights


def uniform(weights: Row, image: np.ndarray) -> Row:
    return np.where(image, weights[image].sum() / image.sum(), weights)


def knockout(weights: Row, image: np.ndarray) -> Row:
    left = np.where(image, 0.0, weights)
    return left / left.sum()


def doubled(weights: Row, image: np.ndarray) -> Row:
    raised = np.where(image, 2.0 * weights, weights)
    return raised / raised.sum()


def half_uniform(weights: Row, image: np.ndarray) -> Row:
    return 0.5 * weights + 0.5 * uniform(weights, image)


def decoder_inputs(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """What the text decoder receives, image features in place."""
    caught = []
    decoder = model.get_decoder()
    handle = decoder.register_forward_pre_hook(
        lambda module, args, kwargs: caught.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        model(**inputs)
    handle.remove()
    return caught[0][0].double().numpy()


def rotate(vectors: np.ndarray, theta: float) -> np.ndarray:
    """Rotary position embedding of (head, position, width); x_i turns with x_{i + width/2}."""
    half = vectors.shape[-1] // 2
    angles = np.arange(vectors.shape[1])[:, None] * theta ** (-np.arange(half) / half)
    first, second = vectors[..., :half], vectors[..., half:]
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def forward(
    model: PreTrainedModel,
    hidden: np.ndarray,
    image: np.ndarray,
    edit: Edit,
    layers: set[int],
    heads: set[int],
    rows: set[int],
) -> np.ndarray:
    """Logits of one unpadded row of tokens."""
    config = model.config.text_config
    state = {key: value.double().numpy() for key, value in model.state_dict().items()}
    length, count = len(hidden), config.num_attention_heads
    width, theta = config.hidden_size // count, config.rope_parameters["rope_theta"]

    def norm(vectors: np.ndarray, name: str) -> np.ndarray:
        mean = (vectors**2).mean(axis=-1, keepdims=True)
        return vectors / np.sqrt(mean + config.rms_norm_eps) * state[f"{name}.weight"]

    def split(vectors: np.ndarray) -> np.ndarray:
        return vectors.reshape(length, -1, width).transpose(1, 0, 2)

    for layer in range(config.num_hidden_layers):
        prefix = f"model.language_model.layers.{layer}"
        normed = norm(hidden, f"{prefix}.input_layernorm")
        query, key, value = (
            split(normed @ state[f"{prefix}.self_attn.{part}_proj.weight"].T) for part in "qkv"
        )
        query, key = rotate(query, theta), rotate(key, theta)
        output = np.zeros((length, count, width))
        for head in range(count):
            shared = head // (count // config.num_key_value_heads)
            for row in range(length):
                scores = key[shared, : row + 1] @ query[head, row] / np.sqrt(width)
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                if layer in layers and head in heads and row in rows:
                    weights = edit(weights, image[: row + 1])
                output[row, head] = weights @ value[shared, : row + 1]
        hidden = hidden + output.reshape(length, -1) @ state[f"{prefix}.self_attn.o_proj.weight"].T
        normed = norm(hidden, f"{prefix}.post_attention_layernorm")
        gate, up, down = (
            state[f"{prefix}.mlp.{part}_proj.weight"].T for part in ("gate", "up", "down")
        )
        gated = normed @ gate
        hidden = hidden + (gated / (1 + np.exp(-gated)) * (normed @ up)) @ down
    return norm(hidden, "model.language_model.norm") @ state["lm_head.weight"].T


CASES = {
    "learned": (unedited, "learned", {}),
    "uniform": (uniform, "uniform", {}),
    "knockout": (knockout, "knockout", {}),
    "reweight": (doubled, "reweight", {}),
    "half of uniform": (half_uniform, "uniform", {"mix": 0.5}),
    "uniform in one layer, two heads": (uniform, "uniform", {"layers": [1], "heads": [0, 3]}),
    "knockout in the last row": (knockout, "knockout", {"rows": ["last"]}),
    "knockout in question rows": (knockout, "knockout", {"rows": ["question"]}),
}


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
@pytest.mark.parametrize("case", CASES)
def test_logits_equal_the_hand_computation(case: str, backend: str) -> None:
    edit, name, overrides = CASES[case]
    model = random_model("llava")
    model.set_attn_implementation(backend)
    inputs = random_inputs(model, prompt_lengths=(8,))
    image = (inputs["input_ids"][0] == model.config.image_token_id).numpy()
    length, after = len(image), int(image.nonzero()[0].max()) + 1
    rows = {
        ("question",): set(range(after, length - 1)),
        ("last",): {length - 1},
    }.get(tuple(overrides.get("rows", ())), set(range(after, length)))
    expected = forward(
        model,
        decoder_inputs(model, inputs),
        image,
        edit,
        set(overrides.get("layers", range(3))),
        set(overrides.get("heads", range(4))),
        rows,
    )
    with torch.no_grad(), intervene(model, load(name, **overrides)):
        logits = model(**inputs).logits[0].double().numpy()
    np.testing.assert_allclose(logits, expected, atol=2e-4)

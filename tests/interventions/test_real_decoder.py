"""Methods on a trained decoder, whose attention has sinks: against plain transformers' own numbers.

Every case edits one layer, so what enters that layer is what the untouched model computes: its
`output_attentions` and `output_hidden_states`, and from these the definition in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from interventions import intervene, load
from tests.interventions.decoder import Edit, Row, Tokens, roles_of
from tests.interventions.published import (
    UID,
    attnreal,
    fastv_mask,
    fixed_sink,
    reweight,
    uniform_image,
    var_sinks,
)
from tests.interventions.real_decoder import (
    ANSWER,
    GROUP,
    HEADS,
    IMAGE_TOKEN,
    IMAGE_TOKENS,
    LAYERS,
    QUESTION,
    needs_real_decoder,
    real_llava,
)
from tests.random_models import random_inputs, random_model
from tools.gpu.correctness import LIMIT, compared

pytestmark = [needs_real_decoder, pytest.mark.xdist_group("real decoder")]  # one process loads it

AFTER_IMAGE = ("question", "last", "generated")
EVERYWHERE = ("system", "image", *AFTER_IMAGE)
CASES: dict[str, tuple[int, Edit, tuple[str, ...]]] = {  # layer, in words, rows
    "var_sinks, few sinks": (
        23,
        partial(var_sinks, threshold=20.0, most=0.5, least=0.2),
        AFTER_IMAGE,
    ),
    "var_sinks": (5, partial(var_sinks, threshold=20.0, most=0.5, least=0.2), AFTER_IMAGE),
    "attnreal": (23, partial(attnreal, factor=1.5), ("generated",)),
    "fixed_sink": (14, fixed_sink, AFTER_IMAGE),
    "fastv_mask": (17, fastv_mask, EVERYWHERE),
    "reweight": (20, reweight, AFTER_IMAGE),
    "uniform": (24, uniform_image, AFTER_IMAGE),
}


@contextmanager
def backend(name: str) -> Iterator[None]:
    model = real_llava().model
    model.set_attn_implementation({"text_config": name})
    try:
        yield
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})


@cache
def prompt_tokens() -> int:
    return real_llava().inputs()["input_ids"].shape[1]


@cache
def untouched() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (layer, head, row, key), what enters every layer (layer, token, width), and roles."""
    real = real_llava()
    inputs = real.inputs(answer=ANSWER)
    with backend("eager"):
        output = real.model(
            **inputs, output_attentions=True, output_hidden_states=True, logits_to_keep=1
        )
    image = (inputs["input_ids"][0] == IMAGE_TOKEN).tolist()
    weights = torch.cat(output.attentions).double().numpy()
    hidden = torch.cat(output.hidden_states[:-1]).double().numpy()
    return weights, hidden, roles_of(image, prompt_tokens())


def row_of(layer: int, head: int, position: int) -> Row:
    weights, hidden, roles = untouched()
    with np.errstate(divide="ignore"):
        raw = np.log(weights[layer])  # scores, but for a constant in every row
    tokens = Tokens(
        embeddings=hidden[0],
        positions=np.arange(len(roles))[None],
        roles=roles,
        prompt=prompt_tokens(),
        uid=UID,
    )
    return Row(
        layer=layer,
        head=head,
        position=position,
        raw=raw,
        hidden=hidden[layer],
        below=tuple(weights[:layer]),
        tokens=tokens,
    )


def test_it_has_sinks_and_massive_activations() -> None:
    """As Xiao et al. (2309.17453) and Sun et al. (2402.17762) say; random weights have neither."""
    weights, hidden, roles = untouched()
    assert weights.shape[:2] == (LAYERS, HEADS)
    asking = np.isin(roles, AFTER_IMAGE)
    received = weights[:, :, asking].mean(axis=(1, 2))  # layer, key
    late = range(12, 28)
    assert all(received[layer].argmax() == 0 and received[layer, 0] > 0.2 for layer in late)
    assert received[late, 0].mean() > 0.4
    sizes = np.abs(hidden)
    for layer in late:
        place = np.unravel_index(sizes[layer].argmax(), sizes[layer].shape)
        assert place[0] == 0
        assert sizes[layer].max() > 1000 * np.median(sizes[layer])
    model = random_model("llava")
    states = model(**random_inputs(model, (9,)), output_hidden_states=True).hidden_states
    assert all(each.abs().max() < 30 * each.abs().median() for each in states)


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_the_definition(name: str) -> None:
    (layer, edit, rows), real = CASES[name], real_llava()
    weights, _, roles = untouched()
    inputs = real.inputs(answer=ANSWER)
    intervention = load(name.split(",")[0], layers=[layer])
    with backend("eager"), intervene(real.model, intervention, "reference") as log:
        log.expect([UID], prompt_lengths=[prompt_tokens()])
        output = real.model(**inputs, output_attentions=True, logits_to_keep=1)
    found = torch.cat(output.attentions).double().numpy()
    np.testing.assert_array_equal(found[:layer], weights[:layer])
    expected = weights[layer].copy()
    for position in np.flatnonzero(np.isin(roles, rows)).tolist():
        for head in range(HEADS):
            expected[head, position, : position + 1] = edit(row_of(layer, head, position))
    np.testing.assert_allclose(found[layer], expected, atol=2e-6)
    changed = np.abs(expected - weights[layer]).max(axis=-1) > 0.01  # head, row
    assert changed.sum() > 10, "the method does next to nothing here"
    with intervene(real.model, intervention) as log:
        log.expect([UID], prompt_lengths=[prompt_tokens()])
        fused = real.model(**inputs, logits_to_keep=1).logits
    torch.testing.assert_close(fused, output.logits, atol=1e-3, rtol=1e-4)


def test_one_query_head_of_a_group_is_edited_alone() -> None:
    """What the heads give to the output projection, in three heads that share a key head."""
    real, layer = real_llava(), 14
    inputs = real.inputs()
    projection = real.model.get_decoder().layers[layer].self_attn.o_proj

    def given(execution: str | None, head: int) -> Tensor:
        kept: list[Tensor] = []
        hook = projection.register_forward_pre_hook(lambda _, args: kept.append(args[0].clone()))
        if execution is None:
            real.model(**inputs, logits_to_keep=1)
        else:
            with intervene(real.model, load("knockout", layers=[layer], heads=[head]), execution):
                real.model(**inputs, logits_to_keep=1)
        hook.remove()
        return kept[0].unflatten(-1, (HEADS, -1))

    for name, execution in (("sdpa", "fused"), ("eager", "reference")):
        with backend(name):
            plain = given(None, 0)
            for head in range(GROUP, 2 * GROUP):
                edited = given(execution, head)
                same = [torch.equal(edited[:, :, k], plain[:, :, k]) for k in range(HEADS)]
                assert same == [k != head for k in range(HEADS)]


def test_half_precision_costs_a_rounding() -> None:
    """In bfloat16 next to activations of 25,000: edited rows against float64, as on a GPU."""
    real = real_llava()
    model = deepcopy(real.model).to(torch.bfloat16)
    inputs = real.inputs(answer=ANSWER)
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    for name in ("var_sinks", "fixed_sink", "uniform", "gaussian", "reweight", "pai", "attnreal"):
        with (
            compared() as comparison,
            intervene(model, load(name, layers=[5, 23]), "compared") as log,
        ):
            log.expect([UID], prompt_lengths=[prompt_tokens()])
            model(**inputs, logits_to_keep=1)
        assert comparison.rows > 10, name
        assert comparison.worst < LIMIT, name


@contextmanager
def shallow(layers: int) -> Iterator[Any]:
    """The same model with its first layers only."""
    decoder = real_llava().model.get_decoder()
    whole, count = decoder.layers, decoder.config.num_hidden_layers
    decoder.layers, decoder.config.num_hidden_layers = whole[:layers], layers
    try:
        yield real_llava().model
    finally:
        decoder.layers, decoder.config.num_hidden_layers = whole, count


def test_long_prompts() -> None:
    """Over 2,000 tokens: masses are the model's own, chunks and executions agree."""
    told = " ".join(f"Picture {k} shows {k % 7} cats on {k % 5} mats." for k in range(150))
    inputs = real_llava().inputs(question=f"\n{told}{QUESTION}")
    total = inputs["input_ids"].shape[1]
    assert total > 2000
    start = inputs["input_ids"][0].tolist().index(IMAGE_TOKEN)
    image = slice(start, start + IMAGE_TOKENS)
    settings = {"max_new_tokens": 2, "min_new_tokens": 2, "do_sample": False}
    settings |= {"output_logits": True, "return_dict_in_generate": True}
    with shallow(4) as model:
        with backend("eager"):
            weights = model(**inputs, output_attentions=True, logits_to_keep=1).attentions
            with intervene(model, load("uniform", layers=[3]), "reference"):
                slow = model(**inputs, logits_to_keep=1).logits
        mass = [float(each[0, :, image.stop :, image].sum(dim=-1).mean()) for each in weights]
        with intervene(model, load("uniform", layers=[3])) as log:
            fast = model(**inputs, logits_to_keep=1).logits
            found = log.take()
            whole = torch.cat(model.generate(**inputs, **settings).logits)
            chunks = torch.cat(model.generate(**inputs, **settings, prefill_chunk_size=700).logits)
    np.testing.assert_allclose(found.layer_mass_before[0], mass, atol=1e-5)
    np.testing.assert_allclose(found.layer_mass_after[0], mass, atol=1e-5)
    assert found.layer_entropy_after[0, 3] == pytest.approx(np.log(IMAGE_TOKENS), abs=1e-5)
    assert found.layer_entropy_before[0, 3] < np.log(IMAGE_TOKENS) - 0.1
    torch.testing.assert_close(fast, slow, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(chunks, whole, atol=1e-3, rtol=1e-4)

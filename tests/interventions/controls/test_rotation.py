"""Attention without rotation: queries and keys that nobody turned, made of the same input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import OPTConfig, OPTForCausalLM

from conformance.checks import Subject
from conformance.observing import state
from interventions import InterventionError, intervene, load
from interventions.controls.decoder_weights import self_attention, text_decoder
from interventions.controls.rotation import Rotation, compare_rotation, layer_inputs, unrotated
from interventions.looking.stream import LayerUpdates, follow_stream
from tests.interventions.controls.architectures import subject

BY_HAND = ("llava", "internvl", "qwen2_5_vl", "qwen3_vl")  # plain, with biases, M-RoPE, with norms
# Sandwich norms and windows; latent attention; half of every head; gated, and layers without; two
# dimensions more; one more layer of norms.
FAMILIES = (*BY_HAND, "gemma3", "gemma4", "kimi_k25", "fuyu", "qwen3_5", "hunyuan_vl", "lfm3_vl")


@torch.no_grad()
def attended_by_hand(module: Any, states: Tensor, real: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(width) + causal) V through the output projection, in float64."""
    heads: list[Tensor] = []
    for name in ("q", "k", "v"):
        linear = getattr(module, f"{name}_proj")
        made = states.double() @ linear.weight.double().T
        made = made if linear.bias is None else made + linear.bias.double()
        made = made.unflatten(-1, (-1, module.head_dim))
        norm = getattr(module, f"{name}_norm", None)
        if norm is not None:
            squares = made.square().mean(dim=-1, keepdim=True)
            made = made / (squares + norm.variance_epsilon).sqrt() * norm.weight.double()
        heads.append(made.transpose(1, 2))
    query, key, value = heads
    shared = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(shared, dim=1) for each in (key, value))
    scores = query @ key.mT / module.head_dim**0.5
    tokens = scores.shape[-1]
    allowed = torch.ones(tokens, tokens, dtype=torch.bool).tril() & real[:, None, None, :]
    weights = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1).nan_to_num()
    return (weights @ value).transpose(1, 2).flatten(-2) @ module.o_proj.weight.double().T


def compared(examined: Subject, inputs: Any) -> dict[int, Rotation]:
    with torch.no_grad():
        return compare_rotation(examined.model, lambda: examined.model(**inputs))


@pytest.mark.parametrize("family", BY_HAND)
def test_equal_to_attention_by_hand(family: str) -> None:
    examined = subject(family)
    model, inputs = examined.model, examined.batch("left")
    real, attention = inputs["attention_mask"].bool(), self_attention(examined.model)[0]
    read: dict[int, Tensor] = {}
    given: dict[int, Tensor] = {}
    for layer, module in attention.items():

        def see(module: Any, args: Any, kwargs: Any, output: Any, layer: int = layer) -> None:
            read[layer] = kwargs["hidden_states"].clone()
            given[layer] = output[0].clone()

        module.register_forward_hook(see, with_kwargs=True)
    with torch.no_grad():
        model(**inputs)
    seen = dict(read), dict(given)
    found = compared(examined, inputs)
    for layer, module in attention.items():
        assert torch.equal(found[layer].on, seen[1][layer])
        expected = attended_by_hand(module, seen[0][layer], real)[real]
        torch.testing.assert_close(
            found[layer].off[real].double(), expected, rtol=1e-4, atol=1e-5 * float(expected.std())
        )
        gap = (found[layer].on - found[layer].off)[real].norm() / found[layer].on[real].norm()
        assert gap > 0.05


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_equal_to_frequencies_of_zero(family: str) -> None:
    examined = subject(family)
    model, inputs = examined.model, examined.batch("left")
    before, logits = state(model), model(**inputs).logits
    found = compared(examined, inputs)
    assert torch.equal(model(**inputs).logits, logits)
    with unrotated(model):
        straight = model(**inputs).logits
    assert state(model) == before
    real = inputs["attention_mask"].bool()
    assert not torch.allclose(straight[real], logits[real], atol=1e-2)
    first = found[min(found)]
    assert not torch.allclose(first.on[real], first.off[real], atol=1e-3)
    frequencies = [b for n, b in text_decoder(model).named_buffers() if n.endswith("inv_freq")]
    assert frequencies
    for each in frequencies:
        each.zero_()
    torch.testing.assert_close(model(**inputs).logits[real], straight[real], rtol=1e-4, atol=1e-4)
    slow = compared(examined, inputs)
    assert torch.equal(slow[min(found)].on, first.off)


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3", "gemma4", "aya_vision"])
@torch.no_grad()
def test_updates_of_the_stream_are_of_the_same_states(family: str) -> None:
    """Both are followed from where they enter to where they are added, behind norms and gates."""
    examined = subject(family)
    model, inputs = examined.model, examined.batch("left")
    turned: list[LayerUpdates] = []
    straight: list[LayerUpdates] = []
    with layer_inputs(model) as entered, follow_stream(model, torch.clone, turned.append):
        model(**inputs)
    with unrotated(model, entered), follow_stream(model, torch.clone, straight.append):
        model(**inputs)
    found, real = compared(examined, inputs), inputs["attention_mask"].bool()
    block = text_decoder(model).layers[-1]
    behind = getattr(block, "post_attention_layernorm", None) if family[0] == "g" else None
    for on, off in zip(turned, straight, strict=True):
        assert torch.equal(on.before, off.before)
        same = torch.allclose(on.attention[real], off.attention[real], atol=1e-3)
        gave = torch.allclose(found[on.layer].on[real], found[on.layer].off[real], atol=1e-3)
        assert same == gave  # some layers turn nothing
    assert any(not torch.allclose(each.on, each.off) for each in found.values())
    last = found[len(turned) - 1].off
    expected = last if behind is None else behind(last)
    torch.testing.assert_close(straight[-1].attention, expected)


@pytest.mark.parametrize("family", ["llava", "gemma3"])
def test_under_an_intervention(family: str) -> None:
    """Uniform attention does not know positions: on and off are the same; learned ones are not."""
    examined = subject(family)
    inputs = examined.inputs()
    everyone = ("system", "image", "question", "last")
    with intervene(examined.model, load("uniform", rows=everyone, keys=everyone)):
        for each in compared(examined, inputs).values():
            torch.testing.assert_close(each.on, each.off)
    with intervene(examined.model, load("learned")):
        found = compared(examined, inputs)
    plain = compared(examined, inputs)
    for layer, each in found.items():
        assert torch.equal(each.off, plain[layer].off)
        assert not torch.allclose(each.on, each.off)


@torch.no_grad()
def test_a_layer_may_write_to_what_it_reads() -> None:
    examined = subject("llava")
    model, inputs = examined.model, examined.inputs()
    block = text_decoder(model).layers[1]
    with layer_inputs(model) as expected:
        model(**inputs)
    plain = block.forward

    def untidy(hidden_states: Tensor, **rest: Any) -> Tensor:
        given = plain(hidden_states.clone(), **rest)
        hidden_states.zero_()
        return given

    block.forward = untidy
    with layer_inputs(model) as entered:
        model(**inputs)
    with unrotated(model, entered):
        model(**inputs)
    for layer, each in expected.items():
        assert torch.equal(entered[layer], each)


def test_other_inputs_and_families_without_are_refused() -> None:
    examined = subject("llava")
    model, before = examined.model, state(examined.model)
    with torch.no_grad(), layer_inputs(model) as entered:
        model(**examined.inputs())
    assert len(entered) == len(text_decoder(model).layers)
    longer = examined.inputs(lengths=(12,))
    refused = pytest.raises(InterventionError, match="what entered layer 0 to have")
    with torch.no_grad(), unrotated(model, entered), refused:
        model(**longer)
    assert state(model) == before
    attention = next(iter(self_attention(model)[0].values()))
    opt: Any = OPTForCausalLM(OPTConfig(hidden_size=16, num_attention_heads=2, ffn_dim=16))
    with pytest.raises(InterventionError, match="OPTAttention to be handed its rotation"):
        unrotated(opt).__enter__()
    plain = attention.forward
    attention.forward = lambda position_embeddings, **rest: plain(  # type: ignore[method-assign]
        position_embeddings=position_embeddings, **rest
    )
    rotary = text_decoder(model).rotary_emb
    rotary.forward = lambda *args, **kwargs: torch.ones(1, dtype=torch.complex64)
    refused = pytest.raises(InterventionError, match="got Tensor; attention without")
    with torch.no_grad(), unrotated(model), refused:
        model(**examined.inputs())

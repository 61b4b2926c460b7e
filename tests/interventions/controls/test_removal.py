"""A part that gives nothing leaves the stream alone; attention to oneself is a map of values."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from conformance.native import wrapped
from conformance.observing import running_on, state
from interventions import InterventionError, intervene
from interventions.controls.decoder_weights import self_attention, text_decoder
from interventions.controls.removal import identity_mixing, removed
from interventions.looking.stream import LayerUpdates, follow_stream
from tests.interventions.controls.architectures import subject

# Plain; sandwich norms; norms behind; parallel; experts that give a tuple beside; latent attention.
FAMILIES = ("llava", "gemma3", "exaone4_5", "aya_vision", "ernie4_5_vl_moe", "kimi_k25", "lfm2_vl")


def ends(model: PreTrainedModel, inputs: Any) -> tuple[Tensor, Tensor]:
    """What enters the first decoder layer, and what its last norm reads."""
    decoder, seen = text_decoder(model), []
    norm = getattr(decoder, "norm", None) or decoder.embedding_norm
    hooks = [
        decoder.layers[0].register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        ),
        norm.register_forward_pre_hook(lambda module, args: seen.append(args[0])),
    ]
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    first, last = seen
    return first, last


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_without_both_the_stream_stays(family: str) -> None:
    examined = subject(family)
    model, inputs = examined.model, examined.batch("left")
    before, logits = state(model), model(**inputs).logits
    with removed(model, "attention"), removed(model, "ffn"):
        first, last = ends(model, inputs)
        assert torch.equal(first, last)
    with suppress(KeyError), removed(model, "attention"):
        silent = model(**inputs).logits
        raise KeyError
    with removed(model, "ffn"):
        dumb = model(**inputs).logits
    assert state(model) == before
    assert torch.equal(model(**inputs).logits, logits)
    # The same by weights: what ends each part is made zero.
    ending = [getattr(m, "o_proj", None) or m.out_proj for m in self_attention(model)[0].values()]
    assert torch.equal(with_zeros(model, inputs, ending), silent)
    of_ffn = [
        part
        for path, part in text_decoder(model).layers.named_modules()
        if path.split(".")[-1] in ("down_proj", "w2", "experts") and "self_attn" not in path
    ]
    assert torch.equal(with_zeros(model, inputs, of_ffn), dumb)


@pytest.mark.parametrize("family", ["llava", "gemma3", "exaone4_5", "aya_vision"])
@torch.no_grad()
def test_what_gives_nothing_adds_nothing(family: str) -> None:
    examined = subject(family)
    for part, other in (("attention", "ffn"), ("ffn", "attention")):
        for order in (0, 1):  # whichever block is the outer one
            layers: list[LayerUpdates] = []
            blocks = [
                removed(examined.model, part),
                follow_stream(examined.model, torch.clone, layers.append),
            ]
            with blocks[order], blocks[1 - order]:
                examined.model(**examined.inputs())
            assert len(layers) == len(text_decoder(examined.model).layers)
            for each in layers:
                assert not getattr(each, part).any()
                assert getattr(each, other).any()


def with_zeros(model: PreTrainedModel, inputs: Any, modules: list[Any]) -> Tensor:
    weights = [each.down_proj if hasattr(each, "down_proj") else each.weight for each in modules]
    kept = [each.clone() for each in weights]
    for each in weights:
        each.zero_()
    logits = model(**inputs).logits
    for each, before in zip(weights, kept, strict=True):
        each.copy_(before)
    return logits


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3", "aya_vision"])
@torch.no_grad()
def test_attention_to_oneself_gives_the_values(family: str) -> None:
    examined = subject(family)
    model, inputs = examined.model, examined.batch("left")
    real = inputs["attention_mask"].bool()
    decoder = {id(each) for each in self_attention(model)[0].values()}

    def alone(original: Any, module: nn.Module, *args: Any, **rest: Any) -> Any:
        if id(module) not in decoder:
            return original(module, *args, **rest)
        query, _, value = args[:3]
        shared = query.shape[1] // value.shape[1]
        return value.repeat_interleave(shared, dim=1).transpose(1, 2), None

    with running_on(model, "eager"), wrapped(model, alone):
        expected = model(**inputs).logits
    with intervene(model, identity_mixing()):
        found = model(**inputs).logits
    torch.testing.assert_close(found[real], expected[real], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found[real], model(**inputs).logits[real], atol=1e-2)


def test_what_cannot_be_told_is_refused() -> None:
    model = subject("llava").model
    layer = text_decoder(model).layers[2]
    layer.thinking = layer.mlp
    del layer.mlp
    with pytest.raises(InterventionError, match="Expected layer 2 of the decoder of Llava"):
        removed(model, "ffn").__enter__()
    with pytest.raises(ValueError, match="part"):
        removed(model, "mlp").__enter__()  # type: ignore[arg-type]

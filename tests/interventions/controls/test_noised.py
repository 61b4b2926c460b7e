"""Noise has the moments and the scope that it says, depends on no order, and leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import OPTConfig, OPTForCausalLM, PreTrainedModel

from interventions import InterventionError
from interventions.controls import noised
from interventions.controls.decoder_weights import (
    feed_forward_parts,
    query_key_value_parts,
    self_attention,
)
from interventions.controls.noised import noised_weights
from tests.interventions.controls.architectures import attention_calls, subject

ATTENTION = r"self_attn\.(q|k|v)_proj\.weight"
LATENT = r"self_attn\.(q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj)\.weight"
MLP = r"mlp\.(gate|up|down)_proj\.weight"
EXPERTS = r"mlp\.((\w+\.)?experts\.\w+_proj|gate\.weight|shared_expert(s?\.\w+|_gate)\.weight)"
# Family -> which weights of a decoder layer make queries, keys and values, and which feed forward.
WEIGHTS = {
    "llava": (ATTENTION, MLP),  # a vision tower whose weights have the same names
    "qwen2_5_vl": (ATTENTION, MLP),  # a vision tower with fused ones, and a merger named mlp
    "phi3": (r"self_attn\.qkv_proj\.weight", r"mlp\.(gate_up|down)_proj\.weight"),
    "fuyu": (r"self_attn\.query_key_value\.weight", r"mlp\.dense_\w+\.weight"),
    "kimi_k25": (LATENT, f"{MLP}|{EXPERTS}|" + r"mlp\.shared_experts\.\w+\.weight"),
    "qwen3_5_moe": (ATTENTION, f"{EXPERTS}|" + r"mlp\.shared_expert\.\w+\.weight"),
    "aria": (ATTENTION, r"mlp\.(router\.weight|experts\.\w+|shared_experts\.\w+\.weight)"),
    "glm4v": (ATTENTION, r"mlp\.(gate_up|down)_proj\.weight"),
    "ernie4_5_vl_moe": (
        ATTENTION,
        f"{MLP}|" + r"mlp\.\w+_moe\.(gate\.weight|experts\.\w+)|mlp\.shared_experts\.\w+\.weight",
    ),
}
OF_LAYERS = r"^model\.language_model\.layers\.\d+\."
GATED, LATENTS = ("qwen3_5_moe",), ("kimi_k25",)
OPT = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}
OPT |= {"word_embed_proj_dim": 16, "vocab_size": 32}
SIGMAS = 5.0  # by which a mean or a spread over n numbers may be off by chance


@pytest.fixture(params=WEIGHTS)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def snapshot(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in model.state_dict().items()}


def changed(model: PreTrainedModel, before: dict[str, Tensor]) -> set[str]:
    return {
        name for name, each in model.state_dict().items() if not torch.equal(each, before[name])
    }


def off_centre(model: PreTrainedModel) -> None:
    """Every matrix a mean of its own, which noise of mean 0 would miss."""
    with torch.no_grad():
        for part in (*query_key_value_parts(model).parts, *feed_forward_parts(model).parts):
            part.values.add_(0.5 * part.values.std() * (1 + len(part.name) % 3))


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1])


def equal_shapes(values: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of parts of one shape, in one layer and across layers."""
    several = [each for each in values.values() if each.numel() >= 256]
    for place, one in enumerate(several):
        yield from ((one, two) for two in several[place + 1 : place + 40] if two.shape == one.shape)


@pytest.mark.parametrize("draw", ["own", "same"])
@pytest.mark.parametrize("which", ["qkv", "ffn"])
def test_just_these_weights_of_the_decoder_change(family: str, which: Any, draw: Any) -> None:
    model = subject(family).model
    before, places = snapshot(model), [each.data_ptr() for each in model.state_dict().values()]
    gradients = [each.requires_grad for each in model.parameters()]
    wanted = re.compile(OF_LAYERS + f"({WEIGHTS[family][which == 'ffn']})$")
    with noised_weights(model, which, seed=3, draw=draw) as log:
        found = changed(model, before)
        assert found
        assert found == {name for name in before if wanted.match(name)}
        named = {name.partition("[")[0] for name in log.names}
        assert {name.partition("language_model.")[2] for name in found} == named
        assert (len(log.skipped) > 0) == (family == "qwen3_5_moe" and which == "qkv")
    assert not changed(model, before)
    assert places == [each.data_ptr() for each in model.state_dict().values()]
    assert [each.requires_grad for each in model.parameters()] == gradients


@pytest.mark.parametrize("which", ["qkv", "ffn"])
def test_moments_stay_and_streams_are_independent(family: str, which: Any) -> None:
    model = subject(family).model
    off_centre(model)
    parts = {each.name: each.values for each in noised.PARTS[which](model).parts}
    before = {name: each.clone() for name, each in parts.items()}
    with noised_weights(model, which, seed=0, draw="own"):
        for name, drawn in parts.items():
            count, spread = drawn.numel(), before[name].std(correction=0)
            assert abs(drawn.mean() - before[name].mean()) < SIGMAS * spread / count**0.5, name
            off = drawn.std(correction=0) / spread - 1
            assert abs(off) < SIGMAS / (2 * count) ** 0.5, name
            assert abs(correlation(drawn, before[name])) < SIGMAS / count**0.5, name
        pairs = list(equal_shapes(parts))
        assert pairs
        for one, other in pairs:
            assert abs(correlation(one, other)) < SIGMAS / one.numel() ** 0.5


@pytest.mark.parametrize("which", ["qkv", "ffn"])
def test_the_same_draw_is_the_same_noise(family: str, which: Any) -> None:
    """As randn of this seed gives it, for the whole tensor, whatever it holds."""
    model = subject(family).model
    off_centre(model)
    weights = {id(each.weight): each.weight for each in noised.PARTS[which](model).parts}
    before = {key: each.detach().clone() for key, each in weights.items()}
    with noised_weights(model, which, seed=7, draw="same"):
        for key, each in weights.items():
            noise = torch.randn(each.shape, generator=torch.Generator().manual_seed(7))
            expected = before[key].mean() + before[key].std(correction=0) * noise
            torch.testing.assert_close(each.detach(), expected, rtol=1e-4, atol=1e-5)
        values = {str(key): each.detach() for key, each in weights.items()}
        pairs = list(equal_shapes(values))
        assert pairs
        for one, other in pairs:
            assert correlation(one, other) > 0.99999


@pytest.mark.parametrize("family", ["llava", "phi3", "fuyu", "kimi_k25", "qwen3_5_moe", "gemma4"])
def test_parts_are_what_the_attention_is_called_with(family: str) -> None:
    """A part of zeros makes queries, keys or values zero, and nothing else different."""
    examined = subject(family)
    model, inputs = examined.model, examined.inputs(images=(1,))
    first = next(iter(self_attention(model)[0].values()))
    parts = query_key_value_parts(model).parts
    parts = [each for each in parts if any(each.weight is own for own in first.parameters())]
    covered = {id(part.weight): 0 for part in parts}
    plain = called_with(model, inputs, first)
    for part in parts:
        covered[id(part.weight)] += part.values.numel()
        before = part.values.clone()
        part.values.zero_()
        zeroed = called_with(model, inputs, first)
        part.values.copy_(before)
        said = re.search(r"\[(\w+)\]", part.name) or re.search(r"\.(q|k|v)_", part.name)
        assert said is not None
        which = {name for name in plain if not torch.equal(plain[name], zeroed[name])}
        if said[1] == "latent":
            assert which == {"key", "value"}
            continue
        (only,) = which
        assert only.startswith(said[1]), part.name
        assert "kv_" in part.name or not zeroed[only].any()  # a key of a latent has two parts
    for part in parts:
        gated = part.name.endswith("q_proj.weight[query]")
        assert covered[id(part.weight)] * (2 if gated else 1) == part.weight.numel()
    assert {part.name.rpartition("[")[2] for part in parts if "[" in part.name} == {
        "llava": set(),
        "gemma4": set(),
        "phi3": {"query]", "key]", "value]"},
        "fuyu": {"query]", "key]", "value]"},
        "kimi_k25": {"latent]", "key]", "value]"},
        "qwen3_5_moe": {"query]"},
    }[family]


@torch.no_grad()
def called_with(model: PreTrainedModel, inputs: Any, attention: Any) -> dict[str, Tensor]:
    with attention_calls(model) as calls:
        model(**inputs)
    return {name: calls[id(attention)][name] for name in ("query", "key", "value")}


@pytest.mark.parametrize("half", ["gate", "up"])
@pytest.mark.parametrize("family", ["glm4v", "phi3", "aria", "kimi_k25"])
def test_gate_and_up_are_told_apart(family: str, half: str) -> None:
    """Either half of zeros silences what it multiplies: the layer's experts, or all of its MLP."""
    examined = subject(family)
    model = examined.model
    named = [each for each in feed_forward_parts(model).parts if f"[{half}" in each.name]
    holder = "experts" if "expert" in named[0].name else "mlp"
    where = named[0].name.partition(f".{holder}.")[0] + f".{holder}"
    module = model.get_decoder().get_submodule(where)
    given: list[Tensor] = []
    module.register_forward_hook(lambda module, args, output: given.append(output))
    with torch.no_grad():
        model(**examined.inputs())
        for part in named:
            part.values.zero_()
        model(**examined.inputs())
    assert given[0].any()
    assert not given[1].any()


def test_neither_order_nor_company_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    model = subject("qwen3_5_moe").model
    noise = partial(noised_weights, model, draw="own")
    with noise("qkv", seed=0), noise("ffn", seed=0):
        one = snapshot(model)
    for which, find in noised.PARTS.items():

        def backwards(given: PreTrainedModel, find: Any = find) -> Any:
            found = find(given)
            return type(found)(parts=found.parts[::-1], skipped=found.skipped)

        monkeypatch.setitem(noised.PARTS, which, backwards)
    torch.manual_seed(9)
    with noise("ffn", seed=0), noise("qkv", seed=0):
        assert not changed(model, one)
    with noise("ffn", seed=1), noise("qkv", seed=0):
        assert changed(model, one)


@pytest.mark.parametrize("draw", ["own", "same"])
def test_weights_are_back_after_an_exception(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    examined = subject("qwen2_5_vl")
    model = examined.model.to(torch.bfloat16)
    inputs = {k: v.bfloat16() if v.is_floating_point() else v for k, v in examined.inputs().items()}
    with torch.no_grad():
        before, logits = snapshot(model), model(**inputs).logits
        with suppress(KeyError), noised_weights(model, "ffn", seed=0, draw=draw):
            assert not torch.equal(model(**inputs).logits, logits)
            raise KeyError
        assert torch.equal(model(**inputs).logits, logits)
        plain, drawn = getattr(noised, f"_{draw}"), []

        def breaking_off(*args: Any) -> Tensor:
            drawn.append(args)
            return plain(*args) if len(drawn) < 3 else drawn["third"]  # type: ignore[call-overload]

        monkeypatch.setattr(noised, f"_{draw}", breaking_off)
        with pytest.raises(TypeError, match="indices"):
            noised_weights(model, "ffn", seed=0, draw=draw).__enter__()
    assert not changed(model, before)


def test_what_cannot_be_told_is_refused() -> None:
    model: Any = OPTForCausalLM(OPTConfig(**OPT))
    with pytest.raises(InterventionError, match=r"feed-forward part under one of the names"):
        noised_weights(model, "ffn", seed=0, draw="own").__enter__()
    model = subject("fuyu").model
    attention = next(iter(self_attention(model)[0].values()))
    attention.__class__ = type("RenamedAttention", (type(attention),), {})
    with pytest.raises(InterventionError, match=r"How RenamedAttention packs queries"):
        noised_weights(model, "qkv", seed=0, draw="own").__enter__()
    model = subject("llava").model
    attention = next(iter(self_attention(model)[0].values()))
    attention.mix_proj = attention.q_proj
    del attention.q_proj
    with pytest.raises(InterventionError, match=r"but it has mix_proj; which"):
        noised_weights(model, "qkv", seed=0, draw="own").__enter__()
    model = subject("llava").model
    model.get_decoder().layers[1].mlp.to("meta")
    with pytest.raises(InterventionError, match=r"layers.1.mlp.gate_proj.weight is off-loaded"):
        noised_weights(model, "ffn", seed=0, draw="own").__enter__()
    with pytest.raises(ValueError, match="which"):
        noised_weights(model, "ov", seed=0, draw="own").__enter__()  # type: ignore[arg-type]

"""What a layer is seen to add is what its own modules gave, in every shape that families have."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from conformance.builders import build
from conformance.checks import Subject
from interventions import InterventionError, intervene, load
from interventions.looking.stream import LayerUpdates, follow_stream
from interventions.patching.decoders import innermost
from tests.random_models import random_inputs, random_model, single_row

PLAIN = ("self_attn", "mlp")
SANDWICH = ("post_attention_layernorm", "post_feedforward_layernorm")
# Family -> modules of a layer whose outputs are added, as its source says: after norms, if any.
ADDED = {
    "llava": PLAIN,
    "internvl": PLAIN,
    "qwen2_5_vl": PLAIN,
    "kimi_k25": PLAIN,  # latent attention, then experts
    "ernie4_5_vl_moe": PLAIN,  # experts that give a tuple
    "qwen3_5_moe": (("self_attn", "linear_attn"), "mlp"),
    "lfm2_vl": (("self_attn", "conv"), "feed_forward"),
    "aya_vision": PLAIN,  # parallel
    "cohere_compass": PLAIN,  # parallel, with DeepStack
    "qwen3_vl": PLAIN,  # DeepStack
    "gemma3": SANDWICH,
    "exaone4_5": SANDWICH,  # norms behind the blocks only
    "glm4v": ("post_self_attn_layernorm", "post_mlp_layernorm"),
    "lfm3_vl": ("post_operator_norm", "post_ffn_norm"),  # half of its layers convolve
    "granite_docling": PLAIN,  # times a multiplier, with DeepStack
    "hyperclovax_vision_v2": ("post_norm1", "post_norm2"),  # likewise
    "gemma4": SANDWICH,  # and more behind them
}
PARALLEL = ("aya_vision", "cohere_compass")
STACKED = ("cohere_compass", "qwen3_vl", "granite_docling")  # DeepStack
SCALED = ("granite_docling", "hyperclovax_vision_v2")
TOLERANCE = 1e-5  # of the largest number, float32


@dataclass(eq=False)
class Watched:
    """One forward: what was seen of the stream, and what a plain look at the modules shows."""

    layers: list[LayerUpdates]
    given: dict[tuple[int, int], Tensor]  # (layer, which of two) -> output of its module
    entered: Tensor  # the decoder's first layer
    left: Tensor  # what its last norm reads
    embeds: list[Tensor] = field(default_factory=list)  # of DeepStack
    logits: Tensor | None = None


def look(
    model: PreTrainedModel, inputs: Any, added: tuple[Any, Any] = PLAIN, name: str = "learned"
) -> Watched:
    """A forward under an intervention, watched by hooks that know the family."""
    decoder: Any = innermost(model.get_decoder())
    seen: dict[str, Any] = {"layers": [], "given": {}, "embeds": []}

    def keep(key: tuple[int, int]) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            output = output if isinstance(output, Tensor) else output[0]
            seen["given"][key] = output.clone()

        return hook

    def first(module: nn.Module, args: Any, kwargs: Any) -> None:
        seen["entered"] = (args[0] if args else kwargs["hidden_states"]).clone()

    def last(module: nn.Module, args: Any) -> None:
        seen["left"] = args[0].clone()

    def stacked(module: nn.Module, args: Any, kwargs: Any) -> None:
        seen["embeds"] = kwargs.get("deepstack_visual_embeds") or []

    handles = [
        decoder.layers[0].register_forward_pre_hook(first, with_kwargs=True),
        (getattr(decoder, "norm", None) or decoder.embedding_norm).register_forward_pre_hook(last),
        decoder.register_forward_pre_hook(stacked, with_kwargs=True),
    ]
    for layer, part in enumerate(decoder.layers):
        for which, names in enumerate(added):
            names = (names,) if isinstance(names, str) else names
            module = next(getattr(part, each) for each in names if hasattr(part, each))
            handles.append(module.register_forward_hook(keep((layer, which))))
    watching = follow_stream(model, torch.clone, seen["layers"].append)
    with torch.no_grad(), intervene(model, load(name)), watching:
        seen["logits"] = model(**inputs).logits
    for handle in handles:
        handle.remove()
    return Watched(**seen)


def close(found: Tensor, expected: Tensor) -> None:
    gap = (found.double() - expected.double()).abs().max()
    assert gap <= TOLERANCE * expected.abs().max().clamp_min(1e-3), float(gap)


@pytest.mark.parametrize("family", ADDED)
def test_updates_are_what_the_modules_gave(family: str) -> None:
    subject = Subject(family, build(family))
    inputs = subject.batch("left")
    decoder: Any = innermost(subject.model.get_decoder())
    scale = 0.3 if hasattr(decoder.layers[0], "residual_multiplier") else 1.0
    for part in decoder.layers:
        part.residual_multiplier = scale
    seen = look(subject.model, inputs, ADDED[family])
    assert (scale != 1.0) == (family in SCALED)
    assert [one.layer for one in seen.layers] == list(range(len(decoder.layers)))
    for one in seen.layers:
        close(one.attention, scale * seen.given[one.layer, 0])
        close(one.ffn, scale * seen.given[one.layer, 1])
        assert one.has_rest == (family == "gemma4")
        assert one.parallel == (family in PARALLEL)
        if not one.has_rest:
            close(one.after, one.after_ffn)
    assert torch.equal(seen.layers[0].before, seen.entered)
    image = inputs["input_ids"] == subject.model.config.image_token_id
    total = torch.zeros_like(seen.entered, dtype=torch.float64)
    for one, following in zip(seen.layers, [*seen.layers[1:], None], strict=True):
        entering = seen.left if following is None else following.before
        between = entering.double() - one.after.double()
        stacks = family in STACKED and one.layer < len(seen.embeds)
        if following is not None:
            assert (following.between is not None) == stacks
        if stacks:  # features of the image, added to its tokens and to no others
            assert torch.equal(following.between, between)
            close(between[image], seen.embeds[one.layer])
            between[image] = 0.0
        assert not between.any()
        total += one.attention + one.ffn + one.rest
        if stacks:
            total[image] += seen.embeds[one.layer]
    close(total, seen.left.double() - seen.entered.double())
    assert (len(seen.embeds) > 0) == (family in STACKED)


@pytest.mark.parametrize("name", ["uniform", "knockout", "gaussian"])
@pytest.mark.parametrize("family", ["llava", "gemma3", "aya_vision"])
def test_updates_under_an_intervention(family: str, name: str) -> None:
    """They are those of the edited model; what is computed is not changed by looking."""
    subject = Subject(family, build(family))
    inputs = subject.batch("left")
    with torch.no_grad(), intervene(subject.model, load(name)):
        unwatched = subject.model(**inputs).logits
    plain, edited = (look(subject.model, inputs, ADDED[family], each) for each in ("learned", name))
    assert torch.equal(edited.logits, unwatched)
    assert torch.equal(plain.layers[0].before, edited.layers[0].before)
    assert not torch.allclose(plain.layers[0].attention, edited.layers[0].attention)
    for one in edited.layers:
        close(one.attention, edited.given[one.layer, 0])
        close(one.ffn, edited.given[one.layer, 1])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava_onevision"])
def test_neither_padding_nor_company_matters(family: str) -> None:
    model, images = random_model(family), (1, 1)
    for padding in ("left", "right"):
        inputs = random_inputs(model, prompt_lengths=(9, 6), padding=padding)
        together = look(model, inputs).layers
        for row in range(2):
            real = inputs["attention_mask"][row].bool()
            alone = look(model, single_row(inputs, row, images)).layers
            for one, other in zip(alone, together, strict=True):
                for part in ("before", "attention", "ffn", "after"):
                    close(getattr(other, part)[row, real], getattr(one, part)[0])


def test_nothing_is_kept() -> None:
    """Once a layer was shown, its tensors live as long as whoever took them holds them."""
    subject = Subject("llava", build("llava"))
    alive: list[Any] = []

    def take(one: LayerUpdates) -> None:
        assert not any(each() is not None for each in alive)  # those of the layer before are gone
        alive.extend(weakref.ref(part) for part in (one.before, one.attention, one.ffn, one.after))

    with torch.no_grad(), follow_stream(subject.model, torch.clone, take):
        subject.model(**subject.batch("left"))
    assert len(alive) == 16
    assert not any(each() is not None for each in alive)
    decoder: Any = innermost(subject.model.get_decoder())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in decoder.modules())


def test_attention_and_feed_forward_by_hand() -> None:
    """Zero where made zero; uniform over the prefix, and over each token alone, by hand."""
    subject = Subject("llava", build("llava"))
    inputs = subject.inputs()
    decoder: Any = innermost(subject.model.get_decoder())
    muted, dumb, even, own = decoder.layers
    with torch.no_grad():
        muted.self_attn.o_proj.weight.zero_()
        dumb.mlp.down_proj.weight.zero_()
        even.self_attn.q_proj.weight.zero_()
    own.self_attn.forward = lambda hidden_states, **_: (valued(own, hidden_states), None)
    layers: list[LayerUpdates] = []
    with torch.no_grad(), follow_stream(subject.model, torch.clone, layers.append):
        subject.model(**inputs)
    parts = [(bool(one.attention.any()), bool(one.ffn.any())) for one in layers]
    assert parts == [(False, True), (True, False), (True, True), (True, True)]
    with torch.no_grad():
        normed = even.input_layernorm(layers[2].before)
        counts = torch.arange(1, normed.shape[1] + 1)[:, None]
        close(layers[2].attention, valued(even, normed.cumsum(dim=1) / counts))
        close(layers[3].attention, valued(own, own.input_layernorm(layers[3].before)))


def valued(layer: Any, hidden: Tensor) -> Tensor:
    """What an attention module gives where every token receives these hidden states."""
    module = layer.self_attn
    values = module.v_proj(hidden).unflatten(-1, (-1, module.head_dim))
    shared = values.repeat_interleave(module.num_key_value_groups, dim=-2)
    return module.o_proj(shared.flatten(-2))


class Unusual(nn.Module):
    """A layer as no family has one."""

    def __init__(self, inner: Any, how: str) -> None:
        super().__init__()
        self.self_attn, self.mlp, self.how = inner.self_attn, inner.mlp, how
        self.norm = inner.input_layernorm

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        mixed, _ = self.self_attn(hidden_states=self.norm(hidden_states), **kwargs)
        match self.how:
            case "mixes":
                return 0.5 * hidden_states + mixed + self.mlp(hidden_states)
            case "once":
                return hidden_states + mixed
            case "together":
                return hidden_states + (mixed + self.mlp(hidden_states))
            case "first":
                return hidden_states + self.mlp(hidden_states) + mixed
            case "scales":
                hidden_states *= 2.0
                hidden_states = hidden_states + mixed
                return hidden_states + self.mlp(hidden_states)
            case _:
                hidden_states = hidden_states + mixed
                return self.norm(hidden_states + self.mlp(hidden_states))


@pytest.mark.parametrize("how", ["mixes", "once", "together", "first", "scales", "norms"])
def test_layers_that_are_not_understood_are_refused(how: str) -> None:
    subject = Subject("llava", build("llava"))
    decoder: Any = innermost(subject.model.get_decoder())
    decoder.layers[1] = Unusual(decoder.layers[1], how)
    said = refusal(subject)
    assert said.startswith("Layer 1 of the family 'llava' (Unusual) ")
    assert said.count(".") == 1


def test_a_family_whose_gates_mix_is_refused() -> None:
    assert "family 'muse_spark'" in refusal(Subject("muse_spark", build("muse_spark")))


def refusal(subject: Subject) -> str:
    """What is said of a model whose stream is not understood."""
    watching = follow_stream(subject.model, torch.clone, lambda one: None)
    with torch.no_grad(), pytest.raises(InterventionError) as refused, watching:
        subject.model(**subject.inputs())
    return str(refused.value)

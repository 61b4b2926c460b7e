"""Which weights of a text decoder make queries, keys and values, and which are its feed-forward's.

Modules are found as the patch finds them; inside of them transformers names what there is. What
several parts are packed in, one behind another or head by head, is taken apart, because its parts
have different moments: queries, keys and values in one tensor, gate and up, every expert.

Axes: O output features, I input features of a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.errors import InterventionError
from interventions.patching.decoders import innermost, token_mixers

PLAIN = ("q_proj", "k_proj", "v_proj", "q_a_proj", "q_b_proj")  # the last two: a latent of queries
SHARED = ("kv_a_proj_with_mqa", "kv_b_proj")  # a latent of keys and values, and what is made of it
PACKED = ("qkv_proj", "query_key_value")
OTHERS = ("o_proj", "out_proj", "dense", "g_proj", "gate_proj", "indexer")  # of attention modules
GATED = ("Qwen3_5", "Qwen3Next", "Qwen4Exp")  # q_proj makes of every head a query, then a gate
IN_BLOCKS = ("Phi3", "Phi4Multimodal")  # queries of all heads, then keys, then values
BY_HEAD = ("Persimmon",)  # of every head its query, key and value
FEED_FORWARD = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "shared_mlp", "moe", "experts")
ROUTER = "router"  # where it stands beside the experts rather than inside of their module

Parts = dict[str, Tensor]
TakenApart = Callable[[Any, str, Tensor], Parts]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightPart:
    """One matrix of a decoder: a weight, or a part of one that several matrices are packed in."""

    name: str  # within the decoder, "layers.0.self_attn.qkv_proj.weight[key]"
    weight: Tensor  # the whole
    values: Float[Tensor, "out in"]  # a view of the part: what is written to it is in the weight


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderParts:
    """The parts of all layers, and what layers without any have instead."""

    parts: Sequence[WeightPart]
    skipped: Mapping[int, str]


def text_decoder(model: PreTrainedModel) -> Any:
    """The module that holds the decoder layers. `InterventionError` where there is none."""
    decoder = innermost(model.get_decoder())
    if not getattr(decoder, "layers", None):
        raise InterventionError(f"{type(model).__name__} has no list of decoder layers.")
    return decoder


def self_attention(model: PreTrainedModel) -> tuple[dict[int, nn.Module], dict[int, str]]:
    """The self-attention of decoder layers by number, and what layers without have instead.

    Raises `InterventionError` where no layer has any.
    """
    attention, skipped = token_mixers(text_decoder(model), type(model).__name__)
    if not attention:
        raise InterventionError(f"{type(model).__name__} has no decoder layer with self-attention.")
    return attention, skipped


def query_key_value_parts(model: PreTrainedModel) -> DecoderParts:
    """What makes queries, keys and values in the self-attention of every decoder layer.

    Gates and output projections are none of them, nor is what layers without attention have.
    Raises `InterventionError` where they cannot be told.
    """
    decoder, (attention, skipped) = text_decoder(model), self_attention(model)
    found = [
        part
        for module in attention.values()
        for name, weight in _projections(module)
        for part in _parts(decoder, module, name, weight, _made_of_rows)
    ]
    return DecoderParts(parts=found, skipped=skipped)


def feed_forward_parts(model: PreTrainedModel) -> DecoderParts:
    """Every matrix of the feed-forward part of every decoder layer: experts and routers too.

    Biases, norms and other vectors are none of them. Raises `InterventionError` where a layer has
    no feed-forward part under a name that is known, or its weights are no matrices.
    """
    decoder = text_decoder(model)
    routers = [getattr(block, ROUTER) for block in decoder.layers if hasattr(block, ROUTER)]
    modules = [*chain.from_iterable(feed_forward_modules(model)), *routers]
    found: list[WeightPart] = []
    for module in modules:
        weights = list(_feed_forward_weights(module))
        if not weights:
            raise InterventionError(
                f"The feed-forward module {type(module).__name__} has no weights that are matrices "
                "(some quantised ones have none); load the model in floating point."
            )
        for inner, name, weight in weights:
            found += _parts(decoder, inner, name, weight, _matrices)
    return DecoderParts(parts=found, skipped={})


def feed_forward_modules(model: PreTrainedModel) -> list[list[nn.Module]]:
    """The modules of every decoder layer whose sum is its feed-forward part; most have one."""
    blocks = text_decoder(model).layers
    found = [[m for n, m in block.named_children() if n in FEED_FORWARD] for block in blocks]
    if not all(found):
        layer = found.index([])
        names = [name for name, _ in blocks[layer].named_children()]
        raise InterventionError(
            f"Expected layer {layer} of the decoder of {type(model).__name__} to have a "
            f"feed-forward part under one of the names {', '.join(FEED_FORWARD)}, but it has "
            f"{', '.join(names)}."
        )
    return found


def _parts(
    decoder: nn.Module, module: nn.Module, name: str, weight: Tensor, taken_apart: TakenApart
) -> Iterator[WeightPart]:
    """The parts of one weight of a module."""
    path = f"{next(path for path, each in decoder.named_modules() if each is module)}.{name}"
    if weight.is_meta or not weight.is_floating_point():
        raise InterventionError(
            f"The weight {path} is {'off-loaded' if weight.is_meta else 'quantised'}; load the "
            "model in floating point onto its device."
        )
    for part, values in taken_apart(module, path, weight.detach()).items():
        yield WeightPart(name=path + f"[{part}]" * bool(part), weight=weight, values=values)


def _feed_forward_weights(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """The matrices below a module, each with the module that holds it and its name there."""
    for inner in module.modules():
        for name, weight in inner.named_parameters(recurse=False):
            if weight.ndim > 1 and "bias" not in name and "Norm" not in type(inner).__name__:
                yield inner, name, weight


def _projections(attention: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights of one attention module that make queries, keys and values."""
    known = (*PLAIN, *SHARED, *PACKED)
    linear = {
        name: child
        for name, child in attention.named_children()
        if name not in OTHERS and "norm" not in name
        if any(each.ndim > 1 for each in child.parameters())
    }
    strange = [name for name in linear if name not in known or not _plain(linear[name])]
    if strange or not linear.keys() & {"q_proj", "q_b_proj", *PACKED}:
        raise InterventionError(
            f"Expected the projections of {type(attention).__name__} to be plain linear layers "
            f"named {', '.join(known)}, but it has {', '.join(strange or linear) or 'none'}; which "
            "of its weights make queries, keys and values cannot be told."
        )
    for name, child in linear.items():
        yield f"{name}.weight", child.weight  # type: ignore[misc]  # checked above


def _plain(module: nn.Module) -> bool:
    return isinstance(module.__dict__["_parameters"].get("weight"), nn.Parameter)


def _made_of_rows(attention: Any, path: str, weight: Float[Tensor, "out in"]) -> Parts:
    """A weight of an attention module by what its rows make."""
    kind, name = type(attention).__name__, path.split(".")[-2]
    if name == "q_proj" and kind.startswith(GATED):
        return {"query": weight.unflatten(0, (-1, 2, attention.head_dim))[:, 0]}
    if name == "kv_a_proj_with_mqa":
        latent, key = weight.split([attention.kv_lora_rank, attention.qk_rope_head_dim])
        return {"latent": latent, "key": key}
    if name == "kv_b_proj":
        sizes = [attention.qk_nope_head_dim, attention.v_head_dim]
        key, value = weight.unflatten(0, (-1, sum(sizes))).split(sizes, dim=1)
        return {"key": key, "value": value}
    if name not in PACKED:
        return {"": weight}
    if kind.startswith(IN_BLOCKS):
        keys = attention.num_key_value_heads * attention.head_dim
        query, key, value = weight.split([len(weight) - 2 * keys, keys, keys])
    elif kind.startswith(BY_HEAD):
        query, key, value = weight.unflatten(0, (-1, 3, attention.head_dim)).unbind(1)
    else:
        raise InterventionError(
            f"How {kind} packs queries, keys and values into {path} is not known, so they cannot "
            "be told from one another."
        )
    return {"query": query, "key": key, "value": value}


def _matrices(module: Any, path: str, weight: Float[Tensor, "*expert out in"]) -> Parts:
    """A weight of a feed-forward module by experts, and by gate and up where it holds both.

    Experts say themselves how theirs lie; where they do not, each is taken as one matrix.
    """
    if weight.ndim == 2:
        packed = path.endswith("gate_up_proj.weight")
        return dict(zip(("gate", "up"), weight.chunk(2), strict=True)) if packed else {"": weight}
    if not path.endswith("gate_up_proj") or not getattr(module, "is_concatenated", False):
        return {f"expert {number}": each for number, each in enumerate(weight)}
    halves = weight.chunk(2, dim=-1 if module.is_transposed else -2)
    return {
        f"{half} of expert {number}": each
        for half, experts in zip(("gate", "up"), halves, strict=True)
        for number, each in enumerate(experts)
    }

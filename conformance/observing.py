"""What the checks look at: our hook's calls, what enters the decoder, masks, differences.

Axes: B batch, T tokens, Q rows, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from conformance.tiny_inputs import Inputs, repainted
from interventions import intervene, load
from interventions.patching.decoders import BACKENDS, SESSION
from interventions.patching.upstream import configurations

TOLERANCE = 5e-4  # of the spread of the logits, float32


class CheckError(AssertionError):
    """A check found something wrong; the message says what."""


class UnavailableError(ValueError):
    """The model does not run on a backend."""


@contextmanager
def running_on(model: PreTrainedModel, backend: str) -> Iterator[None]:
    """The model on another backend; raises `UnavailableError` where it does not run on it."""
    try:
        model.set_attn_implementation(backend)
    except (ValueError, ImportError) as refusal:
        raise UnavailableError(str(refusal)) from refusal
    try:
        yield
    finally:
        model.set_attn_implementation("eager")


@contextmanager
def recorded() -> Iterator[list[tuple[nn.Module, Tensor | None]]]:
    """Every call of our own eager attention function: the module, and the weights it gave."""
    calls: list[tuple[nn.Module, Tensor | None]] = []
    name = BACKENDS["eager"]
    ours = ALL_ATTENTION_FUNCTIONS[name]

    def recorder(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        output, weights = ours(module, *args, **kwargs)
        calls.append((module, weights))
        return output, weights

    AttentionInterface.register(name, recorder)
    try:
        yield calls
    finally:
        AttentionInterface.register(name, ours)


@torch.no_grad()
def decoder_embeddings(
    model: PreTrainedModel, inputs: Inputs
) -> Float[Tensor, "batch token width"]:
    """What enters the first layer of the text decoder."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append(args[0] if args else kwargs["hidden_states"])

    decoder = model.get_decoder()
    layers = next(part.layers for part in decoder.modules() if hasattr(part, "layers"))
    handle = layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        model(**inputs)
    finally:
        handle.remove()
    return caught[0]


@torch.no_grad()
def visual_columns(model: PreTrainedModel, inputs: Inputs) -> Bool[Tensor, "batch token"]:
    """Columns that hold something else than the embedding of their token.

    They change with the pixels, or do not change with the embeddings of the tokens of the prompt:
    the learned ends of image lines, which many families count as image tokens.
    """
    before = decoder_embeddings(model, inputs)
    painted = decoder_embeddings(model, repainted(inputs))
    table, used = model.get_input_embeddings().weight, inputs["input_ids"].unique()
    originals = table[used].clone()
    table[used] = originals + 1.0
    try:
        embedded = decoder_embeddings(model, inputs)
    finally:
        table[used] = originals
    changed, own = ((before != other).flatten(2).any(dim=-1) for other in (painted, embedded))
    return changed | ~own


def module_layers(model: PreTrainedModel) -> set[int]:
    """Numbers of the decoder layers whose attention our hook edits."""
    with intervene(model, load("uniform")):
        sessions = [
            module.__dict__[SESSION] for module in model.modules() if SESSION in vars(module)
        ]
    return set(sessions[0].decoder.attention)


def mask_kinds(
    allowed: Bool[Tensor, "batch query key"], real: Bool[Tensor, "batch token"]
) -> set[str]:
    """What a mask does beyond hiding padding."""
    rows = torch.arange(real.shape[1])
    causal = (rows[None, :] <= rows[:, None]) & real[:, None, :] & real[:, :, None]
    allowed = allowed & real[:, :, None]
    kinds = {"causal"}
    if (allowed & ~causal).any():
        kinds.add("bidirectional")
    if (causal & ~allowed).any():
        kinds.add("windowed")
    return kinds


def state(model: PreTrainedModel) -> list[Any]:
    """What a patch could leave behind: implementations, attributes, hooks."""
    implementations = [config._attn_implementation_internal for config in configurations(model)]
    attributes = [
        sorted(key for key in vars(module) if "hook" not in key) for module in model.modules()
    ]
    hooks = [len(module._forward_pre_hooks) for module in model.modules()]
    return [implementations, attributes, hooks]


def difference(ours: Tensor, expected: Tensor) -> float:
    """Largest difference, in units of the spread of what is expected.

    Some models set the logits of tokens that they never answer to the lowest number there is.
    """
    usual = expected > torch.finfo(expected.dtype).min
    ours, expected = ours[usual], expected[usual]
    return ((ours - expected).abs().max() / expected.std()).item()


def close(ours: Tensor, expected: Tensor, what: str) -> None:
    found = difference(ours, expected)
    if not found < TOLERANCE:
        raise CheckError(
            f"{what} differs from what is expected by {found:.2g} of the logits' spread."
        )


def same(ours: Tensor, expected: Tensor, what: str) -> None:
    if not torch.equal(ours.nan_to_num(), expected.nan_to_num()):
        found = difference(ours.nan_to_num(), expected.nan_to_num())
        raise CheckError(f"{what} the logits differ by {found:.2g} of their spread, not bitwise.")

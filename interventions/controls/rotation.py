"""Attention without rotation by position, from the same inputs of every layer.

    with layer_inputs(model) as entered:
        model(**inputs)
    with unrotated(model, entered):
        model(**inputs)  # every layer reads what it read before; the logits mean nothing

What a layer gives in the second forward differs from the first by the rotation of its own queries
and keys alone, not by what earlier layers did without theirs: whatever follows the stream in both
(`looking.stream`) sees two updates of one state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.controls.decoder_weights import self_attention, text_decoder
from interventions.errors import InterventionError

ROTATION = "position_embeddings"  # argument of an attention module: cosines and sines
STREAM = "hidden_states"  # first argument of a decoder layer

Entered = dict[int, Float[Tensor, "batch token width"]]
Keep = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotation:
    """What the attention of one layer gave, with rotation and without, from the same input."""

    layer: int
    on: Tensor
    off: Tensor


@block("with layer_inputs(model) as entered")
def layer_inputs(model: PreTrainedModel) -> Iterator[Entered]:
    """Keep what enters every decoder layer; of several forwards, the last."""
    entered: Entered = {}

    def see(layer: int, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        entered[layer] = (args[0] if args else kwargs[STREAM]).detach().clone()

    with ExitStack() as hooks:
        for layer, each in enumerate(text_decoder(model).layers):
            hook = each.register_forward_pre_hook(partial(see, layer), with_kwargs=True)
            hooks.callback(hook.remove)
        yield entered


@block("with unrotated(model, entered)")
def unrotated(
    model: PreTrainedModel, entered: Mapping[int, Float[Tensor, "batch token width"]] | None = None
) -> Iterator[None]:
    """Let every decoder layer attend as if all tokens stood at one place: cos = 1, sin = 0.

    Queries and keys are turned by the angle 0, masks stay. A factor that the cosines hold besides,
    as YaRN's may, is left out too. Where `entered` is given, every layer reads that instead of what
    the layers before it made.

    Raises `InterventionError` where the attention modules are not handed cosines and sines, and
    when a forward meets states of another shape than those that are given.
    """
    attention, _ = self_attention(model)
    for module in attention.values():
        if ROTATION not in signature(module.forward).parameters:
            raise InterventionError(
                f"Expected {type(module).__name__} to be handed its rotation as {ROTATION}, but it "
                "takes no such argument; attention without rotation cannot be computed."
            )
    with ExitStack() as hooks:
        for module in attention.values():
            hook = module.register_forward_pre_hook(_without_rotation, with_kwargs=True)
            hooks.callback(hook.remove)
        for layer, each in enumerate(text_decoder(model).layers):
            if entered is not None:
                feed = partial(_given, layer, entered)
                hook = each.register_forward_pre_hook(feed, with_kwargs=True, prepend=True)
                hooks.callback(hook.remove)
        yield


def compare_rotation(
    model: PreTrainedModel, forward: Callable[[], Any], keep: Keep = torch.clone
) -> dict[int, Rotation]:
    """What the attention module of every layer gives with rotation and without, by layer.

    Arguments:
        forward: runs the model over a whole prompt, twice in the same way.
        keep: cuts out of what a module gives what is to be kept, a copy.
    """
    with layer_inputs(model) as entered:
        turned = _attended(model, forward, keep)
    with unrotated(model, entered):
        straight = _attended(model, forward, keep)
    return {
        layer: Rotation(layer=layer, on=on, off=straight[layer]) for layer, on in turned.items()
    }


def _attended(model: PreTrainedModel, forward: Callable[[], Any], keep: Keep) -> dict[int, Tensor]:
    """What the attention modules give in one forward."""
    given: dict[int, Tensor] = {}

    def see(layer: int, module: nn.Module, args: Any, output: Any) -> None:
        given[layer] = keep((output if isinstance(output, Tensor) else output[0]).detach())

    attention, _ = self_attention(model)
    with ExitStack() as hooks:
        for layer, each in attention.items():
            hooks.callback(each.register_forward_hook(partial(see, layer)).remove)
        forward()
    return given


def _without_rotation(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Pre-hook of an attention module. Layers that turn nothing are handed nothing, and stay."""
    place = list(signature(module.forward).parameters).index(ROTATION)
    turned = args[place] if place < len(args) else kwargs.get(ROTATION)
    if turned is None:
        return args, kwargs
    pair = isinstance(turned, tuple | list) and len(turned) == 2
    if not pair or not all(isinstance(e, Tensor) and e.is_floating_point() for e in turned):
        raise InterventionError(
            f"Expected {type(module).__name__} to be handed cosines and sines as {ROTATION}, got "
            f"{type(turned).__name__}; attention without rotation cannot be computed."
        )
    straight = torch.ones_like(turned[0]), torch.zeros_like(turned[1])
    if place < len(args):
        return (*args[:place], straight, *args[place + 1 :]), kwargs
    return args, {**kwargs, ROTATION: straight}


def _given(
    layer: int,
    entered: Mapping[int, Float[Tensor, "batch token width"]],
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Pre-hook of a decoder layer: it reads a copy of what is given, as it may write to it."""
    coming, given = args[0] if args else kwargs[STREAM], entered.get(layer)
    if given is None or given.shape != coming.shape:
        raise InterventionError(
            f"Expected what entered layer {layer} to have the shape {tuple(coming.shape)}, got "
            f"{None if given is None else tuple(given.shape)}; run the same inputs in both blocks."
        )
    return (
        ((given.clone(), *args[1:]), kwargs) if args else (args, {**kwargs, STREAM: given.clone()})
    )

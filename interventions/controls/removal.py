"""Decoders with a part that gives nothing, or with attention that mixes no tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.controls.decoder_weights import feed_forward_modules, self_attention
from interventions.methods.definitions import load
from interventions.methods.intervention import Intervention
from interventions.methods.patterns import PositionalKernel
from interventions.methods.selectors import check_choice

Removed = Literal["attention", "ffn"]

EVERYONE = ("system", "image", "question", "last", "generated")  # what else there is, is meant
NARROW = 1e-3  # tokens: exp(-1 / (2 NARROW^2)) is 0 in float64 too


@block('with removed(model, "attention")')
def removed(model: PreTrainedModel, part: Removed) -> Iterator[None]:
    """Let the attention or the feed-forward part of every decoder layer give zeros.

    It is computed all the same. Layers that mix tokens by something else than attention keep that.
    Raises `InterventionError` where the modules cannot be told.
    """
    check_choice(part, ("attention", "ffn"), "part")
    if part == "attention":
        attention, _ = self_attention(model)
        modules: Sequence[nn.Module] = list(attention.values())
    else:
        modules = [each for layer in feed_forward_modules(model) for each in layer]
    with ExitStack() as hooks:
        for each in modules:
            hooks.callback(each.register_forward_hook(_silenced).remove)
        yield


def identity_mixing(layers: str | int | Sequence[int] = "all") -> Intervention:
    """The intervention after which every token attends to itself alone: attention is a linear map.

    What a token gets is its own value through the output projection.
    """
    kernel = PositionalKernel(offset=0.0, width=NARROW)
    whole = load("fixed_kernel", layers=layers, rows=EVERYONE, keys=EVERYONE, pattern=kernel)
    return replace(whole, name="identity")


def _silenced(module: nn.Module, args: Any, output: Any) -> Any:
    """Forward hook: zeros in place of what a module gives; beside them, what else it gives."""
    if isinstance(output, Tensor):
        return torch.zeros_like(output)
    return type(output)((torch.zeros_like(output[0]), *output[1:]))

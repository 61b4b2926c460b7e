"""What a model does by itself, seen from outside: its own eager attention, wrapped.

Nothing here uses our hooks, so that it can judge them. Every modeling file of transformers calls
the function `eager_attention_forward` of its own; while a context is open, that name stands for a
wrapper.

Axes: B batch, H heads, G key-value heads, Q rows, K keys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import PreTrainedModel

EAGER = "eager_attention_forward"
Result = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Seen:
    """One call of an eager attention function."""

    module: nn.Module
    mask: Tensor | None
    key: Float[Tensor, "batch group key width"]
    value: Float[Tensor, "batch group key width"]
    weights: Float[Tensor, "batch head query key"]
    extras: frozenset[str]  # further arguments that were not None

    @property
    def allowed(self) -> Bool[Tensor, "batch 1 query key"]:
        """Which keys the model's own mask lets every row see."""
        shape = (len(self.weights), 1, *self.weights.shape[2:])
        if self.mask is None:
            return torch.ones(shape, dtype=torch.bool)
        mask = self.mask[..., : shape[-1]]
        opened = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        return opened.any(dim=1, keepdim=True).expand(shape)


@contextmanager
def wrapped(model: nn.Module, around: Callable[..., Result]) -> Iterator[None]:
    """Let `around(original, module, query, key, value, mask, **rest)` stand for eager attention."""
    files = {type(module).__module__ for module in model.modules()}
    originals = {name: getattr(sys.modules[name], EAGER, None) for name in files}
    originals = {name: function for name, function in originals.items() if function is not None}
    for name, original in originals.items():
        setattr(sys.modules[name], EAGER, partial(around, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(sys.modules[name], EAGER, original)


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Seen]]:
    """Every eager call of the model, in order."""
    calls: list[Seen] = []

    def around(original: Callable[..., Result], module: nn.Module, *args: Any, **rest: Any) -> Any:
        output, weights = original(module, *args, **rest)
        named = dict(zip(("query", "key", "value", "attention_mask"), args, strict=False)) | rest
        extras = frozenset(key for key, value in rest.items() if value is not None)
        mask, key, value = (named[name] for name in ("attention_mask", "key", "value"))
        calls.append(Seen(module, mask, key, value, weights, extras))
        return output, weights

    with wrapped(model, around):
        yield calls


@torch.no_grad()
def attending(model: PreTrainedModel, text: dict[str, Any]) -> list[nn.Module]:
    """The modules that attend when the model reads text without any image, in order."""
    with watched(model) as calls:
        model(**text)
    return list({id(call.module): call.module for call in calls}.values())


def uniform_by_hand(
    modules: list[nn.Module],
    image: Bool[Tensor, "batch key"],
    rows: Bool[Tensor, "batch query"],
) -> Callable[..., Result]:
    """Eager attention whose given rows spread what they give to the image evenly over it.

    Of every row, the weights on image tokens that it may see are replaced by their mean; the other
    weights stay. The output is the edited weights times the values.
    """
    edited_modules = {id(module) for module in modules}

    def around(
        original: Callable[..., Result],
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **rest: Any,
    ) -> Result:
        output, weights = original(module, query, key, value, attention_mask, **rest)
        if id(module) not in edited_modules:
            return output, weights
        call = Seen(module, attention_mask, key, value, weights, frozenset())
        block = image[:, None, None, :] & rows[:, None, :, None] & call.allowed
        count = block.sum(dim=-1, keepdim=True).clamp_min(1)
        mean = (weights * block).sum(dim=-1, keepdim=True) / count
        edited = torch.where(block, mean, weights)
        values = value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)
        ours = (edited @ values).transpose(1, 2)
        chosen = block.any(dim=-1).transpose(1, 2)[..., None]
        return torch.where(chosen, ours, output), edited

    return around

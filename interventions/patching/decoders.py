"""What transformers' text decoders look like inside: attention modules, image token, masks.

Everything is read from the model itself (modules, configurations, the calls they make), so that a
new family needs no entry anywhere.

Axes: B batch, H heads, Q queries (rows) of this call, K keys, T tokens (columns of the padded
batch).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from interventions.errors import InterventionError
from interventions.methods.selectors import OtherMedia, select_layers
from interventions.patching.upstream import (
    BACKEND_TEST,
    LINEAR,
    UNSUPPORTED,
    attention_function,
    backend_of,
    image_token,
    is_causal,
    other_media,
)

BACKENDS = {"sdpa": "solvent_sdpa", "eager": "solvent_eager"}
SESSION = "_solvent_session"  # attribute of an attention module while a context is open


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoder:
    """The text decoder of a vision-language model. Layers are numbered as the decoder does."""

    module: PreTrainedModel
    blocks: Sequence[nn.Module]  # one per layer
    attention: Mapping[int, nn.Module]  # the self-attention of every layer that has one
    skipped: Mapping[int, str]  # what the other layers have instead
    image_token_id: int
    others: OtherMedia

    @property
    def config(self) -> PreTrainedConfig:
        return self.module.config

    def select(self, wanted: str | int | Sequence[int]) -> tuple[int, ...]:
        """Layers with an attention matrix among those wanted.

        Layers without one are left out with a warning, unless one of them is asked for by number:
        that raises `InterventionError`.
        """
        chosen = select_layers(wanted, len(self.blocks))
        without = [layer for layer in chosen if layer in self.skipped]
        if not without:
            return chosen
        kinds = ", ".join(sorted({self.skipped[layer] for layer in without}))
        if not isinstance(wanted, str):
            raise InterventionError(
                f"Decoder layers {without} have no attention matrix ({kinds}); "
                f"choose among layers {list(self.attention)}."
            )
        warnings.warn(
            f"Decoder layers {without} have no attention matrix ({kinds}) and are left as they "
            f"are; layers {[layer for layer in chosen if layer in self.attention]} are edited.",
            stacklevel=6,  # the line that opened the context
        )
        return tuple(layer for layer in chosen if layer in self.attention)


def find_decoder(model: PreTrainedModel) -> Decoder:
    """The text decoder, or one sentence (`InterventionError`) why it cannot be patched."""
    name, token = type(model).__name__, image_token(model)
    if model.config.is_encoder_decoder:
        raise InterventionError(
            f"{name} is an encoder-decoder: its decoder sees the image through cross-attention, "
            "not as tokens of its sequence."
        )
    module = innermost(model.get_decoder())
    config = module.config
    if token is None and "vision_config" not in model.config.sub_configs:
        raise InterventionError(f"{name} has no text decoder inside a vision-language model.")
    if token is None:
        raise InterventionError(
            f"The configuration of {name} names no image token, so no token of its sequence is "
            "known to stand for an image."
        )
    if any(SESSION in part.__dict__ for part in module.modules()):
        raise InterventionError(f"This {name} already has an intervention; leave its block first.")
    if backend_of(config) not in BACKENDS:
        raise InterventionError(
            f"The decoder of {name} runs on {backend_of(config)!r}; "
            f"load it with attn_implementation set to one of {', '.join(BACKENDS)}."
        )
    blocks = getattr(module, "layers", None) or ()
    if not blocks:
        raise InterventionError(f"{name} has no list of decoder layers.")
    attention, skipped = token_mixers(module, name)
    if not attention:
        raise InterventionError(f"{name} has no decoder layer with self-attention.")
    choosy = [part for part in attention.values() if _sees_backend(part)]
    if choosy:
        raise InterventionError(
            f"The sparse attention of {name} picks its keys by the name of the attention function "
            f"({type(choosy[0]).__name__} compares it with {' and '.join(BACKENDS)}), which a hook "
            "has to change."
        )
    if backend_of(config) == "eager":
        without = [p for p in attention.values() if attention_function("eager", p) is None]
        if without:
            raise InterventionError(f"{name} has no eager attention function; load it with sdpa.")
    return Decoder(
        module=module,
        blocks=blocks,
        attention=attention,
        skipped=skipped,
        image_token_id=token,
        others=other_media(model),
    )


def innermost(module: PreTrainedModel) -> PreTrainedModel:
    """The module that holds the decoder layers; some models give its language-model head."""
    while not hasattr(module, "layers"):
        inner = module.get_decoder() if hasattr(module, "get_decoder") else module
        inner = getattr(module, "model", module) if inner is module else inner
        if inner is module:
            return module
        module = inner
    return module


def token_mixers(module: PreTrainedModel, name: str) -> tuple[dict[int, nn.Module], dict[int, str]]:
    """The self-attention of the layers that have one, and what the others have instead.

    Raises `InterventionError`, about a model of this name, where layers have cross-attention.
    """
    blocks: Any = module.layers
    if any(hasattr(block, "cross_attn") for block in blocks):
        raise InterventionError(
            f"{name} has decoder layers without self-attention over the token sequence "
            "(cross-attention to the image is not supported)."
        )
    kinds = getattr(module.config, "layer_types", None) or [None] * len(blocks)
    found = [_self_attention(block, kind) for block, kind in zip(blocks, kinds, strict=True)]
    attention = {layer: part for layer, part in enumerate(found) if part is not None}
    skipped = {
        layer: kinds[layer] or type(block).__name__
        for layer, block in enumerate(blocks)
        if layer not in attention
    }
    return attention, skipped


def _self_attention(block: nn.Module, kind: str | None) -> nn.Module | None:
    """The self-attention of a decoder layer; None where tokens mix in another way."""
    if kind is not None and kind.startswith(LINEAR):
        return None
    for name in ("self_attn", "mixer"):
        module = getattr(block, name, None)
        if module is not None and "Attention" in type(module).__name__:
            return module
    return None


def _sees_backend(attention: nn.Module) -> bool:
    """Whether an attention module behaves differently under another name of the same function."""
    kinds = {type(part) for part in attention.modules()}
    known = [kind for kind in kinds if kind.__module__.startswith("transformers.")]
    return any(_names_backend(kind) for kind in known)  # type: ignore[arg-type]  # it is hashable


@cache
def _names_backend(kind: type) -> bool:
    """Whether the source of a class asks for the name of the backend; read once, as it is slow."""
    return bool(BACKEND_TEST.search(inspect.getsource(kind)))


def named_arguments(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of a forward by name."""
    return dict(zip(inspect.signature(module.forward).parameters, args, strict=False)) | {**kwargs}


def real_tokens(mask: Any, total: int) -> Bool[Tensor, "batch token"] | None:
    """Columns that hold a token rather than padding; None means all of them."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.shape[1] < total:
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise InterventionError(
            f"Padding is read from an attention mask of shape (batch, {total}), cached tokens "
            f"included; got {shape} (static caches are not supported)."
        )
    return mask[:, :total] > 0


def check_call(arguments: Mapping[str, Any], keys: int, columns: int | None) -> None:
    """Refuse what the reference execution would silently get wrong.

    `columns` is the length of the sequences of the running forward, None outside of one.
    """
    if columns is None:
        raise InterventionError(
            "The decoder ran outside the model that was given to `intervene`, so its rows have no "
            "roles; call that model itself (and switch gradient checkpointing on before the block)."
        )
    given = [name for name in UNSUPPORTED if arguments.get(name) is not None]
    if given:
        raise InterventionError(f"Attention with {', '.join(given)} is not supported.")
    if arguments.get("dropout"):
        raise InterventionError("Attention dropout is on; call model.eval() first.")
    if keys > columns:
        raise InterventionError("Caches longer than the sequence (static) are not supported.")


def allowed_keys(
    module: nn.Module,
    backend: str,
    shape: tuple[int, int, int, int],
    mask: Tensor | None,
    causal: bool | None,
) -> Bool[Tensor, "batch 1 query key"]:
    """Which keys the backend lets every row see, also where it received no mask."""
    _, _, rows, keys = shape
    if mask is None:
        everything = torch.ones(rows, keys, dtype=torch.bool)
        # Without a mask, scaled-dot-product attention is causal from the upper left corner.
        unmasked_causal = backend == "sdpa" and rows > 1 and is_causal(module, causal)
        return (everything.tril() if unmasked_causal else everything).expand(shape)
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise InterventionError(
            "Attention masks must have shape (batch, 1, query, key), got "
            f"{tuple(mask.shape)}; masks of one head each are not supported."
        )
    mask = mask[..., :keys]
    if mask.dtype != torch.bool:
        mask = mask > torch.finfo(mask.dtype).min / 2
    return mask.expand(shape)


def full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Arithmetic as written, also where the caller casts automatically."""
    casts = torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)
    return torch.autocast(device_type, enabled=False) if casts else nullcontext()

"""What the patches of pictures receive in the last layer of the vision encoder.

Axes: N pictures, H heads, Q queries and K keys (patches of one call), U merge units, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.vision_utils import get_vision_window_index

from interventions.engine.algebra import attention_scores
from interventions.errors import InterventionError
from interventions.patching.decoders import named_arguments
from interventions.patching.upstream import attention_function, backend_of, register

WATCHED = {"sdpa": "solvent_watched_sdpa", "eager": "solvent_watched_eager"}
WATCH = "_solvent_encoder_watch"  # attribute of the encoder's last attention module while watched
QUERIES = 256  # of one slice of an attention map


class EncoderWatch:
    """Watches the last layer of a model's vision encoder until it is closed."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._received: list[Float[Tensor, " unit"]] = []  # for the coming prompt, in order
        self._call: list[Float[Tensor, "picture unit"]] = []  # of the encoder, that is running
        self._undo: list[Callable[[], None]] = []
        encoder = model.get_encoder(modality="image")
        if any(part is model.get_decoder() for part in encoder.modules()):
            return  # patches enter the decoder as they are
        self._undo.append(encoder.register_forward_pre_hook(self._start).remove)
        self._undo.append(encoder.register_forward_hook(self._see, with_kwargs=True).remove)
        self._watch(encoder)

    def close(self) -> None:
        """Undo everything but the choice of the attention function, which the session restores."""
        while self._undo:
            self._undo.pop()()

    def clear(self) -> None:
        """Forget what was seen: it was of another prompt."""
        self._received.clear()

    def take(self) -> Float[Tensor, " unit"] | None:
        """Return and forget what the units of all pictures received, in the order of tokens."""
        taken, self._received = self._received, []
        return torch.cat(taken) if taken else None

    def _watch(self, encoder: PreTrainedModel) -> None:
        modules = [m for m in encoder.modules() if type(m).__name__.endswith("Attention")]
        name = backend_of(encoder.config)
        if name not in WATCHED or not modules:
            raise InterventionError(
                f"The vision encoder of {type(self.model).__name__} runs on {name!r}; to see its "
                f"attention load it with attn_implementation set to one of {', '.join(WATCHED)}."
            )
        self.model.set_attn_implementation({"vision_config": WATCHED[name]})
        setattr(modules[-1], WATCH, self)
        self._undo.append(partial(delattr, modules[-1], WATCH))

    def _start(self, *_: Any) -> None:
        """Pre-hook of the encoder: what its last layer saw in a backward pass is of no picture."""
        self._call.clear()

    def _see(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        """Forward hook of the encoder: its call is over."""
        call, self._call = self._call, []
        if call:
            arguments = named_arguments(module, args, kwargs)
            self._received.append(_in_order(self.model.config, arguments, call))

    def record(
        self,
        query: Float[Tensor, "picture head query width"],
        key: Float[Tensor, "picture head key width"],
        scaling: float | None,
    ) -> None:
        """Book one call of the last layer: what every merge unit receives, summed over units."""
        vision = getattr(self.model.config, "vision_config", None)
        side = getattr(vision, "spatial_merge_size", 1)
        classes = key.shape[2] - _patches(self.model.config, key.shape[2])
        if (key.shape[2] - classes) % side**2:
            raise InterventionError(
                f"The vision encoder of {type(self.model).__name__} attends between "
                f"{key.shape[2]} patches, which do not go into units of {side} x {side}; give the "
                "fixed pattern to log.expect(priors=...)."
            )
        units = _between_units(query[:, :, classes:], key, scaling, classes, side**2)
        self._call.append(units.sum(dim=1))


def _patches(config: Any, tokens: int) -> int:
    """How many of an encoder's tokens are patches; CLIP has one class token in front."""
    vision = getattr(config, "vision_config", None)
    return tokens - (1 if getattr(vision, "model_type", "").startswith("clip") else 0)


def _in_order(
    config: Any, arguments: Mapping[str, Any], received: list[Float[Tensor, "picture unit"]]
) -> Float[Tensor, " unit"]:
    """What the units of one call received, in the order of its tokens."""
    total = torch.cat([part.flatten() for part in received])
    grid = arguments.get("grid_thw")
    vision: Any = getattr(config, "vision_config", None)
    if grid is not None and hasattr(vision, "window_size"):
        order, _ = get_vision_window_index(
            grid,
            spatial_merge_size=vision.spatial_merge_size,
            window_size=vision.window_size,
            patch_size=vision.patch_size,
        )
        total = total[order.to(total.device).argsort()]
    return total


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, *args: Any, backend: str, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The encoder's own attention function; the last layer's map is shown to the watch."""
    encoder_watch: EncoderWatch | None = module.__dict__.get(WATCH)
    if encoder_watch is not None:
        with torch.no_grad():
            encoder_watch.record(query, key, kwargs.get("scaling"))
    attention = attention_function(backend, module)
    assert attention is not None  # it is what the encoder ran on before
    return attention(module, query, key, *args, **kwargs)


def _between_units(
    query: Float[Tensor, "picture head query width"],
    key: Float[Tensor, "picture head key width"],
    scaling: float | None,
    classes: int,
    size: int,
) -> Float[Tensor, "picture unit unit"]:
    """Mean over heads of the highest weight between any patch of one unit and any of another.

    Units are `size` patches in a row; the first `classes` keys are no patches.
    """
    parts = []
    for part in query.split(QUERIES // size * size, dim=2):
        weights = attention_scores(part, key, scaling, None).softmax(dim=-1)[..., classes:]
        pooled = weights.unflatten(-1, (-1, size)).unflatten(2, (-1, size)).amax(dim=(3, 5))
        parts.append(pooled.mean(dim=1))
    return torch.cat(parts, dim=1)


for _plain, _watched in WATCHED.items():
    register(_watched, partial(_attend, backend=_plain), like=_plain)

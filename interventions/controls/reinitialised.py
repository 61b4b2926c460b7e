"""The same architecture with weights that were never trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from interventions.calls import block
from interventions.controls.restoring import restored
from interventions.errors import InterventionError

T = TypeVar("T", bound=PreTrainedModel)


def draw_anew(make: Callable[..., T], config: PreTrainedConfig, seed: int) -> T:
    """A model on the CPU in float32 whose weights are drawn as its class starts to train.

    Arguments:
        make: makes a model of a configuration and a type of numbers: `from_config` of an Auto class
            or `_from_config` of another.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.random.default_generator.manual_seed(seed)
        return make(deepcopy(config), dtype=torch.float32)


@block("with reinitialised_weights(model, seed=0)")
def reinitialised_weights(model: PreTrainedModel, *, seed: int) -> Iterator[None]:
    """Draw all weights of a model anew, its vision tower's too, as its class starts to train.

    Needs memory of the CPU for two models more: the drawn one in float32, and what is put back.
    Raises `InterventionError` where the model holds other tensors than its class makes.
    """
    make: Any = type(model)._from_config
    drawn = draw_anew(make, model.config, seed).state_dict()
    held = model.state_dict()
    _check_same(model, held, drawn)
    with restored(held.values()):
        for name, each in held.items():
            each.copy_(drawn[name])
        del drawn
        yield


def check_reinitialisable(model: PreTrainedModel) -> None:
    """Raise what `reinitialised_weights` would raise, without drawing or holding a weight."""
    make: Any = type(model)._from_config
    with torch.device("meta"):
        made = make(deepcopy(model.config), dtype=torch.float32)
    _check_same(model, model.state_dict(), made.state_dict())


def _check_same(
    model: PreTrainedModel, held: Mapping[str, Tensor], drawn: Mapping[str, Tensor]
) -> None:
    strange = sorted(held.keys() ^ drawn.keys()) or [
        name for name in held if held[name].shape != drawn[name].shape or held[name].is_meta
    ]
    if strange:
        raise InterventionError(
            f"Expected {type(model).__name__} to hold the tensors that its class makes of its "
            f"configuration, on their device, but {strange[0]} differs (adapters, quantised and "
            "off-loaded weights cannot be drawn anew)."
        )

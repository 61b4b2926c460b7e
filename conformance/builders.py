"""A tiny, randomly initialised model of any family, from its configuration class alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from conformance.sizes import FAMILIES, TEXT, TOWER

TOKEN = re.compile(r"(?<!_layer)_(id|index)$")
TOWERS = re.compile(r"vision|vq|audio|sam|qformer|perceiver|protein|encoder")


def families() -> tuple[str, ...]:
    """Every model type that transformers maps to an image-text-to-text model, in its order."""
    return tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def build(family: str, seed: int = 0) -> PreTrainedModel:
    """A float32 model in evaluation mode, the same bit for bit at every call."""
    defaults = CONFIG_MAPPING[family]()
    small = merged(shrunken(defaults.to_dict(), {}, tower=False), FAMILIES.get(family, {}))
    config = type(defaults).from_dict(small)
    architecture = getattr(transformers, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[family])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = architecture(config).to(torch.float32).eval()
        draw(model)
    return model


def shrunken(
    config: Mapping[str, Any],
    tokens: dict[str, int],
    tower: bool,
    small_sizes: tuple[Mapping[str, Any], Mapping[str, Any]] = (TEXT, TOWER),
) -> dict[str, Any]:
    """A configuration with every size made small, and its parts likewise.

    Arguments:
        tokens: collects one small id for every name of a special token.
        small_sizes: of text decoders, and of everything else.
    """
    sizes = small_sizes[tower]
    layers = config.get("num_hidden_layers")
    small: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and "model_type" in value:
            below = tower or bool(TOWERS.search(key))
            small[key] = shrunken(value, tokens, below, small_sizes)
        elif isinstance(value, int) and TOKEN.search(key) and not isinstance(value, bool):
            small[key] = tokens.setdefault(re.sub("_(id|index)$", "", key), 3 + len(tokens))
        elif key in sizes and value is not None:
            small[key] = fitting(sizes[key], value)
        elif isinstance(value, list) and layers and len(value) == layers:
            small[key] = shortened(value, sizes["num_hidden_layers"])
        else:
            small[key] = value
    if layers and config.get("per_layer_config"):
        small["per_layer_config"] = layered(config, small, sizes)
    return balanced(small, config)


def fitting(size: Any, value: Any) -> Any:
    """The small size in the form of the large one: (height, width) where that is a pair.

    Longer lists, one entry per stage of a tower, stay as they are.
    """
    if isinstance(size, list) or not isinstance(value, (list, tuple)):
        return size
    return [size, size] if len(value) == 2 else value


def layered(
    config: Mapping[str, Any], small: Mapping[str, Any], sizes: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    """What single layers override, for the first layers of the same kind, made small."""
    kinds = config.get("layer_types") or []
    overrides = {int(layer): value for layer, value in config["per_layer_config"].items()}
    of_kind = {kinds[layer]: value for layer, value in overrides.items() if kinds}
    made_small = {
        kind: balanced({key: sizes.get(key, value) for key, value in fields.items()}, fields)
        for kind, fields in of_kind.items()
    }
    return {
        layer: made_small[kind]
        for layer, kind in enumerate(small.get("layer_types") or [])
        if kind in made_small
    }


def balanced(small: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """With fields that depend on one another made to fit."""
    heads = config.get("num_attention_heads")
    if heads is not None and config.get("num_key_value_heads") == heads:
        small["num_key_value_heads"] = small["num_attention_heads"]
    rope = small.get("rope_parameters")
    if isinstance(rope, dict) and "mrope_section" in rope:
        width = small.get("head_dim") or small["hidden_size"] // small["num_attention_heads"]
        turned = int(width * rope.get("partial_rotary_factor", 1.0)) // 2
        parts = len(rope["mrope_section"])
        sections = [turned // parts + (part < turned % parts) for part in range(parts)]
        small["rope_parameters"] = {**rope, "mrope_section": sections}
    return small


def shortened(values: list[Any], length: int) -> list[Any]:
    """A list with one entry per layer for fewer layers, every kind of entry still present."""
    if not all(isinstance(value, str) for value in values):
        return values[:length]
    kinds = list(dict.fromkeys(values))
    return (kinds * length)[:length]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, nested mappings merged likewise."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result


@torch.no_grad()
def draw(model: PreTrainedModel) -> None:
    """Weights that keep the size of what passes through, so that attention is far from uniform."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0.0, 1.5 / parameter[0].numel() ** 0.5)

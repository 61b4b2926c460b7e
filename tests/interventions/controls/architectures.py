"""Tiny models of real architectures for tests of controls, and what their attention is handed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel

from conformance.builders import build, draw
from conformance.checks import Subject
from conformance.native import wrapped
from conformance.observing import running_on
from tests.random_models import IDS, IMAGE, PATCH, VOCABULARY

Call = dict[str, Tensor]


def subject(family: str) -> Subject:
    """A model with inputs that fit it: of a family, or Llava with another text decoder."""
    if family != "phi3":
        return Subject(family, build(family))
    text = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
    text |= {"num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": VOCABULARY}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    tower = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 2, "image_size": IMAGE, "patch_size": PATCH}
    config = LlavaConfig(
        text_config={"model_type": family, **text},
        vision_config={"model_type": "clip_vision_model", **tower},
        image_token_index=IDS["<image>"],
        vision_feature_layer=-2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(config).to(torch.float32).eval()
        draw(model)
    return Subject("llava", model)


@contextmanager
def attention_calls(model: PreTrainedModel) -> Iterator[dict[int, Call]]:
    """What the model's own eager attention is called with, by module: the last call of each."""
    seen: dict[int, Call] = {}

    def around(original: Any, module: nn.Module, *args: Any, **rest: Any) -> Any:
        named = dict(zip(("query", "key", "value", "mask"), args, strict=False))
        seen[id(module)] = {name: each.clone() for name, each in named.items() if each is not None}
        return original(module, *args, **rest)

    with running_on(model, "eager"), wrapped(model, around):
        yield seen

"""What the tests of generation share: generate with logits, and the same read at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from interventions import AttentionLog
from tests.random_models import random_model, single_row

Inputs = dict[str, Tensor]
LENGTHS, UIDS, IMAGES = (9, 6), ("first", "second"), (1, 1)
STEPS = 6


@cache
def twin(family: str, seed: int = 0) -> PreTrainedModel:
    return random_model(family, seed)


def close(first: Tensor, second: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(first, second, atol=tolerance, rtol=tolerance)


def generate(model: PreTrainedModel, inputs: Inputs, **settings: Any) -> Any:
    defaults = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
    return model.generate(
        **inputs, **{**defaults, **settings}, output_logits=True, return_dict_in_generate=True
    )


def in_one_forward(
    model: PreTrainedModel, log: AttentionLog, inputs: Inputs, row: int, answer: Tensor
) -> Tensor:
    """Logits (token, vocabulary) of an answer's tokens, from its whole sequence read at once."""
    whole = single_row(inputs, row, IMAGES)
    length, answer = whole["input_ids"].shape[1], answer[None]
    whole["input_ids"] = torch.cat([whole["input_ids"], answer], dim=1)
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    if "mm_token_type_ids" in whole:
        types = torch.zeros_like(answer, dtype=torch.int)
        whole["mm_token_type_ids"] = torch.cat([whole["mm_token_type_ids"], types], dim=1)
    log.expect((UIDS[row],), (length,))
    return model(**whole).logits[0, length - 1 : -1]


def chosen_logits(output: Any, row: int) -> Tensor:
    """Logits (token, vocabulary) from which the tokens of a returned sequence were chosen."""
    steps = torch.stack(output.logits)
    if getattr(output, "beam_indices", None) is None:
        return steps[:, row]
    came_from = output.beam_indices[row, : len(steps)]
    return steps[torch.arange(len(steps)), came_from]


class Looking:
    """A logits processor that calls the model itself, as contrastive decoding of images does."""

    def __init__(self, model: PreTrainedModel, inputs: Inputs, call: Callable[..., Any]) -> None:
        self.model, self.inputs, self.call, self.seen = model, inputs, call, []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.seen.append(self.call(self.model, input_ids, self.inputs))
        return scores

"""From hidden states to log-probabilities, always in float32.

A bfloat16 logit near 18 is rounded to a multiple of 0.125, which ties and reorders answers. Hidden
states and the unembedding are therefore cast to float32 first, a slice of the vocabulary at a time,
so that no float32 copy of the whole matrix is ever kept.

Axes: N rows (any token positions), H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import product

import torch
from accelerate.utils import align_module_device, has_offloaded_params
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

SLICE = 32768  # vocabulary entries per step: 0.5 GB of float32 at hidden size 3584
DIVISORS = ("logits_scaling",)  # what text configurations call numbers that logits are divided by,
FACTORS = ("output_multiplier", "logit_scale")  # or multiplied by,
CAPS = ("final_logit_softcapping",)  # or kept below: cap * tanh(logit / cap)


class Unembedding:
    """The unembedding of a model, and what its forward does to logits behind it.

    A configuration may name a scale that the model's forward does not use, so `fit` asks it.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.module = model.get_output_embeddings()
        text = model.config.get_text_config()
        self._scales = [
            1.0,
            *(1 / value for value in _numbers(text, DIVISORS)),
            *_numbers(text, FACTORS),
        ]
        self._caps = [None, *_numbers(text, CAPS)]
        self._scale, self._cap = self._scales[0], self._caps[0]

    def fit(
        self, hidden: Float[Tensor, "row hidden"], own: Float[Tensor, "row vocabulary"]
    ) -> float:
        """Take the scale and the cap under which logits are nearest to the model's own.

        Returns the largest difference that is left.
        """
        apart = {}
        for scale, cap in product(self._scales, self._caps):
            self._scale, self._cap = scale, cap
            ours = self.logits(hidden).to(own.device)
            apart[scale, cap] = (own.float() - ours).abs().max().item()
        self._scale, self._cap = min(apart, key=lambda each: apart[each])
        return apart[self._scale, self._cap]

    def logits(self, hidden: Float[Tensor, "row hidden"]) -> Float[Tensor, "row vocabulary"]:
        """Next-token logits of every row."""
        return torch.cat([logits for _, logits in self._slices(hidden)], dim=-1)

    def log_probabilities(
        self, hidden: Float[Tensor, "row hidden"], tokens: Int[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """Natural-log probability of one next token per row: logit minus logsumexp of them all."""
        hidden = hidden.to(self._device(hidden))
        tokens = tokens.to(hidden.device)
        normalisers, chosen = [], hidden.new_zeros(tokens.shape, dtype=torch.float32)
        for first, logits in self._slices(hidden):
            index = tokens - first
            here = (index >= 0) & (index < logits.shape[-1])
            picked = logits.gather(-1, index.clamp(0, logits.shape[-1] - 1)[:, None])[:, 0]
            chosen = torch.where(here, picked, chosen)
            normalisers.append(logits.logsumexp(dim=-1))
        return chosen - torch.stack(normalisers).logsumexp(dim=0)

    def _slices(
        self, hidden: Float[Tensor, "row hidden"]
    ) -> Iterator[tuple[int, Float[Tensor, "row slice"]]]:
        """First token id and logits of each slice of the vocabulary; loads off-loaded weights."""
        device = self._device(hidden)
        with align_module_device(self.module, device) if self._is_away else nullcontext():
            rows, weight, bias = hidden.to(device).float(), self.module.weight, self.module.bias
            for first in range(0, weight.shape[0], SLICE):
                logits = rows @ weight[first : first + SLICE].float().T
                if bias is not None:
                    logits = logits + bias[first : first + SLICE].float()
                yield first, self._finished(logits)

    @property
    def _is_away(self) -> bool:
        return has_offloaded_params(self.module)

    def _device(self, hidden: Tensor) -> torch.device:
        """Where logits are computed: rows are moved to the matrix, unless that is off-loaded."""
        return hidden.device if self._is_away else self.module.weight.device

    def _finished(self, logits: Float[Tensor, "row slice"]) -> Float[Tensor, "row slice"]:
        logits = logits if self._scale == 1.0 else logits * self._scale
        return logits if self._cap is None else (logits / self._cap).tanh() * self._cap


def _numbers(config: PreTrainedConfig, names: Sequence[str]) -> list[float]:
    values = (getattr(config, name, None) for name in names)
    return [float(value) for value in values if value]

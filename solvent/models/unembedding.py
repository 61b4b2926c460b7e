"""From hidden states to log-probabilities, always in float32.

A bfloat16 logit near 18 is rounded to a multiple of 0.125, which ties and reorders answers. Hidden
states and the unembedding are therefore cast to float32 first, a slice of the vocabulary at a time,
so that no float32 copy of the whole matrix is ever kept.

Axes: N rows (any token positions), H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float, Int
from torch import Tensor, nn

SLICE = 32768  # vocabulary entries per step: 0.5 GB of float32 at hidden size 3584


def float32_logits(
    unembedding: nn.Linear, hidden: Float[Tensor, "row hidden"]
) -> Float[Tensor, "row vocabulary"]:
    """Next-token logits of every row."""
    return torch.cat([logits for _, logits in _slices(unembedding, hidden)], dim=-1)


def log_probabilities(
    unembedding: nn.Linear, hidden: Float[Tensor, "row hidden"], tokens: Int[Tensor, " row"]
) -> Float[Tensor, " row"]:
    """Natural-log probability of one next token per row: logit minus logsumexp of all logits."""
    normalisers, chosen = [], hidden.new_zeros(tokens.shape, dtype=torch.float32)
    for first, logits in _slices(unembedding, hidden):
        index = tokens - first
        here = (index >= 0) & (index < logits.shape[-1])
        picked = logits.gather(-1, index.clamp(0, logits.shape[-1] - 1)[:, None])[:, 0]
        chosen = torch.where(here, picked, chosen)
        normalisers.append(logits.logsumexp(dim=-1))
    return chosen - torch.stack(normalisers).logsumexp(dim=0)


def _slices(
    unembedding: nn.Linear, hidden: Float[Tensor, "row hidden"]
) -> Iterator[tuple[int, Float[Tensor, "row slice"]]]:
    """First token id and logits of each slice of the vocabulary; loads off-loaded weights."""
    with align_module_device(unembedding, hidden.device):
        rows = hidden.float()
        for first in range(0, unembedding.weight.shape[0], SLICE):
            logits = rows @ unembedding.weight[first : first + SLICE].float().T
            if unembedding.bias is not None:
                logits = logits + unembedding.bias[first : first + SLICE].float()
            yield first, logits

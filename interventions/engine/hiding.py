"""Keys hidden from rows before anything else happens, as an attention mask hides them.

Axes: B batch, Q queries (rows) of this call, K keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.execution import Sums, no_sums
from interventions.engine.sequences import Sequences
from interventions.methods.intervention import Intervention
from interventions.methods.selectors import select_rows, select_tokens


def hidden_keys(
    sequences: Sequences, cut: Intervention, known: tuple[Any, ...], shape: Sequence[int]
) -> Bool[Tensor, "batch 1 query key"]:
    """The keys of a knockout, for its rows among the last ones; `known` are ids of media tokens."""
    count, keys = shape
    roles, positions = sequences.roles(*known), sequences.positions()
    rows = select_rows(roles, positions, cut.rows, cut.phase)[:, -count:]
    chosen = select_tokens(roles, positions, cut.keys)[:, -keys:]
    return (rows[:, :, None] & chosen[:, None, :])[:, None]


def hidden_sums(
    sequences: Sequences, hidden: Bool[Tensor, "batch 1 query key"], heads: int
) -> Sums:
    """What the cut adds to the log: entries, in prompt and generated rows, and nothing measured."""
    entries = heads * hidden[:, 0].sum(dim=-1)
    positions = sequences.positions()[:, -hidden.shape[2] :].to(entries.device)
    generated = positions >= sequences.prompt_lengths.to(entries.device)[:, None]
    plain = no_sums(len(entries), entries.device)
    both = torch.stack([(entries * ~generated).sum(dim=1), (entries * generated).sum(dim=1)])
    return Sums(means=plain.means, entries=both, broken=plain.broken)


def as_mask(
    allowed: Bool[Tensor, "batch 1 query key"], dtype: torch.dtype, backend: str
) -> Bool[Tensor, "batch 1 query key"] | Float[Tensor, "batch 1 query key"]:
    """The mask that a backend takes: boolean, or added to the scores."""
    if backend == "sdpa":
        return allowed
    lowest = torch.finfo(dtype).min
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
        ~allowed, lowest
    )

"""Views made by hand, for tests of one part of the algebra at a time.

Scores are put in the place of queries and keys: with one-hot keys of width K and scaling 1, the
score of key j is the j-th entry of the query.
"""

from __future__ import annotations

import torch

from interventions.engine.noise import hash_text
from interventions.engine.view import Call, Rows, View
from interventions.methods.probes import Probe
from interventions.methods.selectors import ROLES


def view_of(
    scores: torch.Tensor,
    allowed: torch.Tensor,
    block: torch.Tensor,
    roles: list[str] | None = None,
    *,
    layer: int = 0,
    seed: int = 0,
    scope: str = "entry",
    samples: list[int] | None = None,
    rows: torch.Tensor | None = None,
    prompt_length: int | None = None,
    probe: Probe | None = None,
    value: torch.Tensor | None = None,
    memory: dict[str, torch.Tensor] | None = None,
) -> View:
    """A view of (B, H, R, K) scores; `allowed` (B, 1, R, K), `block` (K,), one role per key."""
    batch, _, count, keys = scores.shape
    position = torch.arange(count).expand(batch, count) if rows is None else rows
    codes = [ROLES.index(name) for name in roles or ["image"] * keys]
    sample = [hash_text(str(row)) for row in range(batch)] if samples is None else samples
    key = torch.eye(keys)[None, None].expand(batch, 1, keys, keys)
    everything = torch.ones(batch, count, dtype=torch.bool)
    return View(
        call=Call(
            layer=layer,
            query=scores,
            key=key,
            value=key if value is None else value,
            allowed=allowed.expand(batch, 1, count, keys),
            scaling=1.0,
            softcap=None,
        ),
        rows=Rows(
            index=torch.arange(count),
            span=slice(0, count),
            edited=everything,
            measured=everything,
            position=position,
            edits=True,
            key_position=torch.arange(keys).expand(batch, keys),
            key_role=torch.tensor(codes).expand(batch, keys),
            chosen_key=block.expand(batch, keys),
            prompt_lengths=torch.tensor([keys if prompt_length is None else prompt_length] * batch),
            image_counts=torch.tensor([codes.count(ROLES.index("image"))] * batch),
            layers=layer + 1,
            sample=torch.tensor(sample),
            prior=None,
            memory=memory or {},
            uids=tuple(map(str, range(batch))),
            seed=seed,
            scope=scope,
        ),
        probe=probe,
    )

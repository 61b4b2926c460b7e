"""Which layers, heads, rows, keys and phase an intervention touches.

Every real token has one role, so role sets never overlap:

    system     before the first image token
    image      an image token
    question   after the first image token, in the prompt (without an image: the whole prompt)
    last       the last prompt token, whose row gives the first answer token
    generated  after the prompt

Axes: B batch, T tokens (columns of the padded batch), Q queries (rows).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

ROLES = ("padding", "system", "image", "question", "last", "generated")
PHASES = ("prefill", "decode", "both")
THIRDS = ("early", "middle", "late")
ROLES_AFTER_IMAGE = ("question", "last", "generated")


def token_roles(
    ids: Int[Tensor, "batch token"],
    real: Bool[Tensor, "batch token"],
    prompt_lengths: Int[Tensor, " batch"],
    image_token_id: int,
) -> Int[Tensor, "batch token"]:
    """Index into `ROLES` for every column; `prompt_lengths` counts real tokens."""
    position = token_positions(real)
    prompt = position < prompt_lengths[:, None]
    image = (ids == image_token_id) & real & prompt
    seen = image.cumsum(dim=1) > 0
    role = torch.where(seen | ~image.any(dim=1, keepdim=True), _role("question"), _role("system"))
    role = torch.where(position == prompt_lengths[:, None] - 1, _role("last"), role)
    role = torch.where(image, _role("image"), role)
    role = torch.where(prompt, role, _role("generated"))
    return torch.where(real, role, _role("padding"))


def token_positions(real: Bool[Tensor, "batch token"]) -> Int[Tensor, "batch token"]:
    """Position of every column in the unpadded sequence; 0 for padding before the first token."""
    return (real.cumsum(dim=1) - 1).clamp_min(0)


def has_role(
    roles: Int[Tensor, "batch token"], names: Sequence[str]
) -> Bool[Tensor, "batch token"]:
    """Columns whose role is one of `names`."""
    wanted = torch.tensor([_role(name) for name in names], device=roles.device)
    return torch.isin(roles, wanted)


def select_rows(
    roles: Int[Tensor, "batch query"], names: Sequence[str], phase: str
) -> Bool[Tensor, "batch query"]:
    """Rows by role and phase: prefill means prompt rows, decode means generated rows."""
    selected = has_role(roles, names)
    if phase == "both":
        return selected
    generated = has_role(roles, ("generated",))
    return selected & (generated if phase == "decode" else ~generated)


def select_layers(wanted: str | Sequence[int], count: int) -> tuple[int, ...]:
    """Layer indices from `all`, `early`, `middle`, `late` (thirds), "2-5" (inclusive) or a list."""
    if isinstance(wanted, str):
        if wanted == "all":
            return tuple(range(count))
        if wanted in THIRDS:
            third = THIRDS.index(wanted)
            return tuple(range(third * count // 3, (third + 1) * count // 3))
        first, last = (int(end) for end in wanted.split("-"))
        wanted = range(first, last + 1)
    return _checked(wanted, count, "layers")


def select_heads(wanted: str | Sequence[int], count: int) -> tuple[int, ...]:
    """Head indices from `all` or a list."""
    return tuple(range(count)) if isinstance(wanted, str) else _checked(wanted, count, "heads")


def check_choice(value: str, choices: Sequence[str], field: str) -> None:
    """Raise `ValueError` naming the nearest choice when `value` is none of them."""
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"{field} must be one of {', '.join(choices)}, got {value!r}{hint}")


def check_layers(wanted: str | Sequence[int]) -> None:
    """Raise `ValueError` when the words of a layer selection cannot be read."""
    if isinstance(wanted, str) and not re.fullmatch(r"\d+-\d+", wanted):
        check_choice(wanted, ("all", *THIRDS), 'layers, if not a list or a range like "2-5",')


def _checked(wanted: Sequence[int], count: int, what: str) -> tuple[int, ...]:
    """Sorted unique indices, or one sentence saying how many there are."""
    outside = [index for index in wanted if not 0 <= index < count]
    if outside or not wanted:
        got = f"got {outside}" if outside else "got none"
        raise ValueError(
            f"The model has {count} {what}, so {what} must be chosen from 0 to {count - 1}, {got}."
        )
    return tuple(sorted(set(wanted)))


def _role(name: str) -> int:
    return ROLES.index(name)

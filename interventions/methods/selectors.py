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

import re
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interventions.methods.parts import closest

ROLES = ("padding", "system", "image", "question", "last", "generated")
PHASES = ("prefill", "decode", "both")
THIRDS = ("early", "middle", "late")
LAYER_RANGE = re.compile(r"(\d+)-(\d*)(?:/(\d+))?")
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
    wanted = torch.tensor([_role(name) for name in names], dtype=roles.dtype, device=roles.device)
    return torch.isin(roles, wanted)


def several(wanted: int | Sequence[str | int]) -> Sequence[str | int]:
    """Roles or positions; one position may be given alone."""
    return (wanted,) if isinstance(wanted, int) else wanted


def select_tokens(
    roles: Int[Tensor, "batch token"],
    positions: Int[Tensor, "batch token"],
    wanted: int | Sequence[str | int],
) -> Bool[Tensor, "batch token"]:
    """Tokens by role or by position in the unpadded sequence."""
    selected = has_role(roles, [name for name in several(wanted) if isinstance(name, str)])
    places = [place for place in several(wanted) if not isinstance(place, str)]
    if places:
        real = ~has_role(roles, ("padding",))
        selected |= real & torch.isin(positions, torch.tensor(places, device=roles.device))
    return selected


def select_rows(
    roles: Int[Tensor, "batch query"],
    positions: Int[Tensor, "batch query"],
    wanted: int | Sequence[str | int],
    phase: str,
) -> Bool[Tensor, "batch query"]:
    """Rows by role or position, and phase: prefill means prompt rows, decode generated rows."""
    selected = select_tokens(roles, positions, wanted)
    if phase == "both":
        return selected
    generated = has_role(roles, ("generated",))
    return selected & (generated if phase == "decode" else ~generated)


def select_layers(wanted: str | int | Sequence[int], count: int) -> tuple[int, ...]:
    """Layer indices from words, a range or a list.

    `all`; `early`, `middle`, `late` (thirds); "2-5" (inclusive), "2-" (to the last layer);
    "9-14/32": layers 9 to 14 of a model of 32, at the same relative depth in this one.
    """
    if not isinstance(wanted, str):
        return _checked(wanted, count, "layers")
    if wanted == "all":
        return tuple(range(count))
    if wanted in THIRDS:
        third = THIRDS.index(wanted)
        return tuple(range(third * count // 3, (third + 1) * count // 3))
    written = LAYER_RANGE.fullmatch(wanted)
    if written is None:
        raise ValueError(f'Expected layers such as "middle", "2-5" or [0, 3], got {wanted!r}.')
    first, last, depth = written.groups()
    if depth is None:
        stop = int(last) + 1 if last else max(count, int(first) + 1)
        return _checked(range(int(first), stop), count, "layers")
    start, stop = int(first), int(last) + 1 if last else int(depth)
    if not start < stop <= int(depth):
        raise ValueError(f"layers {wanted!r} go beyond a model of {depth} layers.")
    return tuple(range(start * count // int(depth), -(-stop * count // int(depth))))


def select_heads(wanted: str | int | Sequence[int], count: int) -> tuple[int, ...]:
    """Head indices from `all` or a list."""
    return tuple(range(count)) if isinstance(wanted, str) else _checked(wanted, count, "heads")


def check_choice(value: str, choices: Sequence[str], field: str) -> None:
    """Raise `ValueError` naming the nearest choice when `value` is none of them."""
    if value not in choices:
        near = closest(str(value), choices)
        hint = f"; did you mean {near!r}?" if near else "."
        raise ValueError(f"{field} must be one of {', '.join(choices)}, got {value!r}{hint}")


def check_tokens(wanted: int | Sequence[str | int], field: str) -> None:
    """Raise `ValueError` unless these are roles or positions from 0 on."""
    if not several(wanted):
        raise ValueError(f"{field} must be a list of roles such as [last], got {wanted!r}.")
    for item in several(wanted):
        if isinstance(item, str):
            check_choice(item, ROLES[1:], field)
        elif item < 0:
            raise ValueError(
                f"{field} may name positions from 0 on (counted without padding), got {item}."
            )


def check_layers(wanted: str | int | Sequence[int]) -> None:
    """Raise `ValueError` when the words of a layer selection cannot be read."""
    if isinstance(wanted, str) and not LAYER_RANGE.fullmatch(wanted):
        check_choice(wanted, ("all", *THIRDS), 'layers, if not a list or a range like "2-5",')


def _checked(wanted: int | Sequence[int], count: int, what: str) -> tuple[int, ...]:
    """Sorted unique indices, or one sentence saying how many there are."""
    wanted = (wanted,) if isinstance(wanted, int) else wanted
    outside = [index for index in wanted if not 0 <= index < count]
    if outside or not wanted:
        got = f"got {outside}" if outside else "got none"
        raise ValueError(
            f"The model has {count} {what}, so {what} must be chosen from 0 to {count - 1}, {got}."
        )
    return tuple(sorted(set(wanted)))


def _role(name: str) -> int:
    return ROLES.index(name)

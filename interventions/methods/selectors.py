"""Which layers, heads, rows, keys and phase an intervention touches.

Every real token has one role, so role sets never overlap:

    system     before the first image, video or audio token
    image      an image token
    question   after the first of these, in the prompt (without any: the whole prompt)
    last       the last prompt token, whose row gives the first answer token
    generated  after the prompt
    video      a token that stands for part of a video
    audio      a token that stands for part of a sound
    preface    what would be system, but is text of the user's
    answer     text of an earlier turn of the assistant's

The last two need to be told who wrote what, by `log.expect(turns=...)`; what the chat template
wrote is system or question. Untold, all text before the image is system, all after it question.

Axes: B batch, T tokens (columns of the padded batch), Q queries (rows).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interventions.methods.parts import closest

ROLES = (
    "padding", "system", "image", "question", "last", "generated",
    "video", "audio", "preface", "answer",
)  # fmt: skip
PHASES = ("prefill", "decode", "both")
THIRDS = ("early", "middle", "late")
LAYER_RANGE = re.compile(r"(\d+)-(\d*)(?:/(\d+))?")
RANDOM_HEADS = re.compile(r"random:([1-9]\d{0,4}):(\d{1,9})")
TEXT_AFTER_IMAGE = ("question", "answer", "last", "generated")
WRITERS = {"user": "preface", "assistant": "answer"}  # who wrote a turn, and its role, if any
SPLIT = {"image": "video", "system": "preface", "question": "answer"}  # what a name leaves out

Span = tuple[str, int, int]  # who wrote some text (of WRITERS), its first token, the one after it


@dataclass(frozen=True, kw_only=True)
class OtherMedia:
    """Tokens in whose place features of something other than images stand; None: there are none."""

    video: int | None
    audio: int | None
    video_ends: tuple[int, int] | None  # round a video whose frames are made of image tokens


ONLY_IMAGES = OtherMedia(video=None, audio=None, video_ends=None)


def token_roles(
    ids: Int[Tensor, "batch token"],
    real: Bool[Tensor, "batch token"],
    prompt_lengths: Int[Tensor, " batch"],
    image_token_id: int,
    others: OtherMedia = ONLY_IMAGES,
    turns: Sequence[Sequence[Span]] | None = None,
) -> Int[Tensor, "batch token"]:
    """Index into `ROLES` for every column; `prompt_lengths` counts real tokens.

    `turns` says for every row who wrote which tokens, counted without padding.
    """
    position = token_positions(real)
    prompt = real & (position < prompt_lengths[:, None])
    media = {
        name: where & prompt for name, where in media_tokens(ids, image_token_id, others).items()
    }
    medium = torch.stack(list(media.values())).any(dim=0)
    seen = medium.cumsum(dim=1) > 0
    role = torch.where(seen | ~medium.any(dim=1, keepdim=True), _role("question"), _role("system"))
    if turns is not None:
        written = _written(turns, position)
        early = written["user"] & (role == _role("system"))
        role = torch.where(early, _role("preface"), role)
        role = torch.where(written["assistant"], _role("answer"), role)
    role = torch.where(position == prompt_lengths[:, None] - 1, _role("last"), role)
    for name, where in media.items():
        role = torch.where(where, _role(name), role)
    role = torch.where(prompt, role, _role("generated"))
    return torch.where(real, role, _role("padding"))


def media_tokens(
    ids: Int[Tensor, "batch token"], image_token_id: int, others: OtherMedia = ONLY_IMAGES
) -> dict[str, Bool[Tensor, "batch token"]]:
    """Which tokens stand for part of an image, a video, a sound, by their ids alone."""
    image, nothing = ids == image_token_id, torch.zeros_like(ids, dtype=torch.bool)
    video = nothing if others.video is None else (ids == others.video) & ~image
    if others.video_ends is not None:
        first, last = others.video_ends
        inside = (ids == first).cumsum(dim=1) > (ids == last).cumsum(dim=1)
        image, video = image & ~inside, video | (image & inside)
    audio = nothing if others.audio is None else (ids == others.audio) & ~image & ~video
    return {"image": image, "video": video, "audio": audio}


def _written(
    turns: Sequence[Sequence[Span]], position: Int[Tensor, "batch token"]
) -> dict[str, Bool[Tensor, "batch token"]]:
    """Which tokens each of `WRITERS` wrote."""
    written = {who: torch.zeros_like(position, dtype=torch.bool) for who in WRITERS}
    for row, spans in enumerate(turns):
        for who, start, stop in spans:
            written[who][row] |= (position[row] >= start) & (position[row] < stop)
    return written


def token_positions(real: Bool[Tensor, "batch token"]) -> Int[Tensor, "batch token"]:
    """Position of every column in the unpadded sequence; 0 for padding before the first token."""
    return (real.cumsum(dim=1) - 1).clamp_min(0)


def has_role(
    roles: Int[Tensor, "batch token"], names: Sequence[str]
) -> Bool[Tensor, "batch token"]:
    """Columns whose role is one of `names`, or is meant by them."""
    found = [_role(name) for name in (*names, *meant(names))]
    wanted = torch.tensor(found, dtype=roles.dtype, device=roles.device)
    return torch.isin(roles, wanted)


def meant(names: Sequence[str | int]) -> tuple[str, ...]:
    """Roles that a list means without naming them.

    `system` with `question` is all text of the prompt, whoever wrote it; with `image` too it is all
    that a prompt holds.
    """
    if not {"system", "question"} <= set(names):
        return ()
    return ("preface", "answer", "video", "audio") if "image" in names else ("preface", "answer")


def left_out(names: Sequence[str | int], present: Sequence[str]) -> dict[str, str]:
    """Roles that one might think were meant, though they are not: by the name that suggests it.

    Arguments:
        present: roles that a prompt has.
    """
    covered = {*names, *meant(names)}
    pairs = SPLIT.items()
    return {near: far for near, far in pairs if near in names and far in {*present} - covered}


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


def random_heads(wanted: object) -> tuple[int, int] | None:
    """How many heads of every layer `random:N:SEED` draws, and its seed; None of anything else."""
    found = RANDOM_HEADS.fullmatch(wanted) if isinstance(wanted, str) else None
    return found and (int(found[1]), int(found[2]))


def check_heads(wanted: str) -> None:
    """Raise `ValueError` when the words of a selection of heads cannot be read."""
    if not random_heads(wanted):
        check_choice(wanted, ("all",), 'heads, if no list, rule or "random:2:0" (two, seed 0),')


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

"""Roles, and the words that choose layers, heads, rows and keys."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from interventions.methods.selectors import (
    ROLES,
    OtherMedia,
    has_role,
    left_out,
    media_tokens,
    select_heads,
    select_layers,
    select_rows,
    select_tokens,
    token_positions,
    token_roles,
)

IMAGE, VIDEO, AUDIO, START, END = 9, 8, 7, 6, 5
MEDIA = OtherMedia(video=VIDEO, audio=AUDIO, video_ends=(START, END))


def roles(ids: list[int], real: list[int], length: int, **known: Any) -> list[str]:
    result = token_roles(
        torch.tensor([ids]), torch.tensor([real]).bool(), torch.tensor([length]), IMAGE, **known
    )
    return [ROLES[role] for role in result[0].tolist()]


def test_roles_with_padding_on_both_sides_and_generated_tokens() -> None:
    ids = [0, 1, 9, 9, 2, 9, 3, 4, 9, 5, 0]
    real = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert roles(ids, real, 7) == [
        "padding", "system", "image", "image", "question", "image", "question", "last",
        "generated", "generated", "padding",
    ]  # fmt: skip


def test_a_prompt_without_an_image_is_all_question() -> None:
    assert roles([1, 2, 3, 4], [1, 1, 1, 1], 3) == ["question", "question", "last", "generated"]


def test_an_image_token_of_padding_is_padding() -> None:
    assert roles([9, 9, 1], [0, 1, 1], 2) == ["padding", "image", "last"]


def test_videos_and_sounds_are_no_text() -> None:
    ids, everything = [1, 8, 8, 2, 7, 3, 9, 1, 8, 4], [1] * 10
    assert roles(ids, everything, 8, others=MEDIA) == [
        "system", "video", "video", "question", "audio", "question", "image", "last", "generated",
        "generated",
    ]  # fmt: skip
    assert roles([0, 8, 8, 1, 2, 0], [0, 1, 1, 1, 1, 0], 4, others=MEDIA) == [
        "padding", "video", "video", "question", "last", "padding",
    ]  # fmt: skip


def test_frames_between_the_ends_of_a_video_are_no_images() -> None:
    ids = [1, 9, 6, 9, 9, 2, 9, 5, 9, 3]
    assert roles(ids, [1] * 10, 10, others=MEDIA) == [
        "system", "image", "question", "video", "video", "question", "video", "question", "image",
        "last",
    ]  # fmt: skip
    found = media_tokens(torch.tensor([ids]), IMAGE, MEDIA)
    assert found["image"][0].nonzero()[:, 0].tolist() == [1, 8]
    assert found["video"][0].nonzero()[:, 0].tolist() == [3, 4, 6]


def test_who_wrote_what_is_told_apart_between_padding() -> None:
    ids, real = [0, 1, 2, 2, 9, 3, 3, 4, 4, 5, 1, 0], [0] + [1] * 10 + [0]
    turns = [[("user", 1, 3), ("user", 4, 6), ("assistant", 6, 8), ("assistant", 9, 10)]]
    assert roles(ids, real, 10, turns=turns) == [
        "padding", "system", "preface", "preface", "image", "question", "question", "answer",
        "answer", "question", "last", "padding",
    ]  # fmt: skip
    assert roles([1, 2, 3, 4], [1] * 4, 4, turns=[[("user", 0, 2), ("assistant", 2, 3)]]) == [
        "question", "question", "answer", "last",
    ]  # fmt: skip


def test_all_text_and_everything_can_be_said_without_new_names() -> None:
    codes = torch.arange(len(ROLES))[None]

    def chosen(*names: str) -> set[str]:
        return {ROLES[place] for place in has_role(codes, names)[0].nonzero()[:, 0].tolist()}

    assert chosen("system") == {"system"}
    assert chosen("question", "image") == {"question", "image"}
    assert chosen("system", "question") == {"system", "question", "preface", "answer"}
    assert chosen("system", "image", "question", "last", "generated") == set(ROLES) - {"padding"}
    present = ("system", "image", "question", "video", "answer")
    assert left_out(("image", "last"), present) == {"image": "video"}
    assert left_out(("image", "video", "question"), present) == {"question": "answer"}
    assert left_out(("system", "question"), present) == {}
    assert left_out(("system", "image"), ("system", "image")) == {}


def test_positions_count_real_tokens_only() -> None:
    real = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    positions = token_positions(real)
    assert positions[0, 2:].tolist() == positions[1, :3].tolist() == [0, 1, 2]


def test_phase_is_a_property_of_rows() -> None:
    codes = torch.tensor([[ROLES.index(name) for name in ("question", "last", "generated")]])
    names, places = ("last", "generated"), torch.arange(3)[None]
    chosen = {
        phase: select_rows(codes, places, names, phase)[0].tolist() for phase in ("prefill", "both")
    }
    assert chosen == {"prefill": [False, True, False], "both": [False, True, True]}
    assert select_rows(codes, places, names, "decode")[0].tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("wanted", "count", "expected"),
    [
        ("all", 3, (0, 1, 2)),
        ("early", 7, (0, 1)),
        ("middle", 7, (2, 3)),
        ("late", 7, (4, 5, 6)),
        ("2-4", 7, (2, 3, 4)),
        ((5, 0, 5), 7, (0, 5)),
        ("2-", 5, (2, 3, 4)),
        ("9-14/32", 32, (9, 10, 11, 12, 13, 14)),
        ("9-14/32", 64, tuple(range(18, 30))),
        ("9-14/32", 3, (0, 1)),
        ("2-/32", 16, tuple(range(1, 16))),
    ],
)
def test_layers(wanted: str, count: int, expected: tuple[int, ...]) -> None:
    assert select_layers(wanted, count) == expected


@pytest.mark.parametrize("count", range(1, 40))
def test_thirds_partition_the_layers(count: int) -> None:
    thirds = [
        select_layers(name, count) if count > 2 else () for name in ("early", "middle", "late")
    ]
    if count > 2:
        assert sum(thirds, ()) == tuple(range(count))


@pytest.mark.parametrize("wanted", [(-1,), (7,), "5-9", (), "4-2", "7-"])
def test_layers_that_do_not_exist(wanted: str) -> None:
    with pytest.raises(ValueError, match="The model has 7 layers"):
        select_layers(wanted, 7)


def test_a_range_beyond_its_own_depth() -> None:
    with pytest.raises(ValueError, match="beyond a model of 32 layers"):
        select_layers("30-35/32", 24)


def test_tokens_by_role_and_position() -> None:
    codes = torch.tensor([[ROLES.index(name) for name in ("padding", "system", "image", "last")]])
    places = torch.tensor([[0, 0, 1, 2]])
    assert select_tokens(codes, places, ["last", 0])[0].tolist() == [False, True, False, True]


def test_heads() -> None:
    assert select_heads("all", 2) == (0, 1)
    with pytest.raises(ValueError, match="The model has 4 heads"):
        select_heads((4,), 4)

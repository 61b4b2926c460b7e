"""Roles, and the words that choose layers, heads, rows and keys."""

from __future__ import annotations

import pytest
import torch

from interventions.methods.selectors import (
    ROLES,
    select_heads,
    select_layers,
    select_rows,
    select_tokens,
    token_positions,
    token_roles,
)

IMAGE = 9


def roles(ids: list[int], real: list[int], length: int) -> list[str]:
    result = token_roles(
        torch.tensor([ids]), torch.tensor([real]).bool(), torch.tensor([length]), IMAGE
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

"""Averaging over rotations takes a preference for a letter away, by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

import pytest

from solvent.benchmarks.reducers import AllOf, Debiased
from solvent.core.types import Accepted, Prediction

Rows = list[Prediction]


@pytest.fixture
def rotations(predict: Callable[..., Prediction]) -> Callable[..., Rows]:
    """A question about cats with two rotations, from the chances of letters A and B in each."""

    def make(name: str, chances: Sequence[tuple[float, float]], offset: float = 0.0) -> Rows:
        orders = (("cat", "dog"), ("dog", "cat"))
        return [
            predict(
                f"{name}/{place}",
                float(pair.index(max(pair)) == order.index("cat")),
                groups={"circular": name},
                gold=order.index("cat"),
                options=order,
                scores=tuple(log(chance) + offset * place for chance in pair),
            )
            for place, (order, pair) in enumerate(zip(orders, chances, strict=True))
        ]

    return make


def test_a_preferred_letter_no_longer_decides(rotations: Callable[..., Rows]) -> None:
    rows = rotations("a", [(0.9, 0.1), (0.6, 0.4)])  # cat: (0.9 + 0.4) / 2 = 0.65
    assert AllOf(group="circular")(rows)["value"] == 0.0
    assert Debiased(group="circular")(rows)["value"] == 1.0


def test_every_rotation_weighs_the_same(rotations: Callable[..., Rows]) -> None:
    """Dog wins 0.55 to 0.45, however unlikely all candidates of the second rotation are."""
    for offset in (0.0, -9.0):
        rows = rotations("a", [(0.6, 0.4), (0.7, 0.3)], offset)
        assert Debiased(group="circular")(rows)["value"] == 0.0


def test_ties_failures_and_free_answers(
    rotations: Callable[..., Rows], predict: Callable[..., Prediction]
) -> None:
    tie = rotations("a", [(0.75, 0.25), (0.75, 0.25)])
    right = rotations("b", [(0.9, 0.1), (0.1, 0.9)])
    free = predict("c", 0.3, groups={"circular": "c"}, gold=Accepted(answers=("red",)), options=())
    failed = [right[0], predict("b/1", status="error", groups={"circular": "b"}, gold=1)]
    debiased = Debiased(group="circular")
    assert debiased([*tie, *right, free])["value"] == pytest.approx((0 + 1 + 0.3) / 3)
    assert debiased(failed)["value"] == 0.0


def test_generated_answers_cannot_be_debiased(predict: Callable[..., Prediction]) -> None:
    rows = [predict("a", 1.0, groups={"circular": "a"}, options=("cat", "dog"))]
    with pytest.raises(ValueError, match=r"set answer\.mode to rank"):
        Debiased(group="circular")(rows)

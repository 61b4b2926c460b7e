"""Options in other orders: the right answer moves with its text, and groups stay whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from solvent.benchmarks.clusters import subsample
from solvent.benchmarks.rotations import rotated, shuffled
from solvent.core.types import Accepted, Sample

Make = Callable[..., Sample]


def test_rotations_are_all_cyclic_shifts(sample: Make) -> None:
    question = sample("t/1", options=("a", "b", "c"), gold=1, groups={"pair": "0"})
    found = rotated([question])
    assert [(row.uid, row.options, row.gold) for row in found] == [
        ("t/1", ("a", "b", "c"), 1),
        ("t/1/rotation1", ("b", "c", "a"), 0),
        ("t/1/rotation2", ("c", "a", "b"), 2),
    ]
    assert {row.options[row.gold] for row in found} == {"b"}
    assert all(row.groups == {"pair": "0", "circular": "t/1"} for row in found)
    with pytest.raises(ValueError, match=r"already belongs .* set benchmark\.circular=false"):
        rotated(found)


def test_a_free_question_is_asked_once(sample: Make) -> None:
    free = sample("t/1", options=(), gold=Accepted(answers=("3",)))
    (row,) = rotated([free])
    assert (row.uid, row.gold, row.groups) == ("t/1", free.gold, {"circular": "t/1"})
    assert shuffled([free], seed=0) == (free,)


def test_a_shuffle_depends_on_seed_and_uid_alone(sample: Make) -> None:
    questions = [sample(f"t/{n}", options=("a", "b", "c"), gold=n % 3) for n in range(600)]
    found = shuffled(questions, seed=0)
    assert found[::-1] == shuffled(questions[::-1], seed=0)
    assert found != shuffled(questions, seed=1)
    for old, new in zip(questions, found, strict=True):
        assert new.options[new.gold] == old.options[old.gold]
        assert (new.uid, new.groups) == (old.uid, old.groups)
    for order in permutations("abc"):  # 100 of 600 each, standard deviation 9.1
        assert abs(sum(row.options == order for row in found) - 100) < 40


def test_a_limit_keeps_whole_rotations(sample: Make) -> None:
    questions = [sample(f"t/{n}", options=("a", "b", "c"), gold=0) for n in range(20)]
    kept = subsample(rotated(questions), 10, seed=0, stratify=None)
    assert len(kept) == 9
    assert len({row.groups["circular"] for row in kept}) == 3

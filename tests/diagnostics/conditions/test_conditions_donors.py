"""Donors: other pictures, used evenly, of the right stratum, with the right answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.types import Accepted, Sample
from solvent.diagnostics.conditions import Swap
from tests.diagnostics.pixels import flat, pixels, question, random

SAMPLES = Shapes(law="balanced", kinds=["colour", "where"], questions=16, seed=0)()
BY_UID = {sample.uid: sample for sample in SAMPLES}


def swap(**changes: object) -> Swap:
    fields = {"name": "swap", "stratum": "kind", "seed": 0, "shift": 1, "gold": "any"}
    return Swap(**(fields | changes))


def donors(views: list[Sample]) -> list[str]:
    return [view.shown["donor"] for view in views]


def test_swap_is_a_derangement_within_its_stratum() -> None:
    views = swap().views(SAMPLES)
    for sample, view in zip(SAMPLES, views, strict=True):
        donor = BY_UID[view.shown["donor"]]
        assert donor.uid != sample.uid
        assert donor.tags["kind"] == sample.tags["kind"]
        assert (pixels(view) == pixels(donor)).all()
        assert replace(view, images=sample.images, shown={}) == sample
    assert sorted(donors(views)) == sorted(BY_UID)
    assert donors(swap(seed=1).views(SAMPLES)) != donors(views)


def test_shifts_give_every_sample_another_donor() -> None:
    chosen = [donors(swap(shift=shift).views(SAMPLES)) for shift in range(1, 5)]
    for each in chosen:
        assert sorted(each) == sorted(BY_UID)
    assert all(len(set(four)) == 4 for four in zip(*chosen, strict=True))
    following = dict(zip(BY_UID, chosen[0], strict=True))
    for first, second in pairwise(chosen):
        assert [following[uid] for uid in first] == second  # the same cycle


def test_a_cycle_is_as_long_as_its_pictures() -> None:
    three = [question(str(k), flat(str(k))) for k in range(3)]
    assert len(swap(shift=2).views(three)) == 3
    with pytest.raises(ValueError, match="at least 4 different pictures among samples that share"):
        swap(shift=3).views(three)
    with pytest.raises(ValueError, match="none of 3 questions has a picture"):
        swap().views([replace(sample, images=()) for sample in three])


def test_swap_never_pairs_questions_about_one_picture() -> None:
    shared = [replace(sample, images=SAMPLES[k // 4].images) for k, sample in enumerate(SAMPLES)]
    own = {sample.uid: sample.images[0].identity for sample in shared}
    views = swap(stratum=None).views(shared)
    chosen = [own[donor] for donor in donors(views)]
    assert all(theirs != own[view.uid] for theirs, view in zip(chosen, views, strict=True))
    assert set(Counter(chosen).values()) == {4}
    assert all(len(set(chosen[k : k + 4])) == 1 for k in range(0, len(chosen), 4))  # one recipient
    alone = [replace(sample, images=SAMPLES[0].images) for sample in SAMPLES]
    with pytest.raises(ValueError, match="at least 2 different pictures"):
        swap(stratum=None).views(alone)


def test_rotations_of_a_question_share_their_donor() -> None:
    rotated = [
        question(f"{k}/{r}", flat(str(k)), options=("a", "b")[:: 1 - 2 * r], gold=(k + r) % 2)
        for k in range(4)
        for r in range(2)
    ]
    for gold in ("any", "same", "different"):
        views = swap(gold=gold).views(rotated)
        assert len(views) == 8
        assert all(one == other for one, other in zip(*[iter(donors(views))] * 2, strict=True))


@pytest.mark.parametrize("gold", ["same", "different"])
def test_the_right_answer_of_the_donor(gold: str) -> None:
    """Eight colours twice each and two halves eight times: every picture can be used once."""
    views = swap(gold=gold).views(SAMPLES)
    colours = [view for view in views if view.tags["kind"] == "colour"]
    assert len(colours) == 16
    assert sorted(donors(colours)) == sorted(uid for uid in BY_UID if "colour" in uid)
    for view in views:
        donor = BY_UID[view.shown["donor"]]
        same = view.options[view.gold] == donor.options[donor.gold]
        assert same == (gold == "same")


def test_other_answers_are_used_as_evenly_as_they_can() -> None:
    """Six statements are true and two are false: each false picture serves three true ones."""
    samples = [question(str(k), flat(str(k)), gold=int(k >= 6)) for k in range(8)]
    views = swap(gold="different", stratum="text").views(samples)
    assert Counter(donors(views[:6])) == {"6": 3, "7": 3}
    assert set(donors(views[6:])) < set("012345")
    second = swap(gold="different", stratum="text", shift=2).views(samples)
    assert all(one != two for one, two in zip(donors(views), donors(second), strict=True))
    assert len(swap(gold="different", stratum="text", shift=3).views(samples)) == 2  # the false


@pytest.mark.parametrize(("stratum", "alike"), [("text", "what"), ("row", "row")])
def test_strata_of_wordings_and_groups(stratum: str, alike: str) -> None:
    samples = [
        question(f"{k}", flat(str(k)), text=f"what {k // 4}", groups={"row": f"row {k // 4}"})
        for k in range(8)
    ]
    views = swap(stratum=stratum).views(samples)
    assert all(int(view.uid) // 4 == int(view.shown["donor"]) // 4 for view in views)


def test_samples_without_a_donor_are_left_out() -> None:
    samples = [question(str(k), flat(str(k)), gold=int(k == 0)) for k in range(4)]
    assert [view.uid for view in swap(gold="same").views(samples)] == ["1", "2", "3"]
    unlike = [question(str(k), flat(str(k)), text=str(k)) for k in range(4)]
    assert swap(gold="different", stratum="text").views(unlike) == []
    assert swap(stratum=None).views([*samples, question("none")]) == swap().views(samples)


def test_donors_take_the_recipients_size() -> None:
    samples = [question("a", random("a", (8, 8))), question("b", random("b", (12, 4)))]
    first, second = swap().views(samples)
    assert pixels(first).shape == (8, 8, 3)
    assert pixels(second).shape == (4, 12, 3)


def test_donors_have_as_many_pictures_and_none_in_common() -> None:
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("e", "f")]
    samples = [question("".join(pair), *map(flat, pair)) for pair in pairs]
    samples += [question(name, flat(name)) for name in "xy"]
    views = swap(stratum=None).views(samples)
    assert len(views) == 6
    for view in views:
        assert len(view.shown["donor"]) == len(view.uid) == len(view.images)
        assert not set(view.shown["donor"]) & set(view.uid)


def test_free_answers_are_compared_in_words() -> None:
    golds = [Accepted(answers=(answer,)) for answer in ("two", "two", "three")]
    samples = [
        replace(question(str(k), flat(str(k)), options=()), gold=gold)
        for k, gold in enumerate(golds)
    ]
    assert donors(swap(gold="same").views(samples)) == ["1", "0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gold": "equal"}, "gold must be any, same or different, got 'equal'"),
        ({"shift": 0}, "shift must be at least 1, got 0"),
    ],
)
def test_bad_settings(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        swap(**changes)


def test_regions_come_with_the_donors_picture() -> None:
    views = swap().views(SAMPLES)
    by_text = defaultdict(tuple, {s.uid: s.images[0].regions for s in SAMPLES})
    assert all(view.images[0].regions == by_text[view.shown["donor"]] for view in views)

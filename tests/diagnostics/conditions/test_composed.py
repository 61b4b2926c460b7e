"""Conditions in turn, on a subset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from solvent.benchmarks.rotations import rotated
from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.types import Condition, Sample
from solvent.diagnostics.conditions import RepeatedImage
from solvent.diagnostics.conditions.composed import AtMost, Composed, compose
from solvent.diagnostics.growing.relative_budget import RelativeBudget
from tests.diagnostics.test_budget import budget

SAMPLES = Shapes(law="balanced", kinds=["colour", "where"], questions=12, seed=0)()
BY_UID = {sample.uid: sample for sample in SAMPLES}


@dataclass(frozen=True, kw_only=True)
class Says:
    """Puts words behind the question, and drops samples of a kind."""

    name: str
    words: str
    without: str | None = None
    intervention: Any = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        return [
            replace(sample, text=f"{sample.text} {self.words}", shown={self.name: self.words})
            for sample in samples
            if sample.tags["kind"] != self.without
        ]


@dataclass(frozen=True, kw_only=True)
class Blind:
    """No picture."""

    name: str = "text"
    intervention: Any = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        return [replace(sample, images=()) for sample in samples]


KNOWN: dict[str, Condition] = {
    "real": Says(name="real", words=""),
    "swap": Says(name="swap", words="one", without="where"),
    "knock": Says(name="knock", words="two", intervention="cut"),
    "text": Blind(),
    "repeated_image": RepeatedImage(name="repeated_image", times=2),
    "congruent": Says(name="congruent", words="three"),
}


def test_parts_act_in_turn_and_say_what_they_did() -> None:
    both = Composed(parts=(KNOWN["swap"], KNOWN["knock"]))
    assert (both.name, both.intervention) == ("swap+knock", "cut")
    views = both.views(SAMPLES)
    assert [view.uid for view in views] == [s.uid for s in SAMPLES if s.tags["kind"] == "colour"]
    assert all(view.text.endswith(" one two") for view in views)
    assert all(view.shown == {"swap": "one", "knock": "two"} for view in views)
    assert [s.shown for s in SAMPLES] == [{}] * len(SAMPLES)


def test_a_name_with_plus_is_composed() -> None:
    assert compose("swap", KNOWN) is KNOWN["swap"]
    assert compose("text+knock", KNOWN) == Composed(parts=(KNOWN["text"], KNOWN["knock"]))
    with pytest.raises(ValueError, match="needs the condition 'noise', which is not defined"):
        compose("noise+swap", KNOWN)


def test_two_interventions_cannot_be_active() -> None:
    with pytest.raises(ValueError, match=r"2 conditions with an intervention .*knock, knock"):
        Composed(parts=(KNOWN["knock"], KNOWN["knock"]))


def test_a_subset_is_the_same_under_every_condition_and_in_any_order() -> None:
    first = [view.uid for view in AtMost(condition=KNOWN["knock"], samples=7).views(SAMPLES)]
    other = [view.uid for view in AtMost(condition=Blind(), samples=7).views(SAMPLES[::-1])]
    assert first == other[::-1]
    assert len(first) == 7
    assert first != [sample.uid for sample in SAMPLES[:7]]
    more = {view.uid for view in AtMost(condition=Blind(), samples=9).views(SAMPLES)}
    assert set(first) < more
    assert AtMost(condition=KNOWN["knock"], samples=7).intervention == "cut"


def test_a_subset_has_all_orders_of_the_options_of_a_question() -> None:
    """Else no question has numbers in all of them, and its answers could not be averaged."""
    some = AtMost(condition=KNOWN["knock"], samples=7)
    views = some.views(rotated(SAMPLES))
    orders = Counter(view.groups["circular"] for view in views)
    assert set(orders) == {view.uid for view in some.views(SAMPLES)}
    assert all(count == len(BY_UID[uid].options) for uid, count in orders.items())


def test_the_budget_makes_all_of_its_conditions() -> None:
    small: RelativeBudget = budget(words=(4,), places=("between", "after"), draws=2, samples=5)
    names = [f"filler_{place}_4{draw}" for place in ("between", "after") for draw in ("", "_2")]
    fillers = {name: Says(name=name, words=name) for name in names}
    made = small.composed({**KNOWN, **fillers})
    assert tuple(made) == small.conditions
    assert len(made) == 4 + 4 * 5 + 3  # the right answer in words also alone, the image again
    said = made["text+filler_after_4+congruent"].views(SAMPLES)
    assert len(said) == len(made["text+congruent"].views(SAMPLES)) == 5
    assert all(view.images == () and view.text.endswith("after_4 three") for view in said)
    assert all(condition.name == name for name, condition in made.items())
    views = made["text+filler_after_4_2"].views(SAMPLES)
    assert len(views) == 5
    assert all(view.images == () and view.text.endswith("after_4_2") for view in views)
    again = made["swap+repeated_image"].views(SAMPLES)
    assert all(view.images[0] is view.images[1] and len(view.images) == 2 for view in again)
    assert all(view.shown == {"swap": "one", "repeated": "2"} for view in again)
    assert len(made["knock"].views(SAMPLES)) == len(SAMPLES)
    assert small.watches["shares"] == ("real", *names)
    with pytest.raises(ValueError, match="'filler_between_4', which is not defined"):
        small.composed(KNOWN)

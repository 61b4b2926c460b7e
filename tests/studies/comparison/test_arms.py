"""Which cells are one arm, which arm is its control, and why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvent.core.types import Prediction
from solvent.studies.comparison.arms import check_baseline, families, pairs
from solvent.studies.comparison.ordered_arms import curves
from tests.reports.test_results import ROW
from tests.storage.test_runs import FACTS, OTHER_CODE
from tests.studies.comparison.stored_cells import Cells, paired

SETTING: Mapping[str, Any] = {"data": "d", "model": {"revision": "r"}, "batch_size": 4}


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(tmp_path)


def rows(credits: Sequence[float], uids: str = "abc") -> list[Prediction]:
    return [
        replace(ROW, uid=uid, credit=credit, groups={"image": uid})
        for uid, credit in zip(uids, credits, strict=True)
    ]


@pytest.mark.parametrize(
    ("changed", "uids", "metrics", "said"),
    [
        ({"data": "other"}, "abc", {}, "because it differs from learned in data"),
        (
            {"data": "e", "model": {"revision": "q"}},
            "abc",
            {},
            "because it differs from learned in data, model.revision",
        ),
        ({}, "abd", {}, "because it answered other questions than learned (3 and 3)"),
        ({}, "ab", {}, "because it answered other questions than learned (2 and 3)"),
        (
            {},
            "abc",
            {"condition": "swap"},
            "because this model has no learned on this benchmark under this condition",
        ),
    ],
)
def test_who_does_not_pair_and_why(
    cells: Cells, changed: dict[str, Any], uids: str, metrics: dict[str, Any], said: str
) -> None:
    learned = cells.add(rows([1, 1, 1]), identity=SETTING)
    other = cells.add(rows([1] * len(uids), uids), {"name": "x"}, {**SETTING, **changed}, **metrics)
    found = paired([learned, other])
    assert [pair.control for pair in found] == [None, None]
    (why,) = [pair.why for pair in found if pair.arm.first is other]
    assert why == (said,)


def test_equal_ones_pair_and_unlike_runs_are_told(cells: Cells) -> None:
    made = [
        cells.add(rows([1, 0, 1]), identity=SETTING, runs=[FACTS]),
        cells.add(rows([1, 1, 1]), {"name": "x"}, SETTING, runs=[FACTS]),
        cells.add(rows([0, 0, 1]), {"name": "y"}, SETTING, runs=[{**FACTS, **OTHER_CODE}]),
    ]
    control, x, y = paired(made)
    assert (control.control, x.control, y.control) == (None, control.arm, control.arm)
    assert x.differences.tolist() == [[0, 1, 0]]
    assert y.differences.tolist() == [[-1, 0, 0]]
    assert x.remarks == ()
    assert y.remarks == (
        "computed with other code (bbbbbbbbbb with uncommitted changes, aaaaaaaaaa) than learned",
    )


def test_tests_of_a_cell_are_no_part_of_its_setting(cells: Cells) -> None:
    tested = {**SETTING, "diagnostic": {"budget": {}}, "conditions": {"swap": {}}}
    made = [
        cells.add(rows([1, 0, 1]), identity=tested),
        cells.add(rows([1, 1, 1]), {"name": "x"}, {**SETTING, "diagnostic": None}),
    ]
    assert paired(made)[1].control is not None


def test_a_condition_is_compared_with_real_pictures(cells: Cells) -> None:
    """And an intervention under it with the untouched model under it; a part of the questions with
    the same part.
    """
    real = cells.add(rows([1, 1, 1]), identity=SETTING)
    blurred = cells.add(rows([1, 0], "ab"), identity=SETTING, condition="blur")
    both = cells.add(rows([0, 0], "ab"), {"name": "x"}, SETTING, condition="blur")
    _, shown, edited = paired([real, blurred, both])
    assert (shown.arm.name, edited.arm.name) == ("learned, shown blur", "x, shown blur")
    assert shown.control is not None
    assert shown.control.first is real
    assert shown.differences.tolist() == [[0, -1]]
    assert edited.control is not None
    assert edited.control.first is blurred
    assert edited.differences.tolist() == [[-1, 0]]


def test_draws_are_one_arm_and_equal_ones_count_once(cells: Cells) -> None:
    made = [cells.add(rows([1, 1, 1]), identity=SETTING, seed=seed) for seed in (0, 1)]
    for seed, credits in enumerate(([1, 0, 1], [0, 0, 1], [1, 0, 1])):
        made.append(cells.add(rows(credits), {"name": "x", "seed": seed}, SETTING, seed=seed))
    control, x = paired(made)
    assert (control.arm.stochastic, x.arm.stochastic) == (False, True)
    assert [cell.metrics["seed"] for cell in x.arm.cells] == [0, 1, 2]
    assert len(control.arm.draws) == 1
    assert [cell.metrics["seed"] for cell in x.arm.draws] == [0, 1, 2]  # two are equal by luck
    np.testing.assert_array_equal(x.differences, [[0, -1, 0], [-1, -1, 0], [0, -1, 0]])


def test_a_seed_that_was_answered_twice_is_one_draw(cells: Cells) -> None:
    """By other code, say: the control of a method without randomness has no draws then."""
    made = [cells.add(rows(credits), identity=SETTING) for credits in ([1, 1, 1], [1, 1, 0])]
    made.append(cells.add(rows([1, 0, 0]), {"name": "x"}, SETTING))
    control, x = paired(made)
    assert (len(control.arm.cells), len(control.arm.draws)) == (2, 1)
    assert (control.arm.repeated, x.arm.repeated) == ([0], [])
    assert x.differences.shape == (1, 3)


def test_a_control_that_draws_is_paired_by_seed(cells: Cells) -> None:
    made = [
        cells.add(rows(credits), {"name": "sampled"}, SETTING, seed=seed)
        for seed, credits in enumerate(([1, 1, 0], [0, 1, 1]))
    ]
    made += [
        cells.add(rows(credits), {"name": "x"}, SETTING, seed=seed)
        for seed, credits in enumerate(([1, 0, 0], [0, 0, 1]))
    ]
    made.append(cells.add(rows([1, 1, 1]), identity=SETTING))
    _, learned, x = paired(made, "sampled")
    np.testing.assert_array_equal(x.differences, [[0, -1, 0], [0, -1, 0]])
    np.testing.assert_array_equal(learned.differences, [[0, 0, 1], [1, 0, 0]])  # of every draw


def test_families_of_one_name_are_told_apart(cells: Cells) -> None:
    made = [
        cells.add(rows([1, 1, 1]), identity={**SETTING, "benchmark": {"limit": limit}})
        for limit in (3, 180)
    ]
    found = families(made)
    assert {family.title for family in found} == {
        "scripted on yesno, benchmark.limit=3",
        "scripted on yesno, benchmark.limit=180",
    }
    assert len({pair.arm.key for pair in pairs(found, "learned")}) == 2


def test_layers_and_doses_are_curves_in_their_order(cells: Cells) -> None:
    made = [cells.add(rows([1, 1, 1]), identity=SETTING)]
    for layers in ("late", "early", "middle"):
        made.append(cells.add(rows([1, 0, 1]), {"name": "x", "layers": layers}, SETTING))
    for layers in ("[0, 1]", "4-5"):  # two are no curve
        made.append(cells.add(rows([1, 0, 1]), {"name": "y", "layers": layers}, SETTING))
    for factor in (10.0, 9.0, 0.5):
        variant = f"mass.factor={factor:g}, mix=0.5"
        made.append(
            cells.add(rows([1, 0, 1]), {"name": "r", "mass": {"factor": factor}}, SETTING,
                      variant=variant)
        )  # fmt: skip
    by_layers, by_dose = curves(paired(made))
    assert (by_layers.title, by_layers.labels) == ("x over layers", ("early", "middle", "late"))
    assert by_layers.x == (0.5, 2.5, 4.5)  # of six layers
    assert by_dose.title == "r (mix=0.5) by mass.factor"
    assert by_dose.x == (0.5, 9.0, 10.0)


def test_arms_that_differ_in_a_list_are_on_two_curves(cells: Cells) -> None:
    """Whose keys differ, also where only a sign tells them apart."""
    made = [cells.add(rows([1, 1, 1]), identity=SETTING)]
    for rest in ("rows=['question', 'last']", "rows=['question', 'generated']", "mix=-1", "mix=1"):
        for factor in (1, 2, 3):
            variant = f"{rest}, mass.factor={factor}"
            what = {"name": "r", "rest": rest, "mass": {"factor": factor}}
            made.append(cells.add(rows([1, 0, 1]), what, SETTING, variant=variant))
    found = [curve for curve in curves(paired(made)) if curve.setting == "mass.factor"]
    assert [curve.x for curve in found] == [(1, 2, 3)] * 4
    assert len({curve.key for curve in found}) == 4
    assert "r (rows=['question', 'last']) by mass.factor" in {curve.title for curve in found}


def test_the_file_s_own_value_is_a_point_of_its_curve(cells: Cells) -> None:
    made = [cells.add(rows([1, 1, 1]), identity=SETTING)]
    for factor in (2.0, 4.0, 8.0):
        variant = "" if factor == 2 else f"mass.factor={factor:g}"
        made.append(
            cells.add(rows([1, 0, 1]), {"name": "r", "mass": {"factor": factor}}, SETTING,
                      variant=variant)
        )  # fmt: skip
    (curve,) = curves(paired(made))
    assert curve.x == (2.0, 4.0, 8.0)


def test_only_what_belongs_to_a_curve_is_on_it(cells: Cells) -> None:
    """No other intervention at its file's own value, no truth value, no arm without a control."""
    made = [cells.add(rows([1, 1, 1]), identity=SETTING)]
    for factor in (4.0, 8.0, 16.0):
        what = {"name": "r", "mass": {"factor": factor}}
        made.append(cells.add(rows([1, 0, 1]), what, SETTING, variant=f"mass.factor={factor:g}"))
    for name, factor in (("other", 2.0), ("r", True)):
        what = {"name": name, "mass": {"factor": factor}}
        made.append(cells.add(rows([1, 0, 1]), what, SETTING))
    for factor in (1, 2, 3):
        what = {"name": "u", "mass": {"factor": factor}}
        made.append(cells.add(rows([1, 0], "ab"), what, SETTING, variant=f"mass.factor={factor}"))
    (curve,) = curves(paired(made))
    assert curve.x == (4.0, 8.0, 16.0)


def test_the_baseline_must_be_there(cells: Cells) -> None:
    made = [cells.add(rows([1, 1, 1])), cells.add(rows([1, 1, 1]), {"name": "uniform"})]
    check_baseline(made, "learned", "s")
    with pytest.raises(ValueError, match=r"'lerned', .*did you mean baseline=learned\?; it has"):
        check_baseline(made, "lerned", "s")
    with pytest.raises(ValueError, match=r"with; it has learned, uniform: run the baseline, or"):
        check_baseline(made, "zzz", "s")


def test_keys_are_unique_where_names_lose_what_tells_them_apart(cells: Cells) -> None:
    """The sign of a dose, letters that a file's name does not keep, and where a name ends."""
    found = paired(
        [
            cells.add(rows([1, 1, 0]), identity=SETTING, model=model, benchmark=benchmark)
            for model, benchmark in (("a-b", "c"), ("a", "b-c"), ("模型一", "s"), ("模型二", "s"))
        ]
        + [
            cells.add(rows([1, 0, 0]), {"name": "x", "by": by}, SETTING, model="a-b",
                      benchmark="c", variant=f"by={by}")
            for by in (-1, 1)
        ]
    )  # fmt: skip
    assert len({pair.arm.key for pair in found}) == len(found) == 6
    assert len({pair.arm.family.title for pair in found}) == 4
    for pair in found:
        assert {cell.metrics["model"] for cell in pair.arm.cells} == {
            pair.arm.family.title.split(" on ")[0]
        }


def test_a_condition_of_one_name_and_two_definitions_is_two_arms(cells: Cells) -> None:
    """They are not seeds of one, and an intervention is compared under the definition it had."""
    under = [{**SETTING, "condition": {"blur": {"radius": radius}}} for radius in (2, 8)]
    real = {**SETTING, "condition": {"real": {}}}
    few, many = rows([1, 1, 0]), rows([0, 0, 0])
    found = paired(
        [
            cells.add(rows([1, 1, 1]), identity=real),
            cells.add(few, identity=under[0], condition="blur"),
            cells.add(many, identity=under[1], condition="blur"),
            cells.add(many, {"name": "x"}, under[0], condition="blur"),
            cells.add(many, {"name": "y"}, {**SETTING, "condition": {"blur": {"radius": 3}}},
                      condition="blur"),
        ]
    )  # fmt: skip
    blurred = [pair for pair in found if pair.arm.name.startswith("learned, shown blur #")]
    assert [len(pair.arm.draws) for pair in blurred] == [1, 1]
    assert sorted(float(pair.differences.sum()) for pair in blurred) == [-3, -1]
    (x,) = (pair for pair in found if pair.arm.name == "x, shown blur")
    assert x.control is not None
    assert x.control.first.credit.tolist() == [1, 1, 0]
    (y,) = (pair for pair in found if pair.arm.name == "y, shown blur")
    assert y.why == ("because it differs from learned in condition.radius",) * 2


def test_of_several_baselines_the_whole_one_is_the_control(cells: Cells) -> None:
    """Others are compared with it; where there is none, that is said and nothing is paired."""
    plain = cells.add(rows([1, 1, 1]), {"name": "x"}, SETTING)
    doses = [
        cells.add(rows([1, 0, 0]), {"name": "x", "by": by}, SETTING, variant=f"by={by}")
        for by in (1, 2)
    ]
    other = cells.add(rows([1, 1, 0]), {"name": "y"}, SETTING)
    found = paired([*doses, other, plain], "x")
    assert found[0].arm.name == "x"
    assert [pair.control.name if pair.control else None for pair in found] == [None, "x", "x", "x"]
    found = paired([*doses, other], "x")
    assert [pair.control for pair in found] == [None] * 3
    (y,) = (pair for pair in found if pair.arm.name == "y")
    assert y.why == ("because it could be compared with several arms: x (by=1); x (by=2)",)


def test_all_that_differs_is_counted_and_the_first_of_it_named(cells: Cells) -> None:
    many = {f"field{n}": n for n in range(8)}
    made = [cells.add(rows([1, 1, 1]), identity=SETTING),
            cells.add(rows([1, 1, 1]), {"name": "x"}, {**SETTING, **many}),
            cells.add(rows([1, 1, 1]), identity=SETTING, model="other")]  # fmt: skip
    (why,) = [pair.why for pair in paired(made) if pair.arm.name == "x"]
    fields = ", ".join(f"field{n}" for n in range(6))
    assert why == (f"because it differs from learned in {fields} and 2 more",)


def test_cells_that_the_same_several_runs_answered_are_told_too(cells: Cells) -> None:
    runs = [FACTS, {**FACTS, **OTHER_CODE}]
    made = [
        cells.add(rows([1, 0, 1]), identity=SETTING, runs=runs),
        cells.add(rows([1, 1, 1]), {"name": "x"}, SETTING, runs=runs),
    ]
    remarks = paired(made)[1].remarks
    assert remarks
    assert all(said.startswith("computed with other code (") for said in remarks)


def test_arms_stand_in_the_order_in_which_they_are_read(cells: Cells) -> None:
    """The control first, then conditions, then interventions: layers by depth, doses by size."""
    made = [cells.add(rows([1, 1, 1]), {"name": "x"}, SETTING, condition="blur")]
    for factor in (10, 9, -2):
        what = {"name": "r", "mass": {"factor": factor}}
        made.append(cells.add(rows([1, 1, 1]), what, SETTING, variant=f"mass.factor={factor}"))
    for layers in ("late", "10", "9", "middle", "early"):
        made.append(cells.add(rows([1, 1, 1]), {"name": "a", "layers": layers}, SETTING))
    made.append(cells.add(rows([1, 1, 1]), identity=SETTING, condition="blur"))
    made.append(cells.add(rows([1, 1, 1]), identity=SETTING))
    assert [pair.arm.name for pair in paired(made)] == [
        "learned", "learned, shown blur", "a, layers early", "a, layers middle", "a, layers late",
        "a, layers 9", "a, layers 10", "r (mass.factor=-2)", "r (mass.factor=9)",
        "r (mass.factor=10)", "x, shown blur",
    ]  # fmt: skip


def test_without_real_pictures_a_condition_has_its_own_control(cells: Cells) -> None:
    made = [
        cells.add(rows([1, 1, 1]), identity=SETTING, condition="blur"),
        cells.add(rows([1, 0, 1]), {"name": "x"}, SETTING, condition="blur"),
    ]
    blurred, edited = paired(made)
    assert (blurred.control, blurred.why) == (None, ())
    assert edited.control is blurred.arm


def test_seeds_are_one_arm_whatever_their_definitions_say_of_seeds(cells: Cells) -> None:
    made = [
        cells.add(rows(credits), {"name": "x", "seed": seed, "mix": 0.5}, SETTING, seed=seed)
        for seed, credits in enumerate(([1, 0, 1], [0, 0, 1]))
    ]
    other = cells.add(rows([1, 0, 0]), {"name": "x", "seed": 0, "mix": 0.7}, SETTING)
    first, second = paired([*made, other], "learned")
    assert sorted(len(pair.arm.cells) for pair in (first, second)) == [1, 2]
    assert first.arm.name != second.arm.name  # of equal names a digest tells them apart
    assert all(pair.arm.name.startswith("x #") for pair in (first, second))


def test_questions_of_one_name_in_two_settings_have_their_own_images(cells: Cells) -> None:
    alone = cells.add(rows([1, 1, 1]), identity=SETTING)
    together = [replace(row, groups={"image": "one"}) for row in rows([1, 1, 1])]
    shared = cells.add(together, identity={**SETTING, "data": "other"})
    assert len(alone.questions.layout.sizes) == 3
    assert len(shared.questions.layout.sizes) == 1


def test_a_title_names_three_short_settings_and_else_a_digest(cells: Cells) -> None:
    def titles(**changed: Any) -> set[str]:
        other = {**SETTING, **changed}
        made = [cells.add(rows([1, 1, 1]), identity=each) for each in (SETTING, other)]
        return {family.title for family in families(made)}

    assert titles() == {"scripted on yesno"}
    assert titles(a=1, b=2, c=3, d=4) == {
        "scripted on yesno, a=1, b=2, c=3",
        "scripted on yesno, a=None, b=None, c=None",
    }
    (first, second) = titles(data="x" * 19)
    assert all(re.fullmatch("scripted on yesno, (setting [0-9a-f]{8}|data=d)", each)
               for each in (first, second))  # fmt: skip

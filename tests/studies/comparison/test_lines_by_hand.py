"""Lines of the table of arms, roles, corrections and slices, reckoned by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from solvent.core.types import Prediction
from solvent.studies.comparison.arm_lines import arm_line, cell_line, measure_lines, slice_lines
from solvent.studies.comparison.estimating import Estimated, FamilyAssay, Registered, estimated
from solvent.studies.comparison.paired_statistics.power import detectable
from tests.reports.test_results import ROW
from tests.studies.comparison.stored_cells import Cells, paired

PLAN = Registered(
    baseline="learned", margin=0.1, margin_share=0.1, primary=("method", "x, layers early"),
    positive_controls=("knockout", "swap"),
)  # fmt: skip
QUESTIONS = 60
WORDS = {"value": 10.0, "low": 8.0, "high": 12.0, "n": QUESTIONS, "unit": "words", "better": None}


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(tmp_path)


def rows(wrong: int, lucky: int = 0, per_image: int = 1, n: int = QUESTIONS) -> list[Prediction]:
    """Of a control that is right but in the last ten: the first ones wrong, the last ones right."""
    right = [1.0] * (n - 10) + [0.0] * 10
    right[:wrong] = [0.0] * wrong
    right[n - lucky :] = [1.0] * lucky
    return [
        replace(ROW, uid=f"{place:03}", credit=credit, groups={"image": str(place // per_image)},
                tags={"half": str(2 * place // n), "rare": str(place // 19), "all": "all"})
        for place, credit in enumerate(right)
    ]  # fmt: skip


def judged(
    made: Sequence[Any], plan: Registered = PLAN
) -> tuple[dict[str, dict[str, Any]], dict[str, Estimated], list[FamilyAssay]]:
    """Lines and estimates by the name of the arm, and what the benchmark notices."""
    pairs = paired(made)
    found, assays = estimated(pairs, plan)
    lines = {
        pair.arm.name: arm_line(pair, found.get(id(pair)), plan.role(pair.arm, not pair.control))
        for pair in pairs
    }
    return lines, {each.pair.arm.name: each for each in found.values()}, list(assays.values())


def test_roles_are_by_name_condition_and_extent(cells: Cells) -> None:
    made = [cells.add(rows(0)), cells.add(rows(9), condition="swap"),
            cells.add(rows(1), condition="blur"), cells.add(rows(9), {"name": "knockout"}),
            cells.add(rows(3), {"name": "knockout"}, variant="heads=2"),
            cells.add(rows(3), {"name": "knockout", "layers": "early"}),
            cells.add(rows(9), {"name": "knockout"}, condition="blur"),
            cells.add(rows(2), {"name": "method", "layers": "late"}),
            cells.add(rows(2), {"name": "x", "layers": "early"}),
            cells.add(rows(2), {"name": "x", "layers": "late"})]  # fmt: skip
    plan = replace(PLAN, primary=(*PLAN.primary, "blur"))
    _, found, _ = judged(made, plan)
    assert {name: each.role for name, each in found.items()} == {
        "learned, shown swap": "positive control", "learned, shown blur": "primary",
        "knockout": "positive control", "knockout (heads=2)": "explored",
        "knockout, layers early": "explored", "knockout, shown blur": "primary",
        "method, layers late": "primary", "x, layers early": "primary",
        "x, layers late": "explored",
    }  # fmt: skip


def test_the_clearest_drop_says_whether_the_benchmark_notices(cells: Cells) -> None:
    made = [cells.add(rows(0)), cells.add(rows(20), condition="swap")]
    made += [cells.add(rows(n), {"name": name}) for n, name in ((40, "knockout"), (1, "method"))]
    _, _, (assay,) = judged(made)
    assert assay.pair is not None
    assert assay.pair.arm.name == "knockout"
    assert assay.assay.shown
    assert assay.assay.sentence == (
        "knockout costs 66.7 points: the benchmark would notice that a model does not look"
    )
    _, _, (blind,) = judged([made[0], cells.add(rows(1), {"name": "knockout"})])
    assert not blind.assay.shown
    assert blind.assay.sentence.startswith("knockout costs 1.7 points: it is not shown that")


def test_margins_are_of_what_is_above_chance_and_claims_are_corrected(cells: Cells) -> None:
    made = [cells.add(rows(0), chance=0.7)]
    for name, wrong in (("a", 14), ("b", 9), ("c", 9)):
        made.append(cells.add(rows(wrong, 4), {"name": name}, chance=0.7))
    alone, _, _ = judged([made[0], made[1]])
    lines, found, _ = judged(made)
    assert lines["a"]["margin"] == pytest.approx(0.1 * (50 / 60 - 0.7))
    assert lines["a"]["correction"] == "BH of 3"
    for claim in ("p_worse", "p_adjusted"):
        assert lines["a"][claim] > alone["a"][claim]
    assert lines["a"]["p"] == alone["a"]["p"] < lines["a"]["p_adjusted"]
    assert found["a"].claims.p_worse == lines["a"]["p_worse"]


def test_questions_about_one_image_are_no_independent_ones(cells: Cells) -> None:
    single = judged([cells.add(rows(8, 4)), cells.add(rows(2), {"name": "x"})])[0]["x"]
    shared = judged(
        [cells.add(rows(8, 4, 2), identity={"d": 1}),
         cells.add(rows(2, 0, 2), {"name": "x"}, identity={"d": 1})]
    )[0]["x"]  # fmt: skip
    assert (single["clusters"], shared["clusters"]) == (60, 30)
    assert shared["design_effect"] > 1.5
    assert shared["needed"] > 1.5 * single["needed"]
    assert shared["detectable"] > single["detectable"]


def test_an_arm_is_the_mean_of_its_draws(cells: Cells) -> None:
    """And a copy of one counts once, though its seed is named."""
    spread = {"before": 0.5, "after": 0.5, "before_by_layer": [0.5]}
    made = [cells.add(rows(0), seconds=2.0)]
    for seed, wrong in ((0, 4), (1, 10), (0, 4)):
        made.append(
            cells.add(
                rows(wrong, 2), {"name": "x", "seed": seed}, seed=seed, seconds=3.0 + 2 * seed,
                unparsed=6 * seed, errors=3, cut=None, skipped=seed, cells_edited=100 + 100 * seed,
                visual_mass=spread | {"after": 0.1 + 0.2 * seed},
            )
        )  # fmt: skip
    line = judged(made)[0]["x"]
    assert (line["seeds"], line["seed_list"], line["stochastic"]) == (2, "0, 0, 1", True)
    assert line["accuracy"] == line["score_value"] == pytest.approx((48 + 42) / 2 / QUESTIONS)
    assert line["difference_value"] == pytest.approx(-5 / QUESTIONS)
    assert (line["gained"], line["lost"]) == (2.0, 7.0)
    assert line["seed_sd"] == pytest.approx(6 / QUESTIONS / math.sqrt(2))
    assert (line["unparsed"], line["errors"], line["skipped"]) == (0.05, 0.05, 0.5)
    assert math.isnan(line["cut"])
    assert (line["seconds"], line["cost"], line["entries_edited"]) == (4.0, 2.0, 150.0)
    assert (line["visual_mass_before"], line["visual_mass_after"]) == (0.5, pytest.approx(0.2))
    one = judged([made[0], made[1]])[0]["x"]
    assert math.isnan(one["seed_sd"])


def test_what_seeds_add_is_in_what_can_be_found(cells: Cells) -> None:
    made = [cells.add(rows(0))]
    for seed, wrong in enumerate((2, 10)):
        made.append(cells.add(rows(wrong), {"name": "x", "seed": seed}, seed=seed))
    lines, found, _ = judged(made)
    alone = detectable(found["x"].estimate.variance, QUESTIONS)
    assert lines["x"]["detectable"] > 1.2 * alone


def test_a_score_in_points_is_a_share_and_its_difference_stands_beside(cells: Cells) -> None:
    def points(value: float) -> Mapping[str, Any]:
        return {"value": value, "low": value - 20, "high": value + 20, "n": 30, "rows": QUESTIONS,
                "highest": 400}  # fmt: skip

    lines, found, _ = judged(
        [cells.add(rows(0), score=points(300)),
         cells.add(rows(6), {"name": "x"}, score=points(200))]
    )  # fmt: skip
    line = lines["x"]
    ends = [line[f"score_{end}"] for end in ("value", "low", "high", "n")]
    assert ends == pytest.approx([0.5, 0.45, 0.55, 30])
    assert line["score_difference_value"] == pytest.approx(-0.25)
    assert line["difference_value"] == pytest.approx(-0.1)
    plain = judged([cells.add(rows(0)), cells.add(rows(6), {"name": "x"})])[0]["x"]
    assert math.isnan(plain["score_difference_value"])
    stored = cell_line(found["x"].pair.arm.first, found["x"])
    assert (stored["score_value"], stored["unparsed"]) == (200, 0)  # as the cell has them
    assert stored["difference_value"] == line["difference_value"]


def test_slices_are_neither_tiny_nor_the_whole_and_corrected_by_arm(cells: Cells) -> None:
    made = [cells.add(rows(0)), cells.add(rows(12), {"name": "x"})]
    found = list(slice_lines(paired(made)))
    assert [(line["tag"], line["value"], line["n"]) for line in found] == [
        ("half", "0", 30), ("half", "1", 30)
    ]  # fmt: skip
    first, second = found
    assert (first["control_accuracy"], first["accuracy"]) == (1.0, pytest.approx(0.6))
    assert first["difference_value"] == pytest.approx(-0.4)
    assert (second["control_accuracy"], second["accuracy"]) == (pytest.approx(2 / 3),) * 2
    assert second["p"] == 1
    assert first["p_adjusted"] == pytest.approx(2 * first["p"])


def test_measures_are_means_over_draws(cells: Cells) -> None:
    made = [cells.add(rows(0))]
    for seed in (0, 1):
        words = WORDS | {"value": 10.0 + 4 * seed, "low": None}
        score = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 60, "rows": 60,
                 "measures": {"words": words}}  # fmt: skip
        made.append(cells.add(rows(1 + seed), {"name": "x", "seed": seed}, seed=seed, score=score))
    control, x = paired(made)
    assert list(measure_lines(control.arm)) == []
    (line,) = measure_lines(x.arm)
    assert (line["measure"], line["value"], line["high"], line["unit"]) == (
        "words",
        12,
        12,
        "words",
    )
    assert math.isnan(line["low"])
    assert (line["key"], line["family"], line["n"]) == (x.arm.key, x.arm.family.key, 60)

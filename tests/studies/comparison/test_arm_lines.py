"""What a line of the table of arms says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from solvent.core.types import Prediction
from solvent.studies.comparison.arm_lines import Line, arm_line
from solvent.studies.comparison.compared_cells import ComparedCell
from solvent.studies.comparison.estimating import Registered, estimated
from tests.reports.test_results import ROW
from tests.studies.comparison.stored_cells import Cells, paired

SCORE = {"value": 0.75, "low": 0.5, "high": 1.0, "n": 4, "rows": 4}  # no mean of the credits below
REGISTERED = Registered(
    baseline="learned", margin=0.02, margin_share=None, primary=(), positive_controls=("swap",)
)


def rows(credits: Sequence[float]) -> list[Prediction]:
    return [
        replace(ROW, uid=str(number), credit=credit, groups={})
        for number, credit in enumerate(credits)
    ]


def lines(cells: Sequence[ComparedCell], baseline: str = "learned") -> dict[str, Line]:
    """By the arm's name."""
    pairs = paired(cells, baseline)
    found, _ = estimated(pairs, replace(REGISTERED, baseline=baseline))
    return {pair.arm.name: arm_line(pair, found.get(id(pair)), "explored") for pair in pairs}


def test_a_condition_of_the_tests_has_no_difference_of_scores(tmp_path: Path) -> None:
    """Its mean credit is not compared with a score that is a mean over categories."""
    cells = Cells(tmp_path)
    learned = cells.add(rows([1, 1, 1, 0.6]), score=SCORE)
    answers = learned.place / "diagnostics/swap/predictions.jsonl"
    swap = replace(learned, condition="swap", answers=answers, credit=learned.credit - 0.5)
    arm = lines([learned, swap])["learned, shown swap"]
    assert math.isclose(arm["difference_value"], -0.5)
    assert math.isnan(arm["score_difference_value"])


def test_a_plain_accuracy_has_no_second_difference(tmp_path: Path) -> None:
    """Also where an arm and its control share only some of their seeds."""
    cells = Cells(tmp_path)
    made = [
        cells.add(rows(credits), {"name": name}, seed=seed)
        for name, seed, credits in (
            ("drawn", 0, [1, 1, 1, 0]), ("drawn", 1, [1, 0, 0, 0]), ("drawn", 2, [1, 1, 0, 0]),
            ("x", 0, [0, 1, 1, 0]), ("x", 3, [0, 0, 1, 0]),
        )
    ]  # fmt: skip
    assert math.isnan(lines(made, "drawn")["x"]["score_difference_value"])


def test_a_score_that_is_no_accuracy_has_one(tmp_path: Path) -> None:
    cells = Cells(tmp_path)
    learned = cells.add(rows([1, 1, 1, 0.6]), score=SCORE)
    x = cells.add(rows([1, 1, 1, 0.6]), {"name": "x"}, score={**SCORE, "value": 0.5})
    assert lines([learned, x])["x"]["score_difference_value"] == -0.25

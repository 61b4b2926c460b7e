"""The difference of a score that is no plain accuracy, of cells that were run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from solvent import results
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from tests.comparison_of import comparison_of

SETTINGS = ("limit=60", "batch_size=60", "benchmark.stratify=null", "intervention.layers=early")


@pytest.mark.usefixtures("undrawn")
def test_a_mean_over_kinds_differs_otherwise_than_accuracy(tmp_path: Path) -> None:
    """Kinds of unequal size: by pandas from all answers. Only registered arms have an interval."""
    for name in ("learned", "knockout", "uniform"):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            asked = (f"output={tmp_path}", f"intervention={name}", *SETTINGS)
            run_cell(compose("evaluate", asked), brief=True)
    arms = comparison_of(tmp_path, "study", "learned", "primary=[uniform]").arms
    arms = arms.set_index("intervention")
    answers = results.samples(tmp_path)
    by_kind = answers.groupby(["intervention", "tag_kind"]).credit.mean()
    macro = by_kind.groupby("intervention").mean()
    plain = answers.groupby("intervention").credit.mean()
    for name in ("knockout", "uniform"):
        found = arms.loc[name]
        assert found.difference_value == pytest.approx(plain[name] - plain["learned"])
        assert found.score_difference_value == pytest.approx(macro[name] - macro["learned"])
    uniform, knockout = arms.loc["uniform"], arms.loc["knockout"]
    assert abs(uniform.score_difference_value - uniform.difference_value) > 1e-6
    assert uniform.score_difference_low < uniform.score_difference_value
    assert uniform.score_difference_value < uniform.score_difference_high
    assert knockout[["score_difference_low", "score_difference_high"]].isna().all()

"""How much one answer moves a score that is a mean of means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from solvent.benchmarks.reducers import AllOf, Macro, Mean
from solvent.studies.comparison.registered_scores import pulls
from tests.reports.test_results import ROW

ANSWERS = [
    replace(ROW, uid=f"{place:02d}", credit=0.5, groups={"pair": str(place // 2)},
            tags={"kind": "rare" if place < 2 else "common"}, status="ok")
    for place in range(10)
]  # fmt: skip


@pytest.mark.parametrize("reduce", [Mean(), Macro(tags=["kind"])])
def test_a_pull_is_what_more_credit_adds(reduce: Mean | Macro) -> None:
    found, before = pulls(reduce, ANSWERS), reduce(ANSWERS)["value"]
    for place in (0, 5):
        more = [*ANSWERS]
        more[place] = replace(more[place], credit=0.9)
        assert reduce(more)["value"] - before == pytest.approx(0.4 * found[place])
    assert found.sum() == pytest.approx(1)


def test_groups_share_theirs_and_other_scores_have_none() -> None:
    assert pulls(AllOf(group="pair"), ANSWERS) == pytest.approx(np.full(10, 0.1))
    assert pulls(lambda answers: {"value": 0.5}, ANSWERS) is None

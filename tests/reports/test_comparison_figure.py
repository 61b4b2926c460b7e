"""The figure of a comparison is drawn whatever an interval's last bit is."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvent.reports.comparison import draw_comparison
from solvent.reports.pairing import FinishedCell, Row


@pytest.mark.parametrize("high", [1.0, 0.9999999999999998])  # as rounding leaves it
def test_an_arm_that_is_always_right_is_drawn(tmp_path: Path, high: float) -> None:
    metrics = {
        "model": "m", "benchmark": "b", "condition": "real", "setting": "s", "variant": "",
        "layers": "all", "seed": 0, "chance": 0.5, "visual_mass": {"before": 0.5, "after": 0.5},
        "score": {"value": 1.0, "low": 0.98, "high": high},
    }  # fmt: skip
    names = ("knockout", "uniform")
    rows = [Row(FinishedCell(metrics | {"intervention": name}, []), None) for name in names]
    path = draw_comparison(rows[0].cell.family, rows, "knockout", tmp_path)
    assert path.stat().st_size > 0

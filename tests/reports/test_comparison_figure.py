"""The figure of a comparison is drawn whatever an interval's last bit is, and can be read."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from solvent.reports.comparison import SLANT, _draw_by_layers, draw_comparison
from solvent.reports.figures import STYLE
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


def test_long_names_are_slanted_and_lie_on_nothing(tmp_path: Path) -> None:
    metrics = {
        "model": "m", "benchmark": "b", "condition": "real", "setting": "s", "variant": "",
        "layers": "all", "seed": 0, "chance": 0.5, "visual_mass": {"before": 0.5, "after": 0.5},
        "score": {"value": 0.7, "low": 0.6, "high": 0.8}, "intervention": "uniform_row",
    }  # fmt: skip
    heads = [f"heads=random:2:{draw}" for draw in range(5)]
    rows = [Row(FinishedCell(metrics | {"variant": each}, []), None) for each in heads]
    with plt.rc_context(STYLE):
        axes = plt.figure(figsize=(5, 4)).add_subplot()
        _draw_by_layers(axes, rows)
        axes.figure.canvas.draw()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        legend = axes.get_legend().get_window_extent()
        plt.close(axes.figure)
    assert all(label.get_rotation() == SLANT for label in axes.get_xticklabels())
    assert not any(legend.overlaps(box) for box in boxes)
    assert draw_comparison(rows[0].cell.family, rows, "learned", tmp_path).stat().st_size > 0

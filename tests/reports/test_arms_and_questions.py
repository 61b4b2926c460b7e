"""Figures show every arm, also one that edits nothing, and tell equal questions apart."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt

from solvent.core.types import Facts
from solvent.reports.comparison import _draw_by_layers, _draw_by_mass, _is_reference
from solvent.reports.facts import in_order


def arm(name: str, layers: str | None, score: float) -> SimpleNamespace:
    metrics = {
        "intervention": name,
        "variant": "",
        "layers": layers,
        "score": {"value": score, "low": score - 0.1, "high": score + 0.1},
        "visual_mass": {"before": None, "after": None},
    }
    return SimpleNamespace(cell=SimpleNamespace(metrics=metrics))


def test_an_arm_that_edits_nothing_has_a_point() -> None:
    """Greedy beside sampled decoding: both without layers, of which one is the baseline's line."""
    rows = [arm("sampled", None, 0.6), arm("greedy", None, 0.7), arm("uniform", "early", 0.5)]
    drawn = [row for row in rows if not _is_reference(row, "sampled")]  # type: ignore[arg-type]
    figure, (left, right) = plt.subplots(1, 2)
    _draw_by_layers(left, drawn)  # type: ignore[arg-type]
    _draw_by_mass(right, drawn)  # type: ignore[arg-type]
    assert [each.get_text() for each in left.get_xticklabels()] == ["greedy", "uniform"]
    points = [container.lines[0].get_ydata()[0] for container in left.containers]
    assert points == [0.7, 0.5]
    assert [text.get_text() for text in right.texts] == ["not measured"]
    plt.close(figure)


def test_tests_that_ask_the_same_are_told_apart_by_name() -> None:
    def facts(asks: str) -> Facts:
        return Facts(asks=asks, number="n", unit="", neutral=None, place=None)

    asked = in_order({"b": facts("Whom?"), "a": facts("Whom?"), "c": facts("How?")})
    assert {name: each.asks for name, each in asked.items()} == {
        "a": "a: Whom?",
        "b": "b: Whom?",
        "c": "How?",
    }

"""Which arms are summarised, over what, and with which standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from solvent.studies.comparison.between_families import COLUMNS, summaries
from solvent.studies.comparison.paired_statistics.random_effects import summarise

Row = tuple[str, str, str, float, float]  # model, benchmark, name, difference, standard error
ROWS: Sequence[Row] = (
    ("m1", "a", "x", -0.05, 0.01), ("m1", "b", "x", 0.01, 0.04), ("m2", "a", "x", -0.02, 0.02),
    ("m1", "a", "y", 0.02, 0.01),
)  # fmt: skip


def arms(rows: Sequence[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["model", "benchmark", "name", "difference_value", "error"])
    return frame.assign(
        control="learned",
        difference_low=frame["difference_value"] - 2 * frame["error"],
        difference_high=frame["difference_value"] + 2 * frame["error"],
    )


def test_over_benchmarks_models_and_both() -> None:
    found = summaries(arms(ROWS)).set_index(["over", "name", "of"])
    assert list(found.index) == [("benchmarks", "x", "m1"), ("models", "x", "a"), ("both", "x", "")]
    assert found["k"].tolist() == [2, 2, 3]
    for over, of, values, errors in (
        ("benchmarks", "m1", [-0.05, 0.01], [0.01, 0.04]),
        ("models", "a", [-0.05, -0.02], [0.01, 0.02]),
    ):
        plain = summarise(values, errors)
        line = found.loc[over, "x", of]
        for name in ("value", "low", "high", "tau", "i2"):
            assert line[name] == pytest.approx(getattr(plain, name))
    plain, both = summarise([-0.05, 0.01, -0.02], [0.01, 0.04, 0.02]), found.loc["both", "x", ""]
    assert both["value"] == pytest.approx(plain.value)
    assert plain.low is not None
    assert both["low"] < plain.low  # what is crossed says less than as many effects of their own


def test_of_one_model_there_is_none_over_models() -> None:
    found = summaries(arms(ROWS[:2]))
    assert found["over"].tolist() == ["benchmarks"]
    assert -1 <= found["low"].iloc[0] < found["high"].iloc[0] <= 1  # two are hardly any
    wide = summaries(arms([("m", "a", "x", -0.9, 0.01), ("m", "b", "x", 0.9, 0.01)]))
    assert (wide["low"].iloc[0], wide["high"].iloc[0]) == (-1.0, 1.0)


def test_what_has_no_interval_or_no_control_or_several_families_is_left_out() -> None:
    frame = arms(ROWS[:3])
    assert set(summaries(pd.concat([frame, arms(ROWS[:1])]))["over"]) == set()
    frame.loc[1, ["difference_low", "error"]] = math.nan
    assert set(summaries(frame)["over"]) == {"models"}
    frame.loc[2, "control"] = None
    empty = summaries(frame)
    assert (len(empty), list(empty.columns)) == (0, list(COLUMNS))

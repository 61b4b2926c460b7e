"""A comparison in a terminal fits it, says what is missing, and obeys nothing that it shows."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from solvent.reports.compared import terminal
from solvent.reports.compared.frames import Comparison
from tests.reports.compared.made_up import HOSTILE, made_up

MISSING = re.compile(r"\b(nan|NaN|None|NaT)\b|<NA>")


def shown(comparison: Comparison, width: int = 120, colours: bool = False) -> str:
    file = io.StringIO()
    system = "standard" if colours else None
    screen = Console(file=file, width=width, force_terminal=colours, color_system=system)
    terminal.show(screen, comparison)
    return file.getvalue()


def without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


def one_arm(**values: object) -> Comparison:
    """The control and one arm of a family, with values of the arm's own."""
    arms = made_up(1, 1).arms
    arms = pd.concat([arms.head(1), arms[arms["name"] == "uniform, layers early"]])
    arms = arms.astype(object).reset_index(drop=True)
    for name, value in values.items():
        arms.loc[1, name] = value
    return Comparison(study="s", baseline="learned", arms=arms, cells=arms,
                      **dict.fromkeys(("slices", "curves", "peaks", "summaries", "assay"),
                                      pd.DataFrame()))  # fmt: skip


@pytest.mark.parametrize("width", [80, 120, 160])
def test_everything_fits_and_nothing_is_nan(width: int) -> None:
    comparison = made_up()
    text = shown(comparison, width)
    assert max(map(len, text.splitlines())) <= width
    assert not MISSING.search(text)
    assert "…" not in text  # nothing was cut off
    for arm in comparison.arms.itertuples():
        assert without_spaces(arm.name)[:12] in without_spaces(text)
    assert "3,000 questions about 500 images" in text.replace("\n", " ")
    assert without_spaces(comparison.assay["sentence"].iloc[0]) in without_spaces(text)
    primaries = comparison.arms[comparison.arms["role"] == "primary"]
    assert all(without_spaces(each) in without_spaces(text) for each in primaries["sentence"])
    assert without_spaces(comparison.remarks[0]) in without_spaces(text)


def test_numbers_are_in_points_and_percent() -> None:
    comparison = one_arm(
        difference_value=-0.12, difference_low=-0.153, difference_high=-0.087, p_adjusted=0.00001,
        score_value=0.74, verdict="WORSE", unparsed=0.013, errors=0.002, cut=0.25, guessed=0.03,
        skipped=1500, cost=1.5, seeds=3, visual_mass_before=0.41, visual_mass_after=0.0,
        score_difference_value=0.02, score_difference_low=-0.01, score_difference_high=0.05,
        score_name="mean_f1", margin=0.02,
    )  # fmt: skip
    row = shown(comparison)
    for said in ("-12.0 [-15.3, -8.7]", "< 0.0001", "74.0 %", "WORSE", "1.3 + 0.2 %", "cut 25.0 %",
                 "guessed 3.0 %", "left out 1,500", "1.50 x", "0.410 → 0.000",
                 "mean_f1 +2.0 [-1.0, +5.0]", "margin of 2.0 points"):  # fmt: skip
        assert said in row
    assert re.search(r"^uniform,[a-z ]*3 ", row, re.MULTILINE)


def test_what_is_not_there_is_a_dash_or_empty() -> None:
    numbers = ["difference_value", "difference_low", "difference_high", "p_adjusted", "verdict",
               "cost", "visual_mass_before", "visual_mass_after", "unparsed", "errors", "chance",
               "correction", "margin", "n", "clusters"]  # fmt: skip
    alone = one_arm(**dict.fromkeys(numbers, None))
    text = shown(replace(alone, arms=alone.arms.iloc[1:].assign(role="explored")))
    assert not MISSING.search(text)
    assert len(re.findall(r" - ", f"{text} ")) >= 4
    only = shown(replace(alone, arms=alone.arms.assign(seed_sd=np.nan).iloc[:1]))
    assert "learned" in only
    assert not MISSING.search(only)


def test_a_verdict_has_its_colour_but_not_where_it_was_to_be() -> None:
    text = shown(made_up(1, 1), colours=True)
    for colour, verdict in ((31, "WORSE"), (33, "NOT SHOWN"), (32, "EQUIVALENT"), (32, "BETTER")):
        assert f"\x1b[{colour}m{verdict}" in text
    (control,) = (line for line in text.splitlines() if line.startswith("knockout"))
    assert "WORSE" in control
    assert "\x1b[31m" not in control


def test_what_users_wrote_is_shown_and_not_obeyed() -> None:
    hostile = "[red]x[/red] \x1b[2J [/] \u202e"
    text = shown(one_arm(name=hostile, sentence=hostile, role="primary"), width=160)
    assert "[red]x[/red] \\x1b[2J [/] \\u202e" in text
    assert "\x1b" not in text
    assert HOSTILE[:9] in shown(made_up(1, 1))


def test_a_long_study_is_cut_where_it_tells_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "ARMS", 4)
    monkeypatch.setattr(terminal, "FAMILIES", 3)
    monkeypatch.setattr(terminal, "LINES", 2)
    comparison = made_up(3, 3)
    text = shown(comparison, 120)
    assert len(text.splitlines()) < 100
    table = text.partition("questions about")[0]
    for kept in ("learned", "pai", "knockout"):  # whoever has a role
        assert re.search(rf"^{kept} ", table, re.MULTILINE)
    assert "and 12 more arms, which arms.csv has" in table
    name = "llava_1_5_7b on shapes"  # the fourth
    verdicts = comparison.arms[comparison.arms["title"] == name]["verdict"]
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name}  "))
    tally = [str((verdicts == each).sum()) for each in terminal.VERDICTS]
    assert line.split()[3:] == tally
    assert "and 2 more families" in text
    assert "and 7 more registered comparisons" in text
    assert f"and {len(comparison.summaries) - 2} more summaries" in text

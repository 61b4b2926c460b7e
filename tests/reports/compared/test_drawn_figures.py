"""All figures of a comparison: complete, legible, and fit for a printer."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from solvent.core.plotting import COLUMN, PAGE, PAPER
from solvent.reports.compared.figures import every_figure
from solvent.reports.compared.figures.every_figure import chosen_plans, draw_all
from solvent.reports.compared.frames import Comparison
from tests.reports.compared.laid_out import faults
from tests.reports.compared.made_up import HOSTILE, made_up

NAMES = ("_hidden", "你好", "x" * 150, "two\nlines", "$\\frac{1}{2$", "%_{}#^~\\ & <b>",
         "uniform_row (heads=random:2:1), layers 0-3,28-31", "a b " * 40)  # fmt: skip
MISSING = ("difference_low", "difference_high", "margin", "verdict", "visual_mass_after", "chance",
           "score_low", "score_high", "clusters")  # fmt: skip


def drawn(comparison: Comparison) -> dict[str, Figure]:
    """By stem."""
    with matplotlib.rc_context(PAPER):
        return {plan.stem: plan.draw() for plan in chosen_plans(comparison)}


def named_by_a_user(comparison: Comparison) -> Comparison:
    arms = comparison.arms.copy()
    renamed = arms.index[arms["role"] != "control"][: len(NAMES)]
    arms.loc[renamed, "name"] = NAMES
    long = arms["title"].replace("tiny on shapes", f"{'long_' * 40} on {HOSTILE}")
    return replace(comparison, arms=arms.assign(title=long, model=arms["model"] + "-" + "m" * 60))


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return drawn(made_up(2, 1))


def many_arms(comparison: Comparison, number: int) -> Comparison:
    """So many more, whose differences become clearer and clearer."""
    some = comparison.arms[comparison.arms["intervention"] == "uniform"].iloc[[0] * number]
    order = pd.Series(range(number), some.index, dtype=float)
    values = -0.01 - order / 10_000
    some = some.assign(
        name=[f"arm {each}" for each in range(number)], key=[str(at) for at in range(number)],
        intervention=[f"i{each % 12}" for each in range(number)], difference_value=values,
        difference_low=values - 0.01, difference_high=values + 0.01,
    )  # fmt: skip
    arms = pd.concat([comparison.arms, some], ignore_index=True)
    return replace(comparison, arms=arms)


def test_every_kind_is_drawn_that_has_something_to_show() -> None:
    kinds = {plan.kind for plan in chosen_plans(made_up(2, 1))}
    assert kinds == {"heat map", "forest", "summary", "layers", "dose", "trade-off", "slices"}
    alone = made_up(1, 1)
    stems = [plan.stem for plan in chosen_plans(alone)]
    assert stems == ["forest-tiny-shapes", "layers-tiny-shapes", "dose-tiny-shapes-mass-factor",
                     "trade-off-tiny-shapes", "slices-tiny-shapes"]  # fmt: skip
    nothing = pd.DataFrame()
    bare = replace(alone, arms=alone.arms[alone.arms["role"] == "control"], slices=nothing,
                   curves=nothing, peaks=nothing, summaries=nothing, assay=nothing)  # fmt: skip
    assert chosen_plans(bare) == chosen_plans(replace(bare, arms=nothing)) == []


def test_letters_are_large_enough_and_lie_on_nothing(figures: Mapping[str, Figure]) -> None:
    hostile = drawn(named_by_a_user(made_up(2, 1)))
    for stem, figure in [*figures.items(), *hostile.items()]:
        assert faults(figure) == [], stem
        assert figure.get_figwidth() in (COLUMN, PAGE), stem
    with matplotlib.rc_context(PAPER):
        crowded = Figure()
        crowded.text(0.5, 0.5, "first")
        crowded.text(0.5, 0.5, "second", fontsize=6)
        crowded.text(0.99, 0.1, "outside")
        assert len(faults(crowded)) == 3  # the check itself


def test_names_are_drawn_as_they_are(figures: Mapping[str, Figure]) -> None:
    shown = [text.get_text().replace("\n", " ") for text in figures["heat-map"].findobj(Text)]
    assert HOSTILE in shown
    hostile = drawn(named_by_a_user(made_up(1, 1)))["trade-off-tiny-shapes"]
    legend = hostile.legends[0].get_texts()
    names = {text.get_text() for text in legend}
    assert {"_hidden", "\\u4f60\\u597d", "two lines (3 seeds)"} <= names
    assert "$\\frac{1}{2$ (3 seeds)" in names
    assert not any(text.get_parse_math() for text in [*hostile.texts, *legend])


def test_what_is_missing_is_not_written() -> None:
    comparison = made_up(2, 1)
    arms = comparison.arms.astype(dict.fromkeys(MISSING, object))
    arms.loc[arms["role"] != "control", list(MISSING)] = None
    holes = replace(
        comparison,
        arms=arms.assign(chance=pd.NA),
        slices=comparison.slices.assign(difference_low=None, p_adjusted=pd.NA),
        curves=comparison.curves.assign(band_low=None, band_high=None, difference_low=pd.NA),
        summaries=comparison.summaries.assign(low=None, prediction_low=None),
        peaks=pd.DataFrame(),
        assay=comparison.assay.assign(sentence=None),
    )
    with matplotlib.rc_context(PAPER):
        for plan in chosen_plans(holes):
            texts = [text.get_text() for text in plan.draw().findobj(Text)]
            for text in (plan.title, plan.caption, *texts):
                assert not re.search(r"\b(nan|None|NaN|NaT)\b|<NA>", text), (plan.stem, text)
            assert plan.kind != "trade-off"  # no arm's visual mass is known


def test_files_fit_a_printer_and_do_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One figure of every kind: fonts are TrueType and embedded; a column or a page wide."""
    monkeypatch.setattr(every_figure, "MOST", 7)
    once, again = (draw_all(made_up(2, 1), tmp_path / each) for each in ("once", "again"))
    assert len(once) == 7
    assert len({each.kind for each in once}) == 6
    for first, second in zip(once, again, strict=True):
        pdf, png = (first.paths[each].read_bytes() for each in ("pdf", "png"))
        assert pdf == second.paths["pdf"].read_bytes()
        assert png == second.paths["png"].read_bytes()
        assert b"Date" not in pdf
        assert embedded(pdf), first.stem
        with Image.open(first.paths["png"]) as picture:
            assert picture.width in (round(200 * COLUMN), round(200 * PAGE))
            assert "Software" not in picture.info
    assert "Such a figure is drawn of 1 of 2 families; all numbers" in once[-1].caption
    with pytest.raises(ValueError, match=r"got gif: leave it out"):
        draw_all(made_up(1, 1), tmp_path, ["gif"])


def embedded(pdf: bytes) -> list[TTFont]:
    """The fonts in a PDF; fails where one is no TrueType that stands in it."""
    subtypes = set(re.findall(rb"/Subtype /(Type0|Type1|Type3|TrueType|CIDFontType\d)\b", pdf))
    assert subtypes <= {b"Type0", b"CIDFontType2"}, subtypes
    numbers = re.findall(rb"/FontFile2 (\d+) 0 R", pdf)
    assert len(numbers) == len(re.findall(rb"/Type /FontDescriptor\b", pdf))
    streams = [re.search(rb"\n%s 0 obj.*?stream\r?\n(.*?)endstream" % number, pdf, re.DOTALL)
               for number in numbers]  # fmt: skip
    fonts = [TTFont(BytesIO(zlib.decompress(stream[1]))) for stream in streams if stream]
    assert len(fonts) == len(numbers)
    assert all("glyf" in font for font in fonts)
    return fonts


def test_of_thousands_of_arms_the_clearest_are_shown() -> None:
    plans = chosen_plans(many_arms(made_up(1, 1), 2000))
    forests = [plan for plan in plans if plan.kind == "forest"]
    assert len(plans) < every_figure.MOST
    rungs = [rung for plan in forests for rung in plan.draw.keywords["rungs"]]  # type: ignore[attr-defined]
    names = {rung.label for rung in rungs}
    assert len(rungs) == len(names) == 120
    assert {"pai", "knockout", "arm 1999"} <= names  # registered, positive control, clearest
    assert "arm 0" not in names
    assert "Shown are 120 of 2,015 arms" in forests[0].caption
    families = chosen_plans(made_up(8, 8))
    assert len(families) == every_figure.MOST
    forests = [plan for plan in families if plan.kind == "forest"]
    assert f"drawn of {len(forests)} of 64 families" in forests[-1].caption

"""The page of a comparison as a file: what it says, what it lets in, how large it grows."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from solvent.reports.compared.frames import Comparison, Flip
from solvent.reports.compared.page import document, page_sections
from solvent.reports.compared.page.document import write_page
from solvent.reports.compared.page.effect_tables import full_colour, shade
from solvent.reports.compared.page.plot_scale import Scale, along, unsqueezed
from tests.reports.compared.made_up import HOSTILE, made_up

MISSING = re.compile(r"\b(nan|NaN|None|NaT)\b|<NA>")


class Page(HTMLParser):
    """Elements, addresses and texts of a page, by another library than the one that wrote it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = [("before", {})]
        self.texts: dict[str, list[str]] = {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(("after", {}))

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1][0], []).append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def said(self) -> str:
        """All that a person may come to see, labels and hints included."""
        shown = [each for tag, texts in self.texts.items() for each in texts
                 if tag not in ("script", "style")]  # fmt: skip
        hints = [attributes.get(key) or "" for _, attributes in self.tags
                 for key in ("aria-label", "title", "alt")]  # fmt: skip
        return "\n".join(shown + hints)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    findings = {
        "dependency": {
            "verdict": "PASS", "strict": "yes", "reason": f"it moves {HOSTILE}",
            "facts": {"asks": "Does another image change the answer?", "number": "bits",
                      "unit": "bits of change", "neutral": 0.0, "place": 1, "margin": 0.01},
            "metrics": {"bits": {"value": 0.573, "low": 0.524, "high": 0.617, "n": 500,
                                 "clusters": 99}},
        },
        "fusion": {"verdict": "NOT APPLICABLE", "strict": "no", "reason": "too few",
                   "metrics": {"bits": None}},
    }  # fmt: skip
    cell = {"model": "tiny", "benchmark": "shapes", "intervention": "learned", "variant": "",
            "layers": None, "condition": "real", "seed": 0, "diagnostics": findings}  # fmt: skip
    return replace(made_up(), usage=[cell])


@pytest.fixture(scope="module")
def page(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(comparison, tmp_path_factory.mktemp("page") / "new" / "index.html")


def test_it_says_what_the_frames_say_and_never_nan(page: Path, comparison: Comparison) -> None:
    said = Page(page).said
    assert not MISSING.search(said)
    assert "60 arms against" in said
    assert "4 registered" in said  # pai, of the equivalent ones
    assert "4 known harms" in said  # knockout, of those that are worse
    assert "mass.factor, logarithmic" in said
    assert "layers, logarithmic" not in said
    for sentence in comparison.arms.loc[comparison.arms["role"] == "primary", "sentence"]:
        assert sentence in said
    for text in (*comparison.remarks, *comparison.assay["sentence"], "python compare.py study=",
                 "Does another image change the answer?", "0.573 [0.524, 0.617]",
                 "n = 500 questions, 99 sets of images", "attention before, visual mass 41.0 %",
                 "80.0 % [78.0, 82.0]", "95.1 words", "What colour is the square?"):  # fmt: skip
        assert text in said


def lines_of(page: Path, section: str) -> list[list[str]]:
    """Texts of the fields of a section's lines."""
    text = page.read_text(encoding="utf-8")
    inside = text[text.index(f'<section id="{section}"') :].partition("</section>")[0]
    return [
        [unescape(re.sub("<[^>]*>", " ", field)).strip() for field in re.split("</t[hd]>", line)]
        for line in re.findall(r"<tr data-row.*?</tr>", inside, flags=re.DOTALL)
    ]


def in_points(value: float) -> str:
    said = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if float(said[1:]) == 0 else said


def test_tables_have_every_arm_and_its_numbers(page: Path, comparison: Comparison) -> None:
    arms = comparison.arms
    lines = lines_of(page, "arms")
    assert len(lines) == len(arms)
    for line, arm in zip(lines, arms.itertuples(), strict=True):
        name, difference, verdict, interval, p, n, images, *_ = line
        assert name.startswith(arm.name)
        assert [n, images] == [f"{arm.n:,}", f"{arm.clusters:,}"]
        if arm.role == "control":
            assert [difference, verdict, interval, p] == ["–"] * 4
        else:
            assert difference == in_points(arm.difference_value)
            assert verdict == arm.verdict
            assert (
                interval == f"[{in_points(arm.difference_low)}, {in_points(arm.difference_high)}]"
            )
    held = arms.set_index(["name", "family"])["difference_value"]
    families = list(dict.fromkeys(arms["family"]))
    heat = lines_of(page, "heat-map")
    assert len(heat) == 15
    for name, *fields in heat:
        expected = [in_points(held[name, family]) for family in families]
        assert [field.split()[0] for field in fields[:4]] == expected


def test_colours_are_full_at_five_margins() -> None:
    assert full_colour([{"margin": None}, {"margin": 0.02}]) == pytest.approx(0.1)
    shades = [shade(value, 0.1) for value in (-0.3, -0.1, -0.02, -0.001, 0.0, 0.02, 0.1, None)]
    assert shades == ["less-8", "less-8", "less-2", "even", "even", "more-2", "more-8", ""]


def test_nothing_comes_from_elsewhere_and_nothing_foreign_runs(page: Path) -> None:
    found = Page(page)
    for _, attributes in found.tags:
        for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            if key in attributes:
                assert (attributes[key] or "").startswith(("#", "data:")), attributes
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
    (policy,) = [each["content"] for each in found.named("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        assert len(found.named(tag)) == 1  # HOSTILE has one of its own
        inside = "".join(found.texts[tag])
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not found.named("b") or "two" not in found.texts["b"]  # an answer of a model: <b>two</b>
    assert HOSTILE in found.said


def test_equal_comparisons_give_equal_bytes(page: Path, comparison: Comparison) -> None:
    again = write_page(comparison, page.with_name("again.html"))
    assert again.read_bytes() == page.read_bytes()


def test_control_characters_are_written_out(tmp_path: Path) -> None:
    path = write_page(replace(made_up(1, 1), remarks=["\x1b[31m\u202e\ud800"]), tmp_path / "a.html")
    assert r"\x1b[31m\u202e\ud800" in Page(path).said


def test_a_comparison_of_nothing_is_a_page(tmp_path: Path) -> None:
    """A control alone: no difference, no harm, no curve, and frames without columns."""
    full = made_up(1, 1)
    nothing = pd.DataFrame()
    alone = replace(full, arms=full.arms.head(1), slices=nothing, curves=nothing, peaks=nothing,
                    summaries=nothing, assay=nothing, flips=(), provenance={})  # fmt: skip
    said = Page(write_page(alone, tmp_path / "a.html")).said
    assert "None was registered" in said
    assert "Nobody knows: no known harm" in said
    assert not MISSING.search(said.replace("None was registered", ""))


@pytest.mark.parametrize("missing", [None, pd.NA])
def test_what_may_be_missing_is_a_dash(tmp_path: Path, missing: object) -> None:
    """Of one arm all that is measured, of other frames all numbers."""
    full = made_up(2, 1)
    known = ["key", "family", "title", "name", "role", "model", "benchmark"]
    arms = full.arms.astype(object)
    arms.loc[3, arms.columns.difference(known)] = missing
    holes = {
        name: getattr(full, name).assign(**dict.fromkeys(columns, missing))
        for name, columns in {
            "slices": ["n", "difference_low", "difference_high", "p_adjusted"],
            "curves": ["difference_low", "difference_high", "band_low", "band_high", "n"],
            "peaks": ["low", "high", "n", "p", "chosen_value"],
            "summaries": ["low", "high", "prediction_low", "prediction_high", "tau", "i2"],
            "assay": ["key", "name", "difference_value", "difference_low", "difference_high"],
        }.items()
    }
    path = write_page(replace(full, arms=arms, **holes), tmp_path / "a.html")
    assert not MISSING.search(Page(path).said)
    assert set(lines_of(path, "arms")[3][1:-1]) == {"–"}


def test_pictures_are_bounded_and_every_arm_keeps_its_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise, which nothing compresses: its third question of an arm loses its picture first."""
    full = made_up(1, 1)
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8))
    keys = full.arms["key"][1:9]
    flips = [
        Flip(arm=key, uid=f"{key}/{turn}", direction="lost", question="?", options=(), gold="a",
             control_answer="a", arm_answer="b", picture=noise)
        for key in keys for turn in range(3)
    ]  # fmt: skip
    figure = tmp_path / "figures" / "forest.png"
    figure.parent.mkdir()
    noise.save(figure)
    drawn = SimpleNamespace(png=figure, title="Forest", caption="all", kind="forest")
    bare = write_page(full, tmp_path / "bare.html").stat().st_size
    monkeypatch.setattr(document, "LIMIT", bare + 150_000)
    path = write_page(replace(full, flips=flips), tmp_path / "a.html", [drawn])
    assert path.stat().st_size <= bare + 150_000
    text = path.read_text(encoding="utf-8")
    cards = re.findall(r'<article class="flip.*?</article>', text, flags=re.DOTALL)
    assert len(cards) == 24
    shown = ["data:image/webp" in card for card in cards]
    assert all(shown[::3])
    assert not all(shown)
    assert not any(shown[2::3]) or all(shown[1::3])
    assert "Its picture is left out" in cards[shown.index(False)]
    assert "figures/forest.png" in text


def test_of_too_many_arms_the_registered_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sections, "ARMS", 4)
    said = Page(write_page(made_up(1, 1), tmp_path / "a.html"))
    rows = [each for each in said.named("tr") if "data-role" in each]
    table = [each["data-role"] for each in rows][:4]
    assert table == ["control", "explored", "primary", "positive control"]
    assert "The page shows 4 of 16 lines" in said.said
    assert "15 arms against" in said.said


def test_known_harms_squeeze_nobody() -> None:
    gentle = [-0.05, 0.05]
    assert unsqueezed(gentle, [*gentle, -0.1], 0.01).holds(-0.1)
    assert not unsqueezed(gentle, [*gentle, -0.5], 0.01).holds(-0.5)
    assert unsqueezed([], [-0.5], 0.01).holds(-0.5)


def test_places_on_axes() -> None:
    plain = Scale(low=-0.1, high=0.3)
    assert [plain.place(each) for each in (-0.1, 0.0, 0.3, 9.0)] == [0.0, 25.0, 100.0, 100.0]
    doubling = Scale(low=0.5, high=8.0, logarithmic=True)
    assert [doubling.place(each) for each in (0.5, 1, 2, 4, 8)] == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert along([0.5, 4.0], dose=True).logarithmic
    assert not along([0.5, 4.0], dose=False).logarithmic  # layers 0 and 4 are as far as 4 and 8
    assert not along([0.0, 4.0], dose=True).logarithmic
    assert along([2.0], dose=True).place(2.0) == 50.0


def test_one_known_harm_is_no_harms(tmp_path: Path) -> None:
    said = Page(write_page(made_up(1, 1), tmp_path / "index.html")).said
    assert "1 known harm" in said
    assert "1 known harms" not in said

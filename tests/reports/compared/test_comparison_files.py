"""What a comparison writes is read back by pandas, spreadsheets, LaTeX and Markdown as it was."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from solvent.reports.compared import paper_tables
from solvent.reports.compared.frame_files import FRAMES, write
from solvent.reports.compared.frames import Comparison
from tests.reports.compared.made_up import made_up

NAMES = (
    "=SUM(A1:A9)",
    r"\input{/etc/passwd} ~^{}",
    'a|b `c` *d* _e_ **f** ~~g~~ [h](i) "j"',
    "<script>alert(1)</script> & 50 % $x^2$ #1 @k",
    "caf\u00e9 \u2192 \u4e2d\u6587 \u2265 2",
    "\u4e2d first",
    "[3pt] first",
    "* first",
    "an_intervention_of_which/the_name=isverylongandcannotbebrokenwhereblanksare",
)
TEX_FLOATS = r"\\begin\{(\w+\*?)\}|\\end\{(\w+\*?)\}"
TEX_SPECIAL = re.compile(r"(?<!\\)[&#%$_^~]")
TEX_TEXT = {r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~",
            r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"{\char34}": '"',
            r"\allowbreak{}": "", r"$\to$": "\u2192", r"$\ge$": "\u2265",
            "{[}": "[", "{*}": "*", **{f"\\{sign}": sign for sign in "{}$&#%_"}}  # fmt: skip
LACKING = {0x4E2D: "[U+4E2D]", 0x6587: "[U+6587]"}  # what the fonts lack is named
DOCUMENT = r"""\documentclass%s{article}
\usepackage{booktabs,tabularx}
\begin{document}
\input{arms.tex}
\end{document}
"""


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """The made-up one, with names that a format might obey."""
    known = made_up()
    arms = known.arms.copy()
    places = arms.index[arms["name"].str.startswith(("a_b", "gaussian", "reweight"))][: len(NAMES)]
    arms.loc[places, "name"] = NAMES
    return replace(known, arms=arms)


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study") / "comparison"
    written = write(comparison, place)
    assert sorted(written) == sorted(place.iterdir())
    return place


def read_back(cell: str) -> str:
    """The text of a LaTeX cell without the words that follow a name; fails at what is not known."""
    text = re.sub(r" \((registered|positive control|\d+ seeds)\)$", "", cell)
    parts = re.split(r"(\\[a-z]+\{\}|\{\\char34\}|\{[\[*]\}|\\.|\$\\[a-z]+\$)", text)
    assert not re.search(r"[\\{}]", "".join(parts[::2]))
    return "".join(TEX_TEXT[part] if place % 2 else part for place, part in enumerate(parts))


def with_none(frame: pd.DataFrame) -> pd.DataFrame:
    """One sign for all that is missing."""
    return frame.astype(object).where(frame.notna(), None)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_read_back(name: str, comparison: Comparison, folder: Path) -> None:
    frame = getattr(comparison, name)
    stored = pd.read_parquet(folder / f"{name}.parquet")
    pd.testing.assert_frame_equal(with_none(stored), with_none(frame.reset_index(drop=True)))
    path = folder / f"{name}.csv"
    text = pd.read_csv(path, keep_default_na=False, na_values=[""])
    assert list(text.columns) == list(frame.columns)
    for column in frame.select_dtypes("number"):
        same = text[column].to_numpy(float), frame[column].to_numpy(float)
        np.testing.assert_allclose(*same, rtol=1e-15)
    assert not re.search(r"(^|,)(nan|None|<NA>|NaT)(,|$)", path.read_text(), re.MULTILINE)


def test_types_units_and_origin_are_kept(comparison: Comparison, folder: Path) -> None:
    schema = pq.read_schema(folder / "arms.parquet")
    kinds = {name: schema.field(name).type for name in ("seeds", "stochastic", "difference_value")}
    assert kinds == {
        "seeds": pa.int64(),
        "stochastic": pa.bool_(),
        "difference_value": pa.float64(),
    }
    assert schema.field("imported").type in (pa.string(), pa.large_string())  # missing throughout
    units = {name: schema.field(name).metadata[b"unit"].decode() for name in ("margin", "seconds")}
    assert units == {"margin": "difference of shares, -1 to 1", "seconds": "seconds"}
    about = json.loads(schema.metadata[b"solvent"])
    assert about["provenance"] == dict(comparison.provenance)
    assert (about["study"], about["frame"]) == ("made_up", "arms")
    assert (
        pq.read_schema(folder / "peaks.parquet").field("value").metadata[b"unit"]
        == units["margin"].encode()
    )
    cells = pq.read_schema(folder / "cells.parquet")
    assert cells.field("errors").metadata[b"unit"] == b"count"  # in `arms` a rate
    assert not cells.field("score_value").metadata  # points of a benchmark that has some


def test_no_text_is_a_formula(comparison: Comparison, folder: Path) -> None:
    names = pd.read_csv(folder / "arms.csv")["name"]
    assert "'=SUM(A1:A9)" in set(names)
    assert "=SUM(A1:A9)" in set(pd.read_parquet(folder / "arms.parquet")["name"])


def test_equal_comparisons_have_equal_bytes_and_nothing_stays(
    comparison: Comparison, tmp_path: Path
) -> None:
    again = [write(comparison, tmp_path / each) for each in ("a", "b")]
    assert [place.read_bytes() for place in again[0]] == [each.read_bytes() for each in again[1]]
    left = write(replace(comparison, peaks=pd.DataFrame()), tmp_path / "a")
    assert sorted(left) == sorted((tmp_path / "a").iterdir())
    assert {each.name for each in again[0]} - {each.name for each in left} == {
        "peaks.csv", "peaks.parquet",
    }  # fmt: skip


def test_latex_is_well_formed(comparison: Comparison, folder: Path) -> None:
    """Environments end where they should, rows have as many cells as columns, and no sign of a
    user's is a command.
    """
    text = (folder / "arms.tex").read_text()
    opened: list[str] = []
    for found in re.finditer(TEX_FLOATS, text):
        if found[1]:
            opened.append(found[1])
        else:
            assert opened.pop() == found[2]
    assert not opened
    assert text.isascii() or set(filter(lambda each: not each.isascii(), text)) == {"\u00e9"}
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) > len(comparison.arms)
    for row in rows:
        cells = re.split(r"(?<!\\) & ", row)
        assert len(cells) == 6 or r"\multicolumn{6}" in row
        assert row.count("{") == row.count("}")
        for cell in cells:
            plain = re.sub(r"\$(\\\w+|[-<])\$", "", cell)  # the formulas that are ours
            assert not TEX_SPECIAL.search(plain)
    named = [re.split(r"(?<!\\) & ", row)[0] for row in rows if "multicolumn" not in row]
    first = set(map(read_back, named))
    assert first >= {name.translate(LACKING) for name in comparison.arms["name"]}


def test_bold_is_what_differs_from_its_control(comparison: Comparison, folder: Path) -> None:
    arms = comparison.arms
    differ = arms["verdict"].isin(["BETTER", "WORSE"]) & (arms["role"] != "positive control")
    rows = re.findall(r"^(.*?) & .*\\textbf.*$", (folder / "arms.tex").read_text(), re.MULTILINE)
    assert len(rows) == differ.sum()
    assert set(rows) == {"uniform, layers early", "uniform, layers middle", "uniform, layers late",
                         "vaf"}  # fmt: skip


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex (Debian: texlive)")
@pytest.mark.parametrize("options", ["", "[twocolumn]"])
def test_latex_compiles_and_fits(options: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "paper.tex").write_text(DOCUMENT % options)
    shutil.copy(folder / "arms.tex", tmp_path)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "Overfull" not in ran.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("room", "lines"),
    [(32, [16, 16, 16, 16]), (30, [16, 12, 4] * 2)],  # 2 or 4 would be left
)
def test_no_few_arms_are_left_for_the_next_page(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch, room: int, lines: list[int]
) -> None:
    """Two models of sixteen arms each: the second begins on the next page, or fills this one."""
    monkeypatch.setattr(paper_tables, "ROWS", room)
    blocks = paper_tables.latex(comparison).split(r"\multicolumn")[1:]
    arms = re.compile(r"^(?!arm ).* & .*\\\\$", re.MULTILINE)
    assert [len(arms.findall(each)) for each in blocks] == lines


def test_long_tables_are_continued(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_tables, "ROWS", 7)
    text = paper_tables.latex(comparison)
    tables = text.split(r"\begin{table*}")[1:]
    names = [len(re.findall(r"^(?!arm ).* & .*\\\\$", each, re.MULTILINE)) for each in tables]
    assert sum(names) == len(comparison.arms)
    assert max(names) <= 7
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(labels) == len(set(labels)) == len(tables)
    assert text.count("(continued)") == len(tables) - 2  # two benchmarks


def test_markdown_shows_names_as_they_are(comparison: Comparison, folder: Path) -> None:
    """Read by another library: a row per arm, six cells, texts unchanged, and no HTML."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse((folder / "arms.md").read_text())
    inline = [token for token in tokens if token.type == "inline"]
    assert not {child.type for token in inline for child in token.children} - {
        "text",
        "text_special",
        "strong_open",
        "strong_close",
        "softbreak",
    }
    cells: list[list[str]] = []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            cells.append([])
        if before.type in ("td_open", "th_open"):
            cells[-1].append("".join(child.content for child in token.children))
    assert {len(row) for row in cells} == {6}
    names = {re.sub(r" \((registered|positive control|\d+ seeds)\)$", "", row[0]) for row in cells}
    assert names == {"arm", *comparison.arms["name"]}

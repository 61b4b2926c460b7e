"""The page of all sets is what the tool writes, and the tool says what a set's YAML says."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvent.core.paths import CONF, ROOT
from tools import sets


def test_the_page_is_of_these_files() -> None:
    stale = "run `python -m tools.sets` and commit docs/sets.md"
    assert sets.PAGE.read_text(encoding="utf-8") == sets.page(), stale


def test_a_line_says_what_the_configuration_says() -> None:
    """By hand, from three files of conf/benchmark and their kinds."""
    lines = {line.split("`")[1]: line for line in sets.page().splitlines() if line[:3] == "| `"}
    shown = {name: [cell.strip() for cell in line.split("|")] for name, line in lines.items()}
    assert shown["pope"][3:6] == ["9,000", "50 %", "mean of rows"]
    assert shown["pope"][6:8] == ["MIT, pictures of COCO val2014", "`4db1276663df`"]
    assert shown["vilp"][3:5] == ["900", "0 %"]
    assert shown["vilp"][5] == "mean of rows (picture unusual); right: same word, however spelt"
    assert shown["vlind"][3:5] == ["", "25 %"]  # nobody counted its rows
    assert shown["vlind"][5] == "mean over context of: all rows of a picture right (stage prior)"
    assert shown["amber"][7] == "*files*"
    assert shown["mmmu"][4] == ""  # not published


def test_other_first_lines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("# A set: of mine.\n# By me, https://example.org; licence: MIT.\nname: own\n")
    with pytest.raises(ValueError, match=r"own\.yaml begins with .*; expected '# NAME: what"):
        sets.entry(path)


def test_the_readme_counts_the_sets() -> None:
    """All but those that it names itself."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {"shapes", "shapes_prior", "mosaic", "mosaic_prior", "nlvr"}
    others = {path.stem for path in (CONF / "benchmark").glob("*.yaml")} - named
    assert f"{len(others)} other sets" in readme

"""Rows that are left out: by name, or because they are bad; and what then is expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from omegaconf import DictConfig, open_dict
from PIL import Image

from solvent.cells.asking import identify
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.cells.run import run_cell

Composed = Callable[..., DictConfig]
ROWS = [  # answer and picture of four rows: the second has another answer, the third an address
    ("cat", "p.png"),
    ("cow", "p.png"),
    ("dog", "https://example.org/p.png"),
    ("dog", "p.png"),
]
BAD = r"owner/set, row 1: t/1: the gold answer 'cow' is 0 of the options"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    monkeypatch.setattr("solvent.cells.run.draw_cell", lambda *_: None)  # drawn in other tests


@pytest.fixture
def cell(composed: Composed, tmp_path: Path) -> Callable[..., DictConfig]:
    """Composes a cell on the four rows, of which four are expected, two of each answer."""
    Image.new("RGB", (64, 48)).save(tmp_path / "p.png")
    with (tmp_path / "rows.jsonl").open("w") as file:
        for number, (answer, image) in enumerate(ROWS):
            row = {"id": number, "question": "Which?", "answer": answer, "image": image}
            file.write(json.dumps(row) + "\n")

    def make(**changes: Any) -> DictConfig:
        config = composed("model=tiny", "benchmark=pope")
        config.benchmark.source.id = "owner/set"
        config.benchmark.source.local = str(tmp_path / "rows.jsonl")
        config.benchmark.source.sample.uid = "t/{id}"
        config.benchmark.source.sample.options = ["cat", "dog"]
        config.benchmark.source.sample.tags = {}
        config.benchmark.source.sample.meta = {}
        config.benchmark.reducers = {"score": config.benchmark.reducers.score}
        config.benchmark.stratify = None
        config.benchmark.expect.rows = 4
        config.benchmark.expect.gold = {"cat": 1, "dog": 2}
        for name, value in changes.items():
            config.benchmark[name] = value
        return config

    return make


def uids(config: DictConfig) -> list[str]:
    return [sample.uid for sample in load_benchmark(parse(config).benchmark)[1]]


def test_a_bad_row_is_refused_unless_it_is_to_be_skipped(cell: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match=BAD):
        uids(cell())
    with pytest.raises(ValueError, match=r"row 2: t/2: the image .* is an address"):
        uids(cell(skip=["t/1"]))
    assert uids(cell(skip=["t/1", "t/2"])) == uids(cell(bad_rows="skip")) == ["t/0", "t/3"]
    assert uids(cell(bad_rows="skip", skip=["t/3"])) == ["t/0"]
    with pytest.raises(ValueError, match=r"no row 't/00', did you mean 't/0'\?; correct benchmark"):
        uids(cell(bad_rows="skip", skip=["t/00"]))
    with pytest.raises(ValueError, match="its source gives no question"):
        uids(cell(bad_rows="skip", skip=["t/0", "t/3"]))


def test_what_was_skipped_counts_as_there(cell: Callable[..., DictConfig]) -> None:
    for name, wrong, found in (
        ("rows", 5, "expected 5 rows, found 4"),
        ("rows", 3, "expected 3 rows, found 4"),
        ("gold", {"cat": 1, "dog": 4}, "expected 4 rows with the gold answer 'dog', found 3"),
        ("gold", {"cat": 0}, "expected 0 rows with the gold answer 'cat', found 1"),
    ):
        config = cell(bad_rows="skip")
        config.benchmark.expect[name] = wrong
        with pytest.raises(ValueError, match=found):
            uids(config)


def test_a_run_says_what_it_left_out(
    cell: Callable[..., DictConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for name, changes in (("bad", {"bad_rows": "skip"}), ("named", {"skip": ["t/1", "t/2"]})):
        found[name] = run_cell(cell(**changes), brief=False)
        assert found[name]["skipped"] == 2
        assert found[name]["score"]["n"] == 2
        assert "rows left out" in capsys.readouterr().out
    facts = [
        json.loads(path.read_text())[-1]["data"]["skipped"]
        for path in sorted((tmp_path / "study").rglob("provenance.json"))
    ]
    assert len(facts) == 2  # what is left out makes another cell
    assert all(each["rows"] == 2 and each["uids"] == [] for each in facts)
    assert all(each["bad"][0].startswith("owner/set, row 1: t/1: ") for each in facts)


def test_a_cell_that_skips_nothing_keeps_its_name(cell: Callable[..., DictConfig]) -> None:
    config = cell(bad_rows="skip")
    mute = cell(bad_rows="skip")
    with open_dict(mute):
        del mute.benchmark["skip"]
    assert identify(parse(config)).folder == identify(parse(mute)).folder
    assert "bad_rows" in identify(parse(config)).definition["benchmark"]
    config = cell(skip=["t/1", "t/2"])
    assert identify(parse(config)).definition["benchmark"]["skip"] == ["t/1", "t/2"]
    assert "bad_rows" not in identify(parse(config)).definition["benchmark"]

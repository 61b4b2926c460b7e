"""Every set from a local table in its own schema: its samples by hand, and one whole run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from solvent.benchmarks.benchmark import Expect
from solvent.cells.configuration import check_targets, stored_config
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from solvent.storage.folder import CellFolder
from tests.benchmarks.set_rows import BINARY, Case
from tests.benchmarks.set_rows_choice import CHOICE
from tests.benchmarks.set_rows_free import FREE
from tests.benchmarks.sets.set_rows_folders import FEW_FOLDERS
from tests.benchmarks.sets.set_rows_looking import ANGLE, LOOKING
from tests.benchmarks.sets.set_rows_more import MORE, MORE_FOLDERS

CASES = BINARY | CHOICE | FREE | LOOKING | MORE
FOLDERS = FEW_FOLDERS | MORE_FOLDERS
Composed = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    monkeypatch.setattr("solvent.cells.run.draw_cell", lambda *_: None)  # drawn in other tests


def stored(case: Case, folder: Path) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(case.table(), path)
    return path


def placed(name: str, folder: Path) -> str:
    """The setting that says where the rows of a set are, which are written into a folder."""
    if name in CASES:
        return f"benchmark.source.local={stored(CASES[name], folder)}"
    FOLDERS[name].write(folder / "data")
    return f"benchmark.source.root={folder / 'data'}"


def test_every_set_has_rows_here() -> None:
    files = {path.stem for path in (CONF / "benchmark").glob("*.yaml")}
    own = {"shapes", "shapes_prior", "mosaic", "mosaic_prior", "chair", "amber_generative"}
    own |= {"nlvr", "nlvr_test", "nlvr_hidden", "whatsup", "whatsup_b"}
    assert files - own == CASES.keys() | FOLDERS.keys()


@pytest.mark.parametrize("name", [*CASES, *FOLDERS])
def test_rows_become_these_samples_and_are_scored(
    name: str, composed: Composed, tmp_path: Path
) -> None:
    case = CASES.get(name) or FOLDERS[name]
    settings = [placed(name, tmp_path), "benchmark.answer.max_new_tokens=4"]
    config = composed("model=tiny", f"benchmark={name}", *settings)
    assert isinstance(instantiate(config.benchmark.expect), Expect)
    config.benchmark.expect = None  # of the whole set, not of these rows
    _, samples = load_benchmark(parse(config).benchmark)
    assert len(samples) == len(case.want)
    for sample, want in zip(samples, case.want, strict=True):
        assert fnmatchcase(sample.uid, want.uid)
        assert (sample.text, sample.context) == (want.text, want.context)
        assert (sample.options, sample.gold) == (want.options, want.gold)
        assert (sample.groups, sample.tags) == (want.groups, want.tags)
        assert [image.load().size for image in sample.images] == [(64, 48)] * want.images
    metrics = run_cell(config)
    assert metrics["benchmark"] == name
    assert metrics["errors"] == 0
    assert metrics["score"]["rows"] == len(case.want)
    assert 0 <= metrics["score"]["value"] <= 1
    (folder,) = (tmp_path / "study/tiny" / name).iterdir()
    for row, sample in zip(CellFolder(folder).predictions(), samples, strict=True):
        assert row.uid == sample.uid
        assert (row.cut is None) == (row.raw is None)
        assert row.question == (None if sample.options else sample.text)
    settings = stored_config(folder / "config.yaml")["benchmark"]
    check_targets(settings, ("solvent.benchmarks",), folder)  # it can be read again by other rules
    if isinstance(case, Case):
        facts = json.loads((folder / "provenance.json").read_text())[-1]["data"]
        assert sum(table["rows"] for table in facts["tables"]) == len(case.rows)


YES_OR_NO = "Please answer Yes or No."
BY_LETTER = "Please output the letter corresponding to the correct option."
OFFICIAL = {  # benchmark: the prompts of its rows, in the authors' words
    "mathvista": [
        "Hint: A letter.\nQuestion: Which?\nChoices:\n(A) no\n(B) yes",
        "Hint: One decimal.\nQuestion: How long? (Unit: cm)",
        "Hint: A list.\nQuestion: Which years?",
    ],
    "naturalbench": [
        *[f"{question} {YES_OR_NO}" for question in ("Is it calm?", "Is it wild?") for _ in "01"],
        *[f"{asked} {BY_LETTER}" for asked in ("Which? Option:A:up;B:down;", "Who?") for _ in "01"],
    ],
    "vilp_p": ["Please answer with one word: What colour is the sign?"] * 3,
    "visonlyqa_synthetic": [f"{ANGLE.strip()}\n\nOnly 0."],
    "vlind": [
        "\n".join(
            [
                "Only respond in True or False.",
                *([f"Context: {want.context}"] if want.context else []),
                want.text,
            ]
        )
        for want in FOLDERS["vlind"].want
    ],
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_wording_takes_what_the_row_says(
    name: str, composed: Composed, tmp_path: Path
) -> None:
    config = composed(f"benchmark={name}", "prompt=official", placed(name, tmp_path))
    config.benchmark.expect = None
    benchmark, samples = load_benchmark(parse(config).benchmark)
    assert [benchmark.prompt(sample) for sample in samples] == OFFICIAL[name]
    reworded = [benchmark.prompt(replace(sample, text="Else?")) for sample in samples]
    expected = zip(OFFICIAL[name], samples, strict=True)
    assert reworded == [prompt.replace(sample.text, "Else?") for prompt, sample in expected]


def test_whatsup_reads_its_own_files(composed: Composed, tmp_path: Path) -> None:
    captions = [f"A mug {where} a box" for where in ("on", "under", "left of", "right of")]
    names = ["on", "under", "left_of", "right_of"]
    rows = []
    (tmp_path / "data/controlled_images").mkdir(parents=True)
    for turn, relation in enumerate(names):
        path = f"data/controlled_images/beer-mug_{relation}_box.jpeg"
        Image.new("RGB", (64, 64), (turn * 50, 0, 0)).save(tmp_path / path)
        rows.append({"image_path": path, "caption_options": captions[turn:] + captions[:turn]})
    (tmp_path / "data/controlled_images_dataset.json").write_text(json.dumps(rows))
    config = composed(
        "benchmark=whatsup", f"benchmark.source.root={tmp_path}", "benchmark.expect=null"
    )
    samples = instantiate(config.benchmark).samples()
    assert [sample.options[sample.gold] for sample in samples] == captions
    assert {sample.groups["set"] for sample in samples} == {"beer-mug/box"}
    pairs = [sample.groups["pair"] for sample in samples]
    assert pairs[0] == pairs[1] != pairs[2] == pairs[3]
    assert [sample.tags["relation"] for sample in samples] == ["on", "under", "left", "right"]
    metrics = run_cell(config)
    assert metrics["errors"] == 0
    assert metrics["scores"]["set"]["n"] == 1


@pytest.mark.parametrize("path", sorted((CONF / "benchmark").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_set_says_where_it_comes_from_in_few_lines(path: Path) -> None:
    lines = path.read_text().splitlines()
    config = OmegaConf.load(path)
    assert lines[0].startswith("# ")
    assert len(lines) <= (62 if path.stem == "nlvr" else 46)
    assert config.name == path.stem
    if "id" in config.get("source", {}):
        assert "https://" in lines[1]
        assert "chance" in config or "kind/free@_here_" in config.defaults  # which has 0

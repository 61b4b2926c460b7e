"""VLMEvalKit's files: what their rows become, and one whole run of each."""

from __future__ import annotations

import base64
import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5
from pathlib import Path
from typing import Any

import datasets
import pytest
from omegaconf import DictConfig

from solvent.cells.asking import identify
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from tests.benchmarks.set_rows import picture
from tests.benchmarks.set_rows_tsv import TSV

Composed = Callable[..., DictConfig]
APART = (
    "mmstar",
    "cvbench_2d",
    "cvbench_3d",
)  # what scores them differs from the hub's, on purpose


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("LMUData", str(tmp_path))
    datasets.disable_progress_bars()
    monkeypatch.setattr("solvent.cells.run.draw_cell", lambda *_: None)  # drawn in other tests


def text_of(number: int) -> str:
    return base64.b64encode(picture(number)["bytes"]).decode()


def written(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """A file as pandas writes it: numbers in the column `image` are pictures."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names, delimiter="\t", lineterminator="\n", restval="")
        table.writeheader()
        for row in rows:
            image = row.get("image")
            if isinstance(image, list):
                row = {**row, "image": str([text_of(each) for each in image])}
            elif isinstance(image, int):
                row = {**row, "image": text_of(image)}
            table.writerow(row)
    return path


def cell(composed: Composed, name: str, *changes: str) -> DictConfig:
    config = composed("model=tiny", f"benchmark=tsv/{name}", *changes)
    config.benchmark.answer.max_new_tokens = 4
    config.benchmark.expect.rows = config.benchmark.expect.gold = None
    config.benchmark.expect.groups = {}
    return config


def test_every_file_has_rows_here() -> None:
    files = {path.stem for path in (CONF / "benchmark/tsv").glob("*.yaml")}
    assert files == set(TSV)


@pytest.mark.parametrize("name", TSV)
def test_rows_become_these_samples_and_are_scored(
    name: str, composed: Composed, tmp_path: Path
) -> None:
    case, config = TSV[name], cell(composed, name)
    written(case.rows, tmp_path / config.benchmark.source.file)
    benchmark, samples = load_benchmark(parse(config).benchmark)
    assert len(samples) == len(case.want)
    for sample, want in zip(samples, case.want, strict=True):
        assert sample.uid == want.uid
        assert (sample.text, sample.context) == (want.text, want.context)
        assert (sample.options, sample.gold) == (want.options, want.gold)
        assert (sample.groups, sample.tags) == (want.groups, want.tags)
        assert [image.load().size for image in sample.images] == [(64, 48)] * want.images
    metrics = run_cell(config)
    assert (metrics["benchmark"], metrics["errors"]) == (benchmark.name, 0)
    assert metrics["score"]["rows"] == len(case.want)


@pytest.mark.parametrize("name", sorted(set(TSV) - {*APART}))
def test_a_file_is_scored_as_the_hub_is(name: str, composed: Composed) -> None:
    here, hub = (composed(f"benchmark={each}").benchmark for each in (f"tsv/{name}", name))
    for key in ("name", "reducers", "parser", "free", "answer", "chance"):
        assert here[key] == hub[key], key


def rows(*images: Any, **columns: str) -> list[dict[str, Any]]:
    usual = {"question": "Is it?", "answer": "Yes", "category": "x"} | columns
    return [{"index": str(10 + n), "image": image} | usual for n, image in enumerate(images)]


def pope(composed: Composed) -> list[Any]:
    return [*load_benchmark(parse(cell(composed, "pope")).benchmark)[1]]


def test_a_short_entry_is_the_index_of_the_row_with_the_picture(
    composed: Composed, tmp_path: Path
) -> None:
    written(rows("12", 1, 2), tmp_path / "POPE.tsv")
    identities = [sample.images[0].identity for sample in pope(composed)]
    assert identities[0] == identities[2] != identities[1]
    for wrong in ("13", "10"):  # there is none of this index; that one refers on
        written(rows("12", wrong, 2), tmp_path / "POPE.tsv")
        with pytest.raises(
            ValueError, match=r"POPE\.tsv, row 1: pope/tsv/x/11: the image '1\d' is"
        ):
            pope(composed)


def test_rows_without_a_picture_are_left_out_and_counted(
    composed: Composed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(rows(0, "", 1), tmp_path / "POPE.tsv")
    with caplog.at_level(logging.INFO, "solvent"):
        assert [sample.uid for sample in pope(composed)] == ["pope/tsv/x/10", "pope/tsv/x/12"]
    assert "1 of 3 rows of POPE.tsv have no picture and are left out" in caplog.text
    benchmark, _ = load_benchmark(parse(cell(composed, "pope")).benchmark)
    facts = benchmark.provenance()
    assert (facts["file"], facts["rows"], facts["without_picture"]) == ("POPE.tsv", 3, 1)


def test_an_unpacked_file_names_its_pictures(composed: Composed, tmp_path: Path) -> None:
    folder = tmp_path / "images/POPE/deep"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(picture(1)["bytes"])
    paths = [
        "deep/a.png",
        "/elsewhere/LMUData/images/POPE/deep/a.png",
        "['deep/a.png', 'deep/a.png']",
    ]
    unpacked = [{**row, "image_path": path} for row, path in zip(rows(0, 0, 0), paths, strict=True)]
    for row in unpacked:
        del row["image"]
    written(unpacked, tmp_path / "POPE_local.tsv")
    samples = pope(composed)
    assert [len(sample.images) for sample in samples] == [1, 1, 2]
    assert {image.path for each in samples for image in each.images} == {"images/POPE/deep/a.png"}
    assert samples[1].images[0].load().size == (64, 48)
    unpacked[0]["image_path"] = "/etc/passwd"
    written(unpacked, tmp_path / "POPE_local.tsv")
    with pytest.raises(ValueError, match=r"row 0: .*the data folder, but the table has '/etc"):
        pope(composed)


def test_a_table_of_other_columns_is_refused(composed: Composed, tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("id\tquestion\n1\tIs it?\n")
    with pytest.raises(ValueError, match=r"POPE\.tsv has no column 'image_path', .* id, question"):
        pope(composed)
    written(rows(0), tmp_path / "POPE.tsv")
    config = cell(composed, "pope", "+benchmark.source.exploded.categories=','")
    with pytest.raises(
        ValueError, match=r"POPE\.tsv has no column 'categories'; did you mean 'cat"
    ):
        load_benchmark(parse(config).benchmark)


def test_another_file_than_the_listed_one_is_warned_of(
    composed: Composed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"POPE\.tsv is missing: let VLMEvalKit download it"
    ):
        pope(composed)
    path = written(rows(0), tmp_path / "POPE.tsv")
    pope(composed)
    assert "POPE.tsv is not the file that VLMEvalKit lists (its MD5 begins with " in caplog.text
    caplog.clear()
    config = cell(composed, "pope")
    config.benchmark.source.md5 = md5(path.read_bytes()).hexdigest()[:8]
    load_benchmark(parse(config).benchmark)
    assert not caplog.text


def test_it_is_another_cell_than_the_hubs_and_vlmevalkits_rules_read_it(
    composed: Composed, tmp_path: Path
) -> None:
    path = written(rows(0, 1), tmp_path / "POPE.tsv")
    generated = ["compat=vlmevalkit", "benchmark.answer.mode=generate"]
    first = identify(parse(cell(composed, "pope", *generated)))
    assert run_cell(cell(composed, "pope", *generated))["compat"] == "vlmevalkit"
    (tmp_path / "moved").mkdir()
    path.rename(tmp_path / "moved/POPE.tsv")
    moved = cell(composed, "pope", *generated, f"benchmark.source.root={tmp_path / 'moved'}")
    assert identify(parse(moved)).folder == first.folder
    written(rows(0, 2), tmp_path / "moved/POPE.tsv")
    assert identify(parse(moved)).folder != first.folder
    hub = composed("model=tiny", "benchmark=pope", *generated)
    hub.benchmark.source.revision = "a" * 40
    assert identify(parse(hub)).pairing != first.pairing

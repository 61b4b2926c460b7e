"""COCO's files, made small: which pictures are asked, what is in them, and whole cells."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from solvent.benchmarks.captions import annotations
from solvent.benchmarks.captions.annotations import pictures_of
from solvent.benchmarks.captions.coco import drawn
from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse
from solvent.cells.rescoring import rescore
from solvent.cells.run import run_cell
from tests.comparison_of import comparison_of

Composed = Callable[..., DictConfig]
FILES = {number: f"COCO_val2014_{number:012d}.jpg" for number in (9, 42, 73, 139, 581929)}
INSTANCES = {
    "images": [{"id": number, "file_name": name} for number, name in FILES.items()],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "wine glass"}],
    "annotations": [
        {"image_id": number, "category_id": category, "segmentation": [[0.5, 1.5]]}
        for number, category in ((9, 1), (9, 1), (9, 3), (73, 3))
    ],
}
SAID = ((9, "A man, two baby birds."), (9, "People and knives"), (42, "Skies."), (139, "A tv"))
CAPTIONS = {
    "images": INSTANCES["images"],
    "annotations": [{"image_id": number, "caption": text} for number, text in SAID],
}
THERE = {
    9: ("bird", "knife", "person", "wine glass"),
    42: (),
    73: ("wine glass",),
    139: ("tv",),
    581929: (),
}


def write(root: Path, instances: Mapping[str, Any], captions: Mapping[str, Any]) -> None:
    for folder in ("annotations", "val2014"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "annotations/instances_val2014.json").write_text(json.dumps(instances))
    (root / "annotations/captions_val2014.json").write_text(json.dumps(captions))


@pytest.fixture
def coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of COCO with five pictures, found through the variable."""
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "data"))
    root = tmp_path / "data" / "coco"
    write(root, INSTANCES, CAPTIONS)
    for name in FILES.values():
        Image.new("RGB", (64, 48), "navy").save(root / "val2014" / name)
    return root


def asked(composed: Composed, *overrides: str) -> DictConfig:
    usual = ("benchmark=chair", "benchmark.source.held=5", "benchmark.source.count=5")
    return composed(*usual, "benchmark.answer.max_new_tokens=4", *overrides)


def test_objects_are_those_that_are_marked_and_those_that_people_name(
    coco: Path, composed: Composed
) -> None:
    benchmark, samples = load_benchmark(parse(asked(composed)).benchmark)
    assert [sample.uid for sample in samples] == [f"chair/{number}" for number in THERE]
    assert [sample.gold.answers for sample in samples] == list(THERE.values())
    assert [sample.images[0].identity for sample in samples] == [
        f"val2014/{name}" for name in FILES.values()
    ]
    assert {benchmark.prompt(sample) for sample in samples} == {
        "Please help me describe the image in detail."
    }
    other = asked(composed, "benchmark.source.wording=please")
    _, samples = load_benchmark(parse(other).benchmark)
    assert samples[0].text == "Please describe this image in detail."


def test_pictures_are_drawn_by_a_hash_that_needs_nothing_but_their_ids(
    coco: Path, composed: Composed
) -> None:
    def key(number: int) -> str:
        return hashlib.sha256(f"0:{number}".encode()).hexdigest()

    first = sorted(FILES, key=key)[:2]
    config = asked(composed, "benchmark.source.count=2")
    samples = instantiate(config.benchmark).samples()
    assert [sample.uid for sample in samples] == [f"chair/{number}" for number in sorted(first)]
    numbers = list(range(1, 40505))
    assert drawn(numbers, 3, 0) == [20015, 34125, 34409]  # by perl, too
    assert drawn(numbers[::-1], 500, 0)[:3] == drawn(numbers, 3, 0)
    assert drawn(numbers, 3, 1) != drawn(numbers, 3, 0)


@pytest.mark.parametrize("layout", ["lines", "names", "json"])
def test_a_list_of_pictures_takes_the_place_of_the_draw(
    layout: str, coco: Path, composed: Composed
) -> None:
    text = {
        "lines": "581929\n9\n",
        "names": f"{FILES[9]}\n{FILES[581929]}\n",
        "json": json.dumps([9, 581929]),
    }[layout]
    (coco / "paper.txt").write_text(text)
    config = asked(composed, "benchmark.source.ids=paper.txt")
    samples = instantiate(config.benchmark).samples()
    assert [sample.uid for sample in samples] == ["chair/9", "chair/581929"]


@pytest.mark.parametrize(
    ("listed", "setting", "message"),
    [
        ("9\n10", "ids=paper.txt", r"paper.txt lists '10' and the annotations have no such"),
        ("9\n42\n9", "ids=paper.txt", r"paper.txt lists '9' twice"),
        ("9\nx", "ids=paper.txt", r"paper.txt lists 'x' and the annotations have no such"),
        ("", "held=40504", r"describes 5 pictures, expected 40,504"),
        ("", "count=6", r"count is 6; expected 1 to 5"),
        ("", "wording=pleas", r"no wording 'pleas'.*please"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    listed: str, setting: str, message: str, coco: Path, composed: Composed
) -> None:
    (coco / "paper.txt").write_text(listed)
    benchmark = instantiate(asked(composed, f"benchmark.source.{setting}").benchmark)
    with pytest.raises(ValueError, match=message):
        benchmark.samples()


def test_files_of_another_form_are_refused(coco: Path, composed: Composed) -> None:
    benchmark = instantiate(asked(composed).benchmark)
    for instances, captions, message in (
        ({**INSTANCES, "annotations": [{}]}, CAPTIONS, "'annotations' of objects with image_id"),
        ([], CAPTIONS, "expected a list 'images'"),
        (INSTANCES, {**CAPTIONS, "images": []}, "describe different pictures"),
        (
            {**INSTANCES, "categories": [{"id": 1, "name": "tree"}, {"id": 3, "name": "tv"}]},
            CAPTIONS,
            "category 'tree' of COCO is unknown",
        ),
    ):  # fmt: skip
        write(coco, instances, captions)
        with pytest.raises(ValueError, match=message):
            benchmark.samples()
    shutil.rmtree(coco / "val2014")
    with pytest.raises(FileNotFoundError, match=r"val2014 is missing: .*unpack val2014.zip"):
        benchmark.samples()


def test_large_files_are_read_once(
    coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(annotations, "LARGE", 0)
    files = [coco / f"annotations/{name}_val2014.json" for name in ("instances", "captions")]
    read, times = annotations._read, []

    def counted(*given: Path) -> Any:
        times.append(given)
        return read(*given)

    monkeypatch.setattr(annotations, "_read", counted)
    first = pictures_of(*files)
    assert {number: tuple(map(list, row[1:])) for number, row in first.items()}[9] == (
        ["person", "wine glass"],
        ["A man, two baby birds.", "People and knives"],
    )
    again = pictures_of(*files)
    assert {number: tuple(row) for number, row in again.items()} == first
    assert len(times) == 1
    write(
        coco, INSTANCES, {**CAPTIONS, "annotations": [{"image_id": 9, "caption": "A longer text"}]}
    )
    assert pictures_of(*files)[9][2] == ["A longer text"]
    (kept,) = (tmp_path / "cache/captions").iterdir()
    kept.write_text("{")
    assert pictures_of(*files)[9][2] == ["A longer text"]
    assert len(times) == 3


def test_a_cell_is_scored_says_what_was_asked_and_is_read_again_without_data(
    coco: Path, composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    undrawn: None, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("solvent.cells.run.draw_cell", lambda *_: None)
    metrics = run_cell(asked(composed))
    assert (metrics["errors"], metrics["score"]["rows"], metrics["chance"]) == (0, 5, 0.0)
    assert metrics["score"]["asked"] == {
        "question": "Please help me describe the image in detail.",
        "max_new_tokens": 4,
    }
    assert metrics["score"]["measures"]["recall"]["value"] == 0.0  # tiny knows shapes
    shown = capsys.readouterr().out
    assert '"Please help me describe the image in detail.", at most 4 tokens' in shown
    assert "chair i (lower is better)" in shown
    assert f"{metrics['score']['measures']['words']['value']:.1f} words [" in shown
    comparison_of(tmp_path)
    side_by_side = capsys.readouterr().out
    assert "lower better" in side_by_side
    assert 'asked: "Please help me' in side_by_side
    (folder,) = (tmp_path / "study/tiny/chair").iterdir()
    shutil.rmtree(coco)
    again = rescore(folder, [], label=None, write=False)
    assert again["score"] == metrics["score"]
    assert "0 of 5 answers are read otherwise" in capsys.readouterr().out

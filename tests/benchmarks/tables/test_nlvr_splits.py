"""NLVR's test splits in small folders of their original layout; the hidden one names no folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from PIL import Image

from solvent.cells.loading import load_benchmark
from solvent.cells.request import parse

ROWS = [("12-0", "true", "0"), ("12-1", "false", "3"), ("7-0", "true", "3")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two splits of three rows each, in six permutations, in two folders of pictures."""
    for split in ("test", "hidden"):
        lines = []
        for number, (identifier, label, directory) in enumerate(ROWS):
            row = {"sentence": f"There are {number}.", "label": label, "identifier": identifier}
            row |= {"structured_rep": [], "evals": {}}
            lines.append(row | ({"directory": directory} if split == "test" else {}))
            place = tmp_path / "nlvr" / split / "images" / directory
            place.mkdir(parents=True, exist_ok=True)
            for permutation in range(6):
                picture = Image.new("RGB", (10 + number, 10 + permutation))
                picture.save(place / f"{split}-{identifier}-{permutation}.png")
        table = tmp_path / "nlvr" / split / f"{split}.json"
        table.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "nlvr"


@pytest.mark.parametrize("split", ["test", "hidden"])
def test_a_split_is_read_in_its_own_layout(
    split: str, composed: Callable[..., DictConfig], folder: Path, tmp_path: Path
) -> None:
    config = composed("model=tiny", f"benchmark=nlvr_{split}", f"benchmark.source.root={folder}")
    assert config.benchmark.expect.groups.row == {"test": 990, "hidden": 985}[split]
    assert config.benchmark.expect.rows == 6 * config.benchmark.expect.groups.row
    with pytest.raises(ValueError, match=r"expected 5,9\d0 rows, found 18"):
        load_benchmark(parse(config).benchmark)
    config.benchmark.expect = None
    benchmark, samples = load_benchmark(parse(config).benchmark)
    wanted = [(number, permutation) for number in range(3) for permutation in range(6)]
    assert [sample.images[0].load().size for sample in samples] == [
        (10 + number, 10 + permutation) for number, permutation in wanted
    ]
    assert [sample.uid for sample in samples] == [
        f"nlvr/{split}/{ROWS[number][0]}-{permutation}" for number, permutation in wanted
    ]
    assert {sample.groups["sentence"] for sample in samples} == {"12", "7"}
    assert [sample.options[sample.gold] for sample in samples[::6]] == ["true", "false", "true"]
    (export,) = benchmark.exports
    assert export._image(samples[1].uid) == f"{split}-12-0-1.png"


def test_a_picture_in_no_folder_or_in_two_is_refused(
    composed: Callable[..., DictConfig], folder: Path
) -> None:
    config = composed("benchmark=nlvr_hidden", f"benchmark.source.root={folder}")
    config.benchmark.expect = None
    images = folder / "hidden/images"
    shutil.copy(images / "0/hidden-12-0-1.png", images / "3")
    with pytest.raises(ValueError, match=r"nlvr/hidden/12-0-1: 2 files below hidden/images/ are"):
        load_benchmark(parse(config).benchmark)
    for place in ("0", "3"):
        (images / place / "hidden-12-0-1.png").unlink()
    with pytest.raises(ValueError, match="0 files below hidden/images/ are named hidden-12-0-1"):
        load_benchmark(parse(config).benchmark)
    config.benchmark.skip = ["nlvr/hidden/12-0-1"]
    assert len(load_benchmark(parse(config).benchmark)[1]) == 17

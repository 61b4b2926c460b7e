"""NLVR as configured: on its development split where present, on a small replica anywhere."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from solvent.benchmarks.benchmark import Benchmark
from solvent.core.paths import ROOT
from solvent.core.types import Prediction, Sample, Status


def prediction(sample: Sample, index: int | None, status: Status = "ok") -> Prediction:
    return Prediction(
        uid=sample.uid,
        condition="real",
        raw=None,
        scores=None,
        parsed=index,
        gold=sample.gold,
        status=status,
        credit=float(index == sample.gold),
        visual_mass=None,
        cells_edited=0,
        groups=sample.groups,
        tags=sample.tags,
    )


def always_true(samples: Sequence[Sample]) -> list[Prediction]:
    return [prediction(sample, sample.options.index("true")) for sample in samples]


def skilled(samples: Sequence[Sample]) -> list[Prediction]:
    """Right on 97 %, with some answers that cannot be read and some failed samples."""
    generator = random.Random(0)
    rows = []
    for sample in samples:
        draw = generator.random()
        if draw < 0.005:
            status = generator.choice(["none", "ambiguous", "error"])
            rows.append(prediction(sample, None, status))
        else:
            rows.append(prediction(sample, sample.gold if draw < 0.975 else 1 - sample.gold))
    return rows


def official_scores(csv: Path, table: Path) -> tuple[float, float]:
    """Accuracy and consistency by the definitions of NLVR's README, straight from the two files."""
    answers = dict(line.split(",") for line in csv.read_text(encoding="utf-8").splitlines())
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    right, statements = [], defaultdict(list)
    for row in rows:
        for permutation in range(6):
            answer = answers[f"dev-{row['identifier']}-{permutation}.png"]
            right.append(answer.lower() == row["label"].lower())
            statements[row["identifier"].split("-")[0]].append(right[-1])
    assert len(answers) == len(right)
    return sum(right) / len(right), sum(map(all, statements.values())) / len(statements)


def test_all_images_of_the_split_are_there(nlvr: Benchmark) -> None:
    samples = nlvr.samples()
    assert len(samples) == 5934
    assert len({sample.groups["row"] for sample in samples}) == 989
    assert len({sample.groups["sentence"] for sample in samples}) == 267
    assert len({sample.images[0].identity for sample in samples}) == 5934
    assert [sample.uid for sample in samples[:2]] == ["nlvr/dev/1572-0-0", "nlvr/dev/1572-0-1"]
    assert sum(sample.tags["label"] == "true" for sample in samples) == 547 * 6
    assert all(sample.options[sample.gold] == sample.tags["label"] for sample in samples)
    assert nlvr.prompt(samples[0]) == (
        "Each grey box contains atleast one yellow object touching the edge\n"
        "Is this statement about the image true or false?"
    )
    assert nlvr.candidates(samples[0]) == ("true", "false")
    assert samples == nlvr.samples()


def test_pictures_are_shown_as_they_are_on_white(nlvr: Benchmark) -> None:
    for sample in nlvr.samples()[::97]:
        (image,) = sample.images
        with Image.open(image.file) as picture:
            raw = np.asarray(picture, dtype=float)
        expected = raw[..., :3] * raw[..., 3:] / 255 + 255 - raw[..., 3:]
        shown = image.load()
        assert (shown.mode, shown.size) == ("RGB", (400, 100))
        np.testing.assert_allclose(np.asarray(shown, dtype=float), expected, atol=1)


@pytest.mark.parametrize("answers", [always_true, skilled])
def test_scores_are_the_official_ones(nlvr: Benchmark, answers: object, tmp_path: Path) -> None:
    samples = nlvr.samples()
    predictions = answers(samples)
    (csv,) = nlvr.export(predictions, tmp_path)
    assert csv == tmp_path / "nlvr_official.csv"
    table = samples[0].images[0].root / "dev" / "dev.json"
    accuracy, consistency = official_scores(csv, table)
    scores = nlvr.score(predictions)
    assert scores["score"]["value"] == pytest.approx(accuracy)
    assert scores["consistency"]["value"] == pytest.approx(consistency)
    if answers is always_true:
        assert accuracy == pytest.approx(547 / 989)
        assert consistency == pytest.approx(17 / 267)
        assert scores["invariance"]["value"] == pytest.approx(547 / 989)
    else:
        assert 0.3 < consistency < 0.8
        unread = [row for row in predictions if row.status != "ok"]
        counted = (scores["score"][name] for name in ("none", "ambiguous", "errors"))
        assert sum(counted) == len(unread) > 0
    for name, n in (("score", 5934), ("consistency", 267), ("invariance", 989)):
        assert scores[name]["low"] < scores[name]["value"] < scores[name]["high"]
        assert (scores[name]["n"], scores[name]["clusters"]) == (n, 267)


def test_a_limit_keeps_whole_statements(nlvr: Benchmark) -> None:
    sizes = defaultdict(int)
    for sample in nlvr.samples():
        sizes[sample.groups["sentence"]] += 1
    some = replace(nlvr, limit=500).samples()
    found = defaultdict(int)
    for sample in some:
        found[sample.groups["sentence"]] += 1
    assert 476 < len(some) <= 500
    assert all(found[sentence] == sizes[sentence] for sentence in found)
    assert some == replace(nlvr, limit=500).samples()
    share = sum(sample.tags["label"] == "true" for sample in some) / len(some)
    assert share == pytest.approx(547 / 989, abs=0.05)


@pytest.fixture
def replica(nlvr_config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """The configured benchmark on a data folder of three rows, found through the variable."""
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "data"))
    dev = tmp_path / "data" / "nlvr" / "dev"
    (dev / "images" / "4").mkdir(parents=True)
    rows = []
    for identifier, label in (("7-0", "true"), ("7-1", "false"), ("10-3", "true")):
        rows.append(
            {
                "sentence": "There is a {box}.",
                "label": label,
                "identifier": identifier,
                "directory": "4",
                "structured_rep": [[], [], []],
            }
        )
        for permutation in range(6):
            picture = Image.new("RGBA", (40, 10), (permutation, 0, 0, 128))
            picture.save(dev / "images" / "4" / f"dev-{identifier}-{permutation}.png")
    (dev / "dev.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    nlvr_config.benchmark.expect = None
    return instantiate(nlvr_config.benchmark)


def test_the_configuration_on_a_small_replica(replica: Benchmark, tmp_path: Path) -> None:
    samples = replica.samples()
    assert len(samples) == 18
    assert samples[11].groups == {"sentence": "7", "row": "7-1"}
    assert samples[11].images[0].identity == "dev/images/4/dev-7-1-5.png"
    assert samples[11].text.startswith("There is a {box}.\n")
    assert (samples[11].gold, samples[11].options) == (1, ("true", "false"))
    assert samples[0].images[0].load().getpixel((0, 0)) == (127, 127, 127)
    predictions = [*always_true(samples[:17]), prediction(samples[17], None, "error")]
    (csv,) = replica.export(predictions, tmp_path)
    lines = csv.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "dev-7-0-0.png,true"
    assert lines[17] == "dev-10-3-5.png,error"
    scores = replica.score(predictions)
    assert scores["score"]["value"] == pytest.approx(11 / 18)
    assert scores["consistency"]["value"] == 0.0
    assert scores["invariance"]["value"] == pytest.approx(1 / 3)
    assert scores["score"]["errors"] == 1


def test_an_unreadable_picture_stops_only_its_sample(replica: Benchmark) -> None:
    samples = replica.samples()
    file = samples[3].images[0].file
    file.write_bytes(file.read_bytes()[:60])
    assert len(replica.samples()) == 18
    with pytest.raises(OSError, match=r"the image .*dev-7-0-3\.png cannot be read"):
        samples[3].images[0].load()
    file.unlink()
    with pytest.raises(OSError, match=r"the image .*dev-7-0-3\.png cannot be read"):
        samples[3].images[0].load()


def test_a_missing_folder_says_what_to_do(
    nlvr_config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError) as error:
        instantiate(nlvr_config.benchmark).samples()
    message = str(error.value)
    assert str(tmp_path / "empty" / "nlvr") in message
    assert "SOLVENT_DATA" in message
    assert "clone https://github.com/lil-lab/nlvr" in message
    assert message.count(". ") == 0
    assert message.endswith(".")


def test_a_relative_data_folder_starts_at_the_repository(
    nlvr_config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLVENT_DATA", "nowhere/data")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(ROOT / "nowhere" / "data" / "nlvr")):
        instantiate(nlvr_config.benchmark).samples()

"""Scoring again: equal rules give equal metrics, other rules are applied to the stored answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.benchmarks.benchmark import Benchmark
from solvent.cells.rescoring import rescore
from solvent.cells.scoring import summarise
from solvent.core.paths import CONF
from solvent.core.types import CandidateScore, Prediction, Sample
from solvent.storage.folder import CellFolder
from solvent.storage.records import encode


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A ranked and a generated cell, finished, with answers from no model."""
    output = tmp_path_factory.mktemp("outputs")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return {mode: finished(output / mode, mode) for mode in ("rank", "generate")}


def finished(place: Path, mode: str) -> Path:
    overrides = ["limit=9", "benchmark.source.questions=1", f"benchmark.answer.mode={mode}"]
    config = compose("evaluate", overrides)
    OmegaConf.resolve(config)
    benchmark = instantiate(config.benchmark, _convert_="all")
    samples = benchmark.samples()
    folder = CellFolder(place)
    folder.make(len(samples))
    folder.open(OmegaConf.to_yaml(config), {})
    folder.append([answered(benchmark, sample) for sample in samples], 1.0, 0.5, 32)
    predictions = folder.merge([sample.uid for sample in samples])
    metrics = {"model": "none", "compat": "none"} | summarise(benchmark, predictions)
    folder.write_metrics(metrics, folder.timing(32))
    folder.finish([])
    return place


def answered(benchmark: Benchmark, sample: Sample) -> Prediction:
    """The last option is ranked first, or said; of more than two, the last two are said."""
    if benchmark.mode(sample) == "rank":
        values = [-float(len(sample.options) - n) for n, _ in enumerate(sample.options)]
        scores = tuple(CandidateScore(log_probability=value, tokens=1) for value in values)
        raw, reading = None, benchmark.choose(scores, sample)
    else:
        both = len(sample.options) > 2
        raw, scores = " or ".join(sample.options[-2 if both else -1 :]), None
        reading = benchmark.parse(raw, sample)
    return Prediction(
        uid=sample.uid,
        condition="real",
        raw=raw,
        scores=scores,
        parsed=reading.value,
        gold=sample.gold,
        status=reading.status,
        credit=benchmark.credit(reading, sample),
        visual_mass=None,
        cells_edited=0,
        groups=dict(sample.groups),
        tags=dict(sample.tags),
        options=sample.options,
    )


@pytest.fixture
def said(cells: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the generated cell, in which every answer is "Answer: B" and read as nothing."""
    run = tmp_path / "run"
    shutil.copytree(cells["generate"], run)
    changed = {"raw": "Answer: B", "parsed": None, "status": "none", "credit": 0.0}
    rows = [replace(row, **changed) for row in CellFolder(run).predictions()]
    (run / "predictions.jsonl").write_text("".join(f"{encode(row)}\n" for row in rows))
    CellFolder(run).finish([])
    return run


@pytest.mark.parametrize("mode", ["rank", "generate"])
def test_equal_rules_give_equal_metrics(cells: dict[str, Path], mode: str) -> None:
    metrics = CellFolder(cells[mode]).metrics()
    assert rescore(cells[mode], [], label=None, write=False) == metrics
    assert (metrics["unparsed"] > 0) == (mode == "generate")


def test_another_parser_reads_otherwise(said: Path, capsys: pytest.CaptureFixture) -> None:
    words = rescore(said, ["parser=Words"], label=None, write=False)
    assert words["unparsed"] == 9
    capsys.readouterr()
    letters = rescore(said, ["parser=Letter"], label=None, write=True)
    golds = [row.gold for row in CellFolder(said).predictions()]
    assert letters["unparsed"] == 0
    assert letters["score"]["value"] == pytest.approx(golds.count(1) / 9)  # one question per kind
    assert "9 of 9 answers are read otherwise, " in capsys.readouterr().out
    stored = json.loads((said / "metrics-parser-Letter.json").read_text())
    assert stored == letters | {"changes": ["parser=Letter"]}
    with pytest.raises(ValueError, match=r"metrics-parser-Letter\.json exists already"):
        rescore(said, ["parser=Letter"], label=None, write=True)


def test_other_reducers_and_profiles(said: Path) -> None:
    changes = ["parser=Letter", "benchmark.reducers.score.tags=[level]"]
    with pytest.raises(ValueError, match="has no tag 'level'"):
        rescore(said, changes, label=None, write=False)
    with pytest.raises(ValueError, match="compat=official has no rules for the benchmark 'shapes'"):
        rescore(said, ["compat=official"], label=None, write=False)
    official = rescore(said, ["benchmark.name=mmmu", "compat=official"], label="peer", write=True)
    assert (official["compat"], official["unparsed"]) == ("official", 0)
    assert (said / "metrics-peer.json").exists()


def test_what_cannot_be_rescored_is_refused(said: Path, tmp_path: Path) -> None:
    for change, message in (
        ("batch_size=4", "'batch_size' cannot be changed after the answers were given"),
        ("benchmark.parsr=x", r"'benchmark\.parsr' cannot be changed"),
        ("parser=Leter", r"did you mean solvent\.benchmarks\.parsers\.Letter\?"),
        ("compat=officia", "no compat named 'officia'; known are llm, lmms_eval, none, official"),
        ("words", "'words' is no setting=value"),
    ):
        with pytest.raises(ValueError, match=message):
            rescore(said, [change], label=None, write=False)
    with pytest.raises(FileNotFoundError, match="is no finished cell"):
        rescore(tmp_path, [], label=None, write=False)
    with pytest.raises(ValueError, match="is no file name"):
        rescore(said, [], label="a/b", write=True)
    old = [encode(replace(row, options=None)) for row in CellFolder(said).predictions()]
    (said / "predictions.jsonl").write_text("\n".join(old) + "\n")
    CellFolder(said).finish([])
    with pytest.raises(ValueError, match="stored by an older version, without its options"):
        rescore(said, [], label=None, write=False)


def test_a_cell_of_before_the_package_was_made_is_read(
    cells: dict[str, Path], tmp_path: Path
) -> None:
    """Its configuration names classes by where they lay then."""
    run = tmp_path / "old"
    shutil.copytree(cells["generate"], run)
    text = (run / "config.yaml").read_text()
    old = text.replace("_target_: solvent.", "_target_: ")
    assert old.count("_target_: benchmarks.") > 5
    (run / "config.yaml").write_text(old)
    assert rescore(run, [], label=None, write=False) == CellFolder(run).metrics()

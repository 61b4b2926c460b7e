"""Published question files, where they are present: as many rows and groups as the YAML expects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from solvent.core import paths

DATA = paths.resolve("../shared/data")
POPE, HALLUSION = DATA / "pope", DATA / "hallusionbench/HallusionBench.json"
Composed = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def written(rows: list[dict[str, str]], folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.skipif(not POPE.exists(), reason=f"no data at {POPE}")
def test_pope_is_balanced_in_every_category(composed: Composed, tmp_path: Path) -> None:
    rows = [
        {
            "question_id": str(row["question_id"]),
            "question": row["text"],
            "answer": row["label"],
            "image_source": Path(row["image"]).stem,
            "image": row["image"],
            "category": category,
        }
        for category in ("random", "popular", "adversarial")
        for row in map(json.loads, (POPE / f"coco_pope_{category}.json").read_text().splitlines())
    ]
    config = composed("benchmark=pope", f"benchmark.source.local={written(rows, tmp_path)}")
    samples = instantiate(config.benchmark).samples()
    found = Counter((sample.tags["category"], sample.gold) for sample in samples)
    assert found == {(c, g): 1500 for c in ("random", "popular", "adversarial") for g in (0, 1)}


@pytest.mark.skipif(not HALLUSION.exists(), reason=f"no data at {HALLUSION}")
def test_hallusionbench_has_its_groups_and_constants(
    composed: Composed, tmp_path: Path, predict: Callable[..., object]
) -> None:
    rows = [
        row | {"image": row["filename"]}
        for row in json.loads(HALLUSION.read_text())
        if row["visual_input"] != "0"
    ]
    local = written(rows, tmp_path)
    benchmark = instantiate(
        composed("benchmark=hallusionbench", f"benchmark.source.local={local}").benchmark
    )
    samples = benchmark.samples()  # 951 rows, 455 questions, 346 figures, or an error
    for answer, rates in ((1, (57.8, 20.0, 12.1)), (0, (42.2, 4.6, 7.2))):  # always no, always yes
        found = benchmark.score(
            [predict(s.uid, float(s.gold == answer), groups=s.groups, tags=s.tags) for s in samples]
        )
        values = [100 * found[name]["value"] for name in ("score", "question", "figure")]
        assert values == pytest.approx(rates, abs=0.05)
        assert 100 * found["overall"]["value"] == pytest.approx(sum(values) / 3)

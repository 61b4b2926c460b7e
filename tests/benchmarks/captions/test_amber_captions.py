"""The generative part of AMBER from a made clone: what is read of it, its scores by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from solvent.cells.run import run_cell
from solvent.core.types import Prediction

RELATION = {
    "sky": [], "ship": ["boat", "vessel"], "sea": ["water"], "sun": [], "bird": ["bill"],
    "television": ["TV", "screen"], "table": ["desk"], "bin": ["can", "bucket"],
}  # fmt: skip
ROWS = (  # there, expected
    (["sky", "ship", "ship", "sea"], ["sun", "bird"]),
    (["television", "table"], ["bird", "sun"]),
    (["bin"], ["table", "sun"]),
)
CAPTIONS = (
    # boat and water: there; birds: absent, expected; light: safe; dog: absent
    # 5 mentions, 2 absent, 2 of 4 named (of two ships one), 1 of 2 expected
    "A boat on the water. Birds, a light and a dog.",
    # TV, desk: there. 2 mentions, 0 absent, 2 of 2 named, 0 of 2 expected
    "A TV on a desk can be seen.",
    # table: absent, expected; suns: absent, expected. 2 mentions, 2 absent, 0 of 1, 2 of 2
    "Two suns over the table",
)


@pytest.fixture
def amber(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DictConfig:
    """The configuration on a clone of three pictures."""
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path))
    root = tmp_path / "AMBER"
    for folder in ("data/query", "image"):
        (root / folder).mkdir(parents=True)
    queries = [{"id": 9, "image": "AMBER_1.jpg", "query": "Is the sky blue in this image?"}]
    objects = [{"id": 9, "type": "discriminative-attribute-state", "truth": "yes"}]
    for number, (there, usual) in enumerate(ROWS, start=1):
        Image.new("RGB", (64, 48), "teal").save(root / f"image/AMBER_{number}.jpg")
        query = {"id": number, "image": f"AMBER_{number}.jpg", "query": "Describe this image."}
        queries.append(query)
        objects.append({"id": number, "type": "generative", "truth": there, "hallu": usual})
    for name, table in (
        ("query/query_all", queries),
        ("annotations", objects),
        ("relation", RELATION),
    ):
        (root / f"data/{name}.json").write_text(json.dumps(table))
    config = composed("benchmark=amber_generative", "benchmark.answer.max_new_tokens=4")
    config.benchmark.expect = None
    return config


def test_what_is_there_and_what_one_would_expect(amber: DictConfig) -> None:
    samples = instantiate(amber.benchmark).samples()
    assert [sample.uid for sample in samples] == [f"amber_generative/{n}" for n in (1, 2, 3)]
    assert samples[0].gold.answers == ("sky", *["ship (boat, vessel)"] * 2, "sea (water)")
    assert samples[0].gold.prior == ("sun", "bird (bill)")
    assert samples[0].images[0].identity == "image/AMBER_1.jpg"
    assert {sample.text for sample in samples} == {"Describe this image."}


def test_scores_are_those_of_a_hand_computation(amber: DictConfig) -> None:
    benchmark = instantiate(amber.benchmark)
    rows = []
    for sample, caption in zip(benchmark.samples(), CAPTIONS, strict=True):
        reading = benchmark.parse(caption, sample)
        row = Prediction(
            uid=sample.uid, condition="real", raw=caption, scores=None, parsed=reading.value,
            gold=sample.gold, status=reading.status, credit=benchmark.credit(reading, sample),
            visual_mass=None, cells_edited=0, groups={}, tags={}, options=(), question=sample.text,
        )  # fmt: skip
        rows.append(row)
    found = benchmark.score(rows)["score"]
    values = {name: measure["value"] for name, measure in found["measures"].items()}
    assert values == pytest.approx(
        {
            "chair": (2 + 0 + 2) / (5 + 2 + 2),
            "cover": (2 + 2 + 0) / (4 + 2 + 1),
            "hal": 2 / 3,
            "cog": (1 + 0 + 2) / (2 + 2 + 2),
            "words": (11 + 8 + 5) / 3,
        }
    )
    assert found["value"] == pytest.approx(1 / 3)
    assert found["measures"]["cog"]["better"] == "lower"


def test_a_cell_is_answered(amber: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.cells.run.draw_cell", lambda *_: None)
    metrics = run_cell(amber)
    assert (metrics["benchmark"], metrics["errors"]) == ("amber_generative", 0)
    assert metrics["score"]["asked"]["question"] == "Describe this image."
    assert set(metrics["score"]["measures"]) == {"chair", "cover", "hal", "cog", "words"}


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("relation", RELATION | {"blob": []}, "1 words .* lacks .first: 'blob'"),
        ("relation", {}, "row 1 of AMBER's objects names 'sky'"),
        ("query/query_all", [], "has no question 1, which"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(
    name: str, table: object, message: str, amber: DictConfig, tmp_path: Path
) -> None:
    (tmp_path / f"AMBER/data/{name}.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match=message):
        instantiate(amber.benchmark).samples()

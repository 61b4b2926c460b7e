"""Controls of the model with `diagnostic=residual`: beside the real run, and without a trace."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from interventions import InterventionError
from interventions.controls.noised import noised_weights
from interventions.controls.reinitialised import reinitialised_weights
from interventions.controls.rotation import compare_rotation, layer_inputs
from interventions.looking.stream import LayerUpdates, follow_stream
from solvent.cells import run as session
from solvent.cells.answering import prompts
from solvent.cells.asking import build_tests
from solvent.cells.building import build
from solvent.cells.configuration import stored_config
from solvent.cells.loading import load_benchmark, load_model
from solvent.cells.recomputing import recompute
from solvent.core.paths import CONF
from solvent.core.types import Prediction, Sample
from solvent.diagnostics.residual.altered_models import first_questions
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates
from solvent.diagnostics.residual.residual_geometry import ResidualGeometry
from solvent.models import updates as watching
from solvent.models.vlm import VLM
from tests.diagnostics.residual.plain_geometry import (
    plain_effective_rank,
    plain_innovation,
    plain_kappa,
)
from tests.diagnostics.residual.test_residual_cells import SMALL, Cell, run

pytestmark = pytest.mark.usefixtures("undrawn")
WEIGHTS = ("noise_qkv", "noise_ffn", "untrained")
ALL = (
    "diagnostic=residual",
    "diagnostic.residual.samples=8",
    "diagnostic.residual.draws=2",
    "diagnostic.residual.controls=[moments]",
    "diagnostic.residual.rotation=3",
    "limit=12",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    return run(tmp_path_factory.mktemp("altered"), *ALL)


def stored(folder: Any, condition: str) -> MeasuredUpdates:
    return MeasuredUpdates.load(folder.path / "diagnostics" / condition / "updates.npz")


def test_the_real_run_and_the_model_are_as_without_them(finished: Cell, tmp_path: Path) -> None:
    folder, _ = finished
    bare, _ = run(
        tmp_path, *ALL, "diagnostic.residual.weights=[]", "diagnostic.residual.rotation=0"
    )
    for name in ("predictions.jsonl", "updates.npz"):
        assert (folder.path / name).read_bytes() == (bare.path / name).read_bytes()
    assert not (bare.path / "diagnostics" / "unrotated").exists()
    learned = {row.uid: numbers(row) for row in folder.predictions()}
    for name, count in {**dict.fromkeys(WEIGHTS, 8), "unrotated": 3}.items():
        rows = folder.condition(name).predictions()
        assert {row.uid for row in rows} == first_questions(learned, count)
        same = [np.allclose(numbers(row), learned[row.uid], rtol=0, atol=1e-3) for row in rows]
        assert all(same) if name == "unrotated" else not any(same)
    config = stored_config(folder.path / "config.yaml")
    model, _ = asked(config)
    weights = build(plain(config["model"]), "model", "rank").model.state_dict()  # as loaded again
    for name, each in model.model.state_dict().items():
        assert torch.equal(each, weights[name]), name


def numbers(row: Prediction) -> list[float]:
    return [each.log_probability for each in row.scores or ()]


def asked(config: dict[str, Any]) -> tuple[VLM, dict[str, Sample]]:
    """The model that the cell used, and the samples."""
    _, samples = load_benchmark(plain(config["benchmark"]))
    return load_model(plain(config["model"])), {sample.uid: sample for sample in samples}


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config))


def plain_rid(before: np.ndarray, after: np.ndarray) -> float:
    change = plain_effective_rank(after) - plain_effective_rank(before)
    return abs(change) / min(before.shape) + sum(plain_innovation(before, after)) / 2


def test_they_are_what_is_measured_without_a_cell(finished: Cell) -> None:
    """Of one sample, with one prompt at a time, by the formulas as they are printed."""
    folder, _ = finished
    config = stored_config(folder.path / "config.yaml")
    (test,) = build_tests(config["diagnostic"]).values()
    assert isinstance(test, ResidualGeometry)
    model, samples = asked(config)
    benchmark, _ = load_benchmark(plain(config["benchmark"]))
    uid = stored(folder, "unrotated").uids[0]
    (prompt,), _ = prompts(benchmark, [samples[uid]])
    batch = model.encode([prompt])
    inputs = {"position_ids": batch.positions, **batch.inputs}
    image = (batch.inputs["input_ids"][0] == model.image_token_id).numpy()
    width = model.model.config.get_text_config().hidden_size
    drawn = test.lens([uid], "real").choose(uid, image, width)["all"][:1]
    blocks: dict[str, AbstractContextManager[Any]] = {
        "noise_qkv": noised_weights(model.model, "qkv", seed=0, draw="own"),
        "noise_ffn": noised_weights(model.model, "ffn", seed=0, draw="own"),
        "untrained": reinitialised_weights(model.model, seed=0),
    }
    for name, block in blocks.items():
        layers: list[LayerUpdates] = []
        with torch.no_grad(), block, follow_stream(model.model, torch.clone, layers.append):
            model.model(**inputs)
        found = stored(folder, name).at([uid])
        for layer in layers:
            before, between, after = (
                each[0].double().numpy()
                for each in (layer.before, layer.after_attention, layer.after_ffn)
            )
            for part, pair in {"attention": (before, between), "ffn": (between, after)}.items():
                for measure, formula in {"rid": plain_rid, "kappa": plain_kappa}.items():
                    expected = np.mean([formula(*(each[rows] for each in pair)) for rows in drawn])
                    got = found.of("all", f"{part}.{measure}")[0, layer.layer]
                    assert got == pytest.approx(expected, rel=1e-3, abs=1e-5), (name, part, measure)
    with torch.no_grad(), layer_inputs(model.model) as entered:
        both = compare_rotation(model.model, lambda: model.model(**inputs))
        model.model(**inputs)
    for number, each in both.items():
        on, off = ((entered[number] + part)[0].double().numpy() for part in (each.on, each.off))
        expected = np.mean([plain_rid(off[rows], on[rows]) for rows in drawn])
        got = stored(folder, "unrotated").at([uid]).of("all", "step.rid")[0, number]
        assert got == pytest.approx(expected, rel=2e-3, abs=1e-5)
        assert got > 0.001


def test_they_stand_beside_the_real_run(finished: Cell) -> None:
    folder, metrics = finished
    found = metrics["diagnostics"]["residual"]
    text = (folder.path / "diagnostics" / "findings.json").read_text()
    series = json.loads(text)["residual"]["series"]
    for name in WEIGHTS:
        for measure in ("rid", "kappa", "mixig_nats_alpha1", "mixig_nats_alpha8"):
            for part in ("attention", "ffn"):
                values = stored(folder, name).of("all", f"{part}.{measure}")
                mean = found["metrics"][f"{measure}_{part}_{name}_all"]
                assert mean["value"] == pytest.approx(values.mean(), rel=1e-6, abs=1e-9)
                by_layer = series["sets"]["all"][f"{part}_{name}.{measure}"]["layers"]["value"]
                assert by_layer == pytest.approx(values.mean(axis=0), rel=1e-6, abs=1e-9)
    rotation = stored(folder, "unrotated")
    assert len(rotation.uids) == 3
    mean = found["metrics"]["rid_rotation_all"]["value"]
    assert mean == pytest.approx(rotation.of("all", "step.rid").mean(), rel=1e-6)
    rows = {row["name"]: row for row in series["published"]}
    assert rows["Noise-QKV"]["published"] == {"rid": 0.44, "mixig": -0.5}
    own = found["metrics"]["rid_attention_noise_qkv_all"]["value"]
    assert rows["Noise-QKV"]["rid"] == pytest.approx(own, rel=1e-6)
    assert "not verified: Noise-Delta" in found["reason"]


def test_they_are_read_again_without_the_model(
    finished: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "load_model", lambda config: pytest.fail("no model is needed"))
    recompute(finished[0].path, [])
    assert "equal to what the cell stored" in capsys.readouterr().out


def test_a_family_without_cosines_has_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*given: Any) -> Any:
        raise InterventionError("no cosines here.")

    monkeypatch.setattr(watching, "unrotated", refuse)
    _, metrics = run(tmp_path, *SMALL, "diagnostic.residual.rotation=2", "limit=6")
    found = metrics["diagnostics"]["residual"]
    assert "rid_rotation_all" not in found["metrics"]
    assert found["metrics"]["rid_attention_all"]["value"] > 0
    assert "rotation on against off is left out" in found["reason"]


def test_weights_that_cannot_be_drawn_are_refused_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*given: Any) -> Any:
        raise InterventionError("it is quantised.")

    monkeypatch.setattr(VLM, "check_weights", refuse)
    with pytest.raises(ValueError, match=r"'noise_ffn' cannot be shown to tiny.*it is quantised"):
        run(tmp_path, *SMALL, "diagnostic.residual.weights=[noise_ffn]")
    assert not [*tmp_path.rglob("predictions*")]


@pytest.mark.parametrize(
    "settings", [{"weights": ["noise"]}, {"weights_draw": "one"}], ids=["weights", "draw"]
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    own = OmegaConf.to_container(OmegaConf.load(CONF / "diagnostic" / "residual.yaml"))
    with pytest.raises(ValueError, match=r"diagnostic\.residual\.weights"):
        build_tests({"residual": own | settings})

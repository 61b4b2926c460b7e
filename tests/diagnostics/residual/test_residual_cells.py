"""`diagnostic=residual` in a cell: beside scoring, stored, read again, on the samples it names."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from interventions.controls.removal import removed
from solvent.cells import run as session
from solvent.cells.loading import load_model
from solvent.cells.recomputing import recompute
from solvent.core.paths import CONF
from solvent.diagnostics.contract import check_tests
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates
from solvent.storage.folder import CellFolder

pytestmark = pytest.mark.usefixtures("undrawn")
SMALL = (
    "diagnostic=residual",
    "diagnostic.residual.samples=12",
    "diagnostic.residual.draws=2",
    "diagnostic.residual.weights=[]",  # controls of the model: test_altered_cells.py
    "diagnostic.residual.rotation=0",
)
Cell = tuple[CellFolder, dict[str, Any]]


def run(output: Path, *overrides: str) -> Cell:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", [f"output={output}", "limit=18", *overrides])
    metrics = session.run_cell(config)
    (place,) = (output / "study" / "tiny" / "shapes").iterdir()
    return CellFolder(place), metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    return run(tmp_path_factory.mktemp("residual"), *SMALL)


def series_of(folder: CellFolder) -> dict[str, Any]:
    text = (folder.path / "diagnostics" / "findings.json").read_text()
    return dict(json.loads(text)["residual"]["series"])


def panels(folder: CellFolder) -> int:
    """Those of the figure, which is drawn."""
    test, figure = instantiate(OmegaConf.load(CONF / "diagnostic" / "residual.yaml")), Figure()
    assert test.draw_alone(figure, {"series": series_of(folder)})
    figure.draw_without_rendering()
    return len(figure.axes)


def stored(folder: CellFolder) -> MeasuredUpdates:
    return MeasuredUpdates.load(folder.path / "updates.npz")


def test_it_costs_no_forward_and_changes_no_answer(finished: Cell, tmp_path: Path) -> None:
    folder, _ = finished
    plain, _ = run(tmp_path)
    name = "predictions.jsonl"
    assert (folder.path / name).read_bytes() == (plain.path / name).read_bytes()
    assert [path.name for path in (folder.path / "diagnostics").iterdir()] == ["findings.json"]
    assert not (folder.path / "updates").exists()


def test_what_it_finds(finished: Cell) -> None:
    folder, metrics = finished
    updates, found = stored(folder), metrics["diagnostics"]["residual"]
    asked = [row.uid for row in folder.predictions()]
    assert len(updates.uids) == found["metrics"]["samples"] == 12
    assert list(updates.uids) == [uid for uid in asked if uid in updates.uids]  # in their order
    assert updates.sets == ("all", "image", "text")
    assert np.isfinite(updates.of("image", "attention.rid")).all()
    series = series_of(folder)
    for tokens in ("all", "image"):
        for part in ("attention", "ffn"):
            values = updates.of(tokens, f"{part}.kappa")
            mean = found["metrics"][f"kappa_{part}_{tokens}"]
            assert mean["value"] == pytest.approx(values.mean(), abs=1e-9)
            assert mean["low"] < mean["value"] < mean["high"]
            table = series["sets"][tokens][f"{part}.kappa"]
            assert table["layers"]["value"] == pytest.approx(values.mean(axis=0), abs=1e-9)
            thirds = values.reshape(12, 3, 2).mean(axis=(0, 2))
            assert table["bands"]["value"] == pytest.approx(thirds, abs=1e-9)
    for part in ("attention", "ffn"):
        assert found["metrics"][f"kappa_{part}_haar_all"]["value"] == pytest.approx(1.0, abs=0.05)
    assert found["verdict"] == "MEASURED"
    assert (folder.path / "figures" / "residual.png").stat().st_size > 10_000
    assert "says nothing of whether the image is used" in found["reason"]


def test_it_is_read_again_without_the_model(
    finished: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "load_model", lambda config: pytest.fail("no model is needed"))
    recompute(finished[0].path, [])
    assert "equal to what the cell stored" in capsys.readouterr().out


def test_a_curve_against_the_number_of_tokens(tmp_path: Path) -> None:
    """Stored and read again; the fewer tokens of a width, the more an update leaves their span."""
    width, most = 128, 64
    asked = ("diagnostic.residual.controls=[]", f"diagnostic.residual.curve=[{most},16]")
    folder, metrics = run(tmp_path, *SMALL, *asked)
    updates, series = stored(folder), series_of(folder)
    assert set(series["sets"]) == {"all", "image", "text"}
    few, many = series["curve"]
    for point in (few, many):
        for part in ("attention", "ffn"):
            for measure in ("kappa", "rid", "row_innovation"):
                values = updates.of(f"all@{point['tokens']}", f"{part}.{measure}")
                mean = point[f"{part}.{measure}"]
                assert mean["value"] == pytest.approx(values.mean(), rel=1e-6)
                assert mean["low"] < mean["value"] < mean["high"]
    assert (few["tokens"], many["tokens"], few["samples"], many["samples"]) == (16, most, 12, 12)
    # Of random directions it is sqrt(1 - S / width) times the same; of others, less still.
    ratio = ((1 - most / width) / (1 - 16 / width)) ** 0.5
    for part in ("attention", "ffn"):
        name = f"{part}.row_innovation"
        assert 0 < many[name]["value"] < few[name]["value"] * ratio * 1.1
    assert "all@" not in metrics["diagnostics"]["residual"]["reason"]
    recompute(folder.path, [])
    assert series_of(folder) == series
    assert panels(folder) == 6


def test_why_numbers_are_not_there(
    finished: Cell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Attention that adds nothing, in all of 12 questions and 6 layers: no kappa of it."""
    with ExitStack() as silenced:

        def silent(config: Any) -> Any:
            model = load_model(config)
            silenced.enter_context(removed(model.model, "attention"))  # type: ignore[attr-defined]
            return model

        monkeypatch.setattr(session, "load_model", silent)
        folder, metrics = run(tmp_path, *SMALL)
    found = metrics["diagnostics"]["residual"]
    assert found["metrics"]["kappa_attention_all"] is None
    assert found["metrics"]["rid_attention_all"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert found["metrics"]["kappa_ffn_all"]["value"] > 0
    said = "; 72 of 72 sample-layers of attention have an update of zeros: no kappa"
    assert found["reason"].endswith(said)
    flags = [series_of(each)["flagged"] for each in (folder, finished[0])]
    enough = np.isfinite(stored(folder).of("text", "attention.rid")).all(axis=1).sum()  # of text
    counts = {"all": 72, "image": 72, "text": 6 * enough}
    expected = {name: {"attention": {"zero_update": count}} for name, count in counts.items()}
    assert flags == [expected, {}]
    assert "sample-layers" not in finished[1]["diagnostics"]["residual"]["reason"]
    monkeypatch.undo()
    recompute(folder.path, [])
    assert series_of(folder)["flagged"] == flags[0]
    assert panels(folder) == 4


def test_batches_do_not_matter_and_interventions_do(finished: Cell, tmp_path: Path) -> None:
    expected = stored(finished[0])
    batched = stored(run(tmp_path / "batched", *SMALL, "batch_size=5")[0])
    small = "diagnostic.residual.tokens.text=30"  # no prompt has so many
    folder, metrics = run(tmp_path / "edited", *SMALL, "intervention=uniform", small)
    assert metrics["diagnostics"]["residual"]["reason"].endswith("has enough text tokens")
    edited = stored(folder)
    assert batched.uids == edited.uids == expected.uids
    for name in ("attention.rid", "ffn.kappa", "attention_norms.mixig_nats_alpha8"):
        np.testing.assert_allclose(
            batched.of("all", name), expected.of("all", name), rtol=1e-3, atol=1e-5
        )
        moved = edited.of("all", name) - expected.of("all", name)
        assert np.abs(moved).max() > 1e-3


def test_a_cell_measures_one_kind_of_updates() -> None:
    test = instantiate(OmegaConf.load(CONF / "diagnostic" / "residual.yaml"))
    with pytest.raises(ValueError, match="one and two watch updates of the residual stream"):
        check_tests({"one": test, "two": test})

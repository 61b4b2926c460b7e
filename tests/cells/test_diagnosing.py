"""Modality-usage tests as part of a cell: run once, resumed, stored, read again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from solvent.cells import diagnosing
from solvent.cells import run as session
from solvent.cells.diagnosing import answers_of
from solvent.cells.recomputing import recompute
from solvent.core.paths import CONF
from solvent.core.types import Accepted, Sample
from solvent.diagnostics.answers import collect
from solvent.diagnostics.statistics.distances import jensen_shannon_bits
from solvent.diagnostics.swaps import image_information_bits
from solvent.storage.folder import CellFolder

pytestmark = pytest.mark.usefixtures("undrawn")
SWAPPED = ("real", "swap", "swap_2", "swap_3", "swap_4")


def run(output: Path, *overrides: str) -> tuple[CellFolder, dict[str, Any]]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", [f"output={output}", "limit=45", *overrides])
    metrics = session.run_cell(config)
    (place,) = (output / "study" / "tiny" / "shapes").iterdir()
    return CellFolder(place), metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[CellFolder, dict[str, Any]]:
    return run(tmp_path_factory.mktemp("whole"), "diagnostic=[dependency,information]")


def contents(folder: CellFolder) -> dict[str, bytes]:
    """Everything that is no clock."""
    clocks = ("timing.json", "provenance.json", "config.yaml")
    return {
        path.relative_to(folder.path).as_posix(): path.read_bytes()
        for path in folder.path.rglob("*.json*")
        if path.name not in clocks
    }


def test_every_condition_is_answered_once_and_shared(
    finished: tuple[CellFolder, dict[str, Any]],
) -> None:
    folder, metrics = finished
    assert set(metrics["diagnostics"]) == {"dependency", "information"}
    places = {path.name for path in (folder.path / "diagnostics").iterdir() if path.is_dir()}
    assert {"swap", "swap_4", "text", "knock", "blank", "placebo_jpeg"} <= places
    assert "real" not in places  # the cell's own predictions serve
    rows = folder.condition("swap").predictions()
    assert [row.uid for row in rows] == [row.uid for row in folder.predictions()]
    assert all(row.shown["donor"] != row.uid for row in rows)
    assert all(row.visual_mass is None for row in rows)
    counts = {row.n_image_tokens for row in rows}
    assert counts == {row.n_image_tokens for row in folder.predictions()}


def test_it_is_recomputed_without_the_model_identically(
    finished: tuple[CellFolder, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, metrics = finished
    monkeypatch.setattr(session, "load_model", lambda config: pytest.fail("no model is needed"))
    recompute(folder.path, [])
    assert "equal to what the cell stored" in capsys.readouterr().out
    again = recompute(folder.path, ["diagnostic.dependency.margin_bits=0.99"])
    assert "0.99" in again["dependency"]["reason"]
    first = metrics["diagnostics"]["dependency"]
    assert (first["verdict"], first["strict"]) == ("INCONCLUSIVE", "PASS")
    assert "45 independent images make 9 blocks" in first["reason"]
    with pytest.raises(ValueError, match=r"\.margin', did you mean '.*margin_bits'\?"):
        recompute(folder.path, ["diagnostic.dependency.margin=1"])


def test_an_interrupted_run_ends_with_the_same_bytes(
    finished: tuple[CellFolder, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = finished
    answer_all, calls = diagnosing.answer_all, []

    def stops(cell: Any, place: CellFolder, monitor: Any) -> Any:
        calls.append(cell.condition)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return answer_all(cell, place, monitor)

    with monkeypatch.context() as patched:
        patched.setattr(diagnosing, "answer_all", stops)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, "diagnostic=[dependency,information]")
    folder, _ = run(tmp_path, "diagnostic=[dependency,information]")
    assert folder.path.name == whole.path.name
    assert contents(folder) == contents(whole)


def test_knockout_everywhere_leaves_no_trace_of_the_picture(tmp_path: Path) -> None:
    """Rows after the image that cannot see it answer the same for every image, bit for bit."""
    folder, metrics = run(tmp_path, "diagnostic=[dependency]", "intervention=knockout")
    answers = collect(answers_of(folder, SWAPPED))
    for name in SWAPPED[1:]:
        assert np.array_equal(answers.scores["real"], answers.scores[name])
        distances = jensen_shannon_bits(answers.probabilities("real"), answers.probabilities(name))
        assert (distances == 0).all()
    assert image_information_bits(answers)[0] == pytest.approx(0, abs=1e-15)  # sums of equal p
    found = metrics["diagnostics"]["dependency"]
    assert (found["verdict"], found["strict"]) == ("INCONCLUSIVE", "FAIL")  # of 45 images
    assert "blocks" not in found["reason"]  # answers that do not differ are independent


def test_a_cut_keeps_the_intervention_of_the_cell(tmp_path: Path) -> None:
    """Also where it is the condition of the cell itself."""
    edits = ("intervention=uniform", "intervention.keys=[question]", "intervention.rows=[last]")
    cells = {
        "cut": (),
        "cut and the picture edited": ("intervention=uniform",),
        "cut and the question edited": edits,
    }
    found = {}
    for name, overrides in cells.items():
        folder, _ = run(tmp_path / name, "condition=knock", "limit=9", *overrides)
        rows = folder.predictions()
        assert all(max(filter(None, row.visual_mass.after), default=0) == 0 for row in rows)
        assert all(row.cells_edited for row in rows)
        found[name] = [[each.log_probability for each in row.scores] for row in rows]
    flat = {name: np.concatenate(scores) for name, scores in found.items()}
    assert flat["cut and the picture edited"] == pytest.approx(flat["cut"], abs=1e-3)
    assert np.abs(flat["cut and the question edited"] - flat["cut"]).max() > 0.05


def test_a_cell_of_before_a_condition_came_is_read_again_without_it(tmp_path: Path) -> None:
    doses = "diagnostic.override.doses={real: 0, mislead: 1}"
    folder, metrics = run(tmp_path, "diagnostic=[override]", "limit=18", doses)
    later = "mislead+warn"
    done = json.loads((folder.path / "DONE").read_text())
    done["sha256"] = {name: each for name, each in done["sha256"].items() if later not in name}
    (folder.path / "DONE").write_text(json.dumps(done))
    shutil.rmtree(folder.condition(later).path)
    again = recompute(folder.path, [])["override"]["metrics"]
    assert again["warned_minus_mislead_nats"] is None
    stored = metrics["diagnostics"]["override"]["metrics"]
    assert stored["warned_minus_mislead_nats"]["n"] > 0
    assert again["margin_nats_all"] == stored["margin_nats_all"]
    shutil.rmtree(folder.condition("mislead_after").path)  # that one it had
    with pytest.raises(ValueError, match="lacks diagnostics/mislead_after/"):
        recompute(folder.path, [])


def test_learned_changes_nothing_whoever_watches(
    finished: tuple[CellFolder, dict[str, Any]], tmp_path: Path
) -> None:
    """Measured, unmeasured and with states and attention watched: the same log-probabilities."""
    plain, _ = finished
    fillers = ("diagnostic.budget.words=[16]", "diagnostic.budget.samples=9")
    few = ("diagnostic.consistency.dimensions=1", "diagnostic.consistency.sweep=[]")
    cheap = ("diagnostic.consistency.permutations=19", "diagnostic.consistency.halves=20")
    tests = "diagnostic=[consistency,budget,information]"
    folder, metrics = run(tmp_path, tests, *fillers, *few, *cheap)
    for name in ("real", "swap", "text", "knock"):
        ours, theirs = (collect(answers_of(each, ["real", name])) for each in (folder, plain))
        assert np.array_equal(ours.scores[name], theirs.scores[name]), name
    assert metrics["diagnostics"]["budget"]["metrics"]["mass_answer"]["value"] > 0
    assert not list(folder.path.rglob("states/*.npy"))  # only their scores are kept
    assert (folder.path / "diagnostics" / "states.npz").exists()
    stored = json.loads((folder.path / "diagnostics" / "findings.json").read_text())
    assert recompute(folder.path, []) == stored
    for name in ("uniform", "swap+uniform"):  # which cells of before do not have
        shutil.rmtree(folder.condition(name).path)
    (folder.path / "diagnostics" / "states_uniform.npz").unlink()
    done = json.loads((folder.path / "DONE").read_text())
    done["sha256"] = {name: each for name, each in done["sha256"].items() if "uniform" not in name}
    (folder.path / "DONE").write_text(json.dumps(done))
    assert recompute(folder.path, []) == stored


def test_what_cannot_be_shown_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "load_model", lambda config: pytest.fail("too late"))
    with pytest.raises(ValueError, match=r"no condition named 'swop', did you mean 'swap'"):
        run(tmp_path, "condition=swop")
    with pytest.raises(ValueError, match=r"swap_2 needs at least 3 different pictures"):
        run(tmp_path, "diagnostic=[dependency]", "limit=18")


def test_questions_without_options_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    asked = Sample(uid="a", images=(), text="?", options=("yes", "no"), gold=0)
    free = Sample(uid="b", images=(), text="?", options=(), gold=Accepted(answers=("x",)))
    benchmark = SimpleNamespace(name="mixed")
    with caplog.at_level("INFO", logger="solvent"):
        assert diagnosing.with_options(benchmark, [asked, free]) == [asked]
    assert "1 of 2 questions have no options" in caplog.text
    with pytest.raises(ValueError, match="no question of mixed has any"):
        diagnosing.with_options(benchmark, [free])


def test_a_generating_benchmark_is_ranked_for_the_tests(tmp_path: Path) -> None:
    """Its own score comes from generated text; the tests rank the options, `real` included."""
    cheap = ("diagnostic=[measures]", "benchmark.answer.mode=generate")
    folder, metrics = run(tmp_path, *cheap)
    assert all(row.raw is not None for row in folder.predictions())
    real = folder.condition("real").predictions()
    assert all(row.scores is not None for row in real)
    found = metrics["diagnostics"]["measures"]["metrics"]["accuracy_real"]
    assert found["value"] == pytest.approx(np.mean([row.credit for row in real]), rel=1e-9)


def test_rotations_of_the_options_are_averaged(tmp_path: Path) -> None:
    """Every question counts once, with the mean log-probability of its options over all turns."""
    kinds = ("benchmark.source.kinds=[where,size]",)
    folder, metrics = run(tmp_path, "diagnostic=[measures]", "benchmark.circular=true", *kinds)
    rows = folder.predictions()
    questions = {row.groups["circular"] for row in rows}
    assert metrics["diagnostics"]["measures"]["metrics"]["n"] == len(questions) < len(rows)


def test_known_models_are_told_apart(
    finished: tuple[CellFolder, dict[str, Any]], tmp_path: Path
) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = [f"output={tmp_path}", "limit=45", "model=tiny_blind"]
        config = compose("evaluate", [*settings, "diagnostic=[dependency]"])
    blind, sighted = session.run_cell(config), finished[1]
    found = [each["diagnostics"]["dependency"]["metrics"] for each in (sighted, blind)]
    looks, cannot = (each["jsd_over_placebo_bits"] for each in found)
    assert looks["low"] > cannot["high"]
    assert abs(cannot["value"]) < 0.01 < 0.3 < looks["value"]


def test_every_image_meets_every_question(tmp_path: Path) -> None:
    """Accuracy of the pairs that belong together is the model's own."""
    few = ("diagnostic=[interaction]", "conditions.pairs.samples=5")
    folder, metrics = run(tmp_path, *few)
    rows = folder.condition("pairs").predictions()
    assert len(rows) == 25
    own = {row.uid: row.credit for row in folder.predictions()}
    together = [row for row in rows if row.uid.startswith(f"{row.shown['donor']}/image")]
    found = metrics["diagnostics"]["interaction"]
    accuracy = np.mean([row.credit for row in together])
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(accuracy, rel=1e-9)
    assert {row.uid.rpartition("/")[0] for row in together} <= own.keys()
    shares = [found["metrics"][f"{name}_share"] for name in ("image", "text", "interaction")]
    assert sum(each["value"] for each in shares) == pytest.approx(1)

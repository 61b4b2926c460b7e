"""The command as a user types it: what it says, what it leaves on disk, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import solvent.commands.calibrate
from solvent.cells import loading
from solvent.commands import compare
from solvent.models import vlm
from tests.conftest import Run, last_sentence

ROOT = Path(__file__).resolve().parent.parent


def cells(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("**/metrics.json"))]


def test_what_reads_no_file_cannot_be_calibrated(run: Run) -> None:
    code, _, errors = run("intervention=uniform", command=solvent.commands.calibrate)
    assert code == 2
    assert "those that do are caac_vtc, donor, fixed_mean, learned_prior" in last_sentence(errors)


@pytest.mark.usefixtures("undrawn")
def test_key_regions_work_also_on_swapped_and_blank_pictures(run: Run) -> None:
    code, output, errors = run(
        "-m", "intervention=fixed_region", "condition=real,swap,blank", "limit=18"
    )
    assert code == 0, errors
    assert output.count("18/18") == 3
    code, _, errors = run("intervention=fixed_region", "condition=text", "limit=9")
    assert code == 2


def test_help_lists_the_groups_and_their_choices(run: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "evaluate.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "hydra" in imported
    assert not imported & {"torch", "transformers", "datasets", "pandas", "matplotlib"}  # slow
    for group in ("model", "benchmark", "intervention", "diagnostic", "tracking", "experiment",
                  "calibration"):  # fmt: skip
        choices = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        line = next(row for row in done.stdout.splitlines() if row.startswith(f"{group}:"))
        assert choices <= set(line.replace(",", " ").split()), group


def test_one_cell_writes_what_it_promises(run: Run, tmp_path: Path) -> None:
    code, output, _ = run("intervention=uniform", "intervention.layers=middle", "limit=18")
    assert code == 0
    (folder,) = (tmp_path / "study/tiny/shapes").iterdir()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.yaml", "identity.json", "provenance.json", "predictions.jsonl",
                     "metrics.json", "timing.json", "figures/cell.png", "DONE"}  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"value", "low", "high", "n"} <= metrics["score"].keys()
    assert {"before", "after"} <= metrics["visual_mass"].keys()
    assert {"chance", "unparsed", "errors", "cells_edited"} <= metrics.keys()
    assert metrics["cells_edited"] > 0
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == 18
    for label in ("score [95 % interval]", "visual mass, before → after",
                  "visual entropy, before → after", "nats", "entries edited",
                  "prefill"):  # fmt: skip
        assert label in output
    code, output, _ = run("intervention=uniform", "intervention.layers=middle", "limit=18")
    assert code == 0
    assert "already finished" in output


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_loads_the_model_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading._model.cache_clear()
    loads, load = [], vlm.load
    monkeypatch.setattr(vlm, "load", lambda **settings: loads.append(1) or load(**settings))
    code, _, _ = run("-m", "intervention=learned,uniform,gaussian", "seed=0,1", "limit=9")
    assert code == 0
    assert len(loads) == 1
    found = {(metrics["intervention"], metrics["seed"]) for metrics in cells(tmp_path)}
    assert found == {(name, seed) for name in ("learned", "uniform", "gaussian") for seed in (0, 1)}


@pytest.mark.usefixtures("undrawn")
def test_a_bad_cell_of_a_sweep_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    code, _, errors = run("-m", "intervention=knockout", "intervention.layers=[77],[1]", "limit=9")
    assert code == 2
    assert "77" in errors
    assert [metrics["layers"] for metrics in cells(tmp_path)] == ["[1]"]


@pytest.mark.usefixtures("undrawn")
def test_layers_make_no_difference_where_nothing_is_edited(run: Run, tmp_path: Path) -> None:
    run("-m", "intervention=learned", "intervention.layers=early,late", "limit=9")
    assert len(cells(tmp_path)) == 1


def test_comparison_pairs_every_cell_with_the_baseline(run: Run, tmp_path: Path) -> None:
    run("-m", "intervention=learned,knockout", "limit=45")
    code, output, _ = run(command=compare)
    assert code == 0
    assert "minus learned" in output
    folder = tmp_path / "study"
    figures = list((folder / "comparison/figures").glob("*.png"))
    assert all(figure.stat().st_size > 10_000 for figure in figures)
    assert len(figures) > 1
    assert (folder / "comparison/index.html").stat().st_size > 10_000
    lines = (folder / "comparison/cells.csv").read_text().splitlines()
    assert len(lines) == 3
    knockout, learned = sorted(cells(folder), key=lambda metrics: metrics["intervention"])
    assert knockout["score"]["value"] < learned["score"]["value"]
    code, _, errors = run("study=none", command=compare)
    assert code == 2
    assert "no finished cell" in last_sentence(errors)


@pytest.mark.usefixtures("undrawn")
def test_variants_of_an_intervention_are_told_apart(run: Run, tmp_path: Path) -> None:
    run("-m", "intervention=reweight", "intervention.mass.factor=0.01,50", "limit=18", "study=a")
    run("limit=18", "study=a")
    _, output, _ = run("study=a", command=compare)
    assert "(mass.factor=0.01)" in output
    assert "(mass.factor=50)" in output


@pytest.mark.usefixtures("undrawn")
def test_cells_of_another_prompt_are_never_the_baseline(run: Run, tmp_path: Path) -> None:
    run("prompt=llava", "limit=18")
    run("intervention=knockout", "limit=18")
    run(command=compare)
    table = pd.read_csv(tmp_path / "study/comparison/arms.csv")
    assert len(table) == 2
    assert table["control"].isna().all()  # nothing to pair with


@pytest.mark.usefixtures("undrawn")
def test_an_unreadable_image_is_recorded_and_the_rest_is_scored(run: Run, tmp_path: Path) -> None:
    """A copy of NLVR's layout with two statements, whose first picture is damaged."""
    data = tmp_path / "data"
    (data / "dev/images/0").mkdir(parents=True)
    rows = []
    for identifier in ("1-0", "2-0"):
        row = {"sentence": "There is a box.", "label": "true", "identifier": identifier}
        rows.append(json.dumps({**row, "directory": "0", "structured_rep": []}))
        for permutation in range(6):
            path = data / f"dev/images/0/dev-{identifier}-{permutation}.png"
            Image.new("RGBA", (40, 10), (0, 0, 200, 100)).save(path)
    (data / "dev/dev.json").write_text("\n".join(rows))
    (data / "dev/images/0/dev-1-0-0.png").write_bytes(b"no picture")
    expected = ["benchmark.expect.rows=12", "benchmark.expect.groups={sentence:2,row:2}",
                "benchmark.expect.gold=null"]  # fmt: skip
    code, _, _ = run("benchmark=nlvr", f"benchmark.source.root={data}", *expected)
    assert code == 0
    (metrics,) = cells(tmp_path / "study")
    assert (metrics["errors"], metrics["score"]["n"]) == (1, 12)
    (path,) = tmp_path.glob("study/tiny/nlvr/*/predictions.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    (failed,) = [row for row in rows if row["status"] == "error"]
    assert failed["uid"] == "nlvr/dev/1-0-0"
    assert "dev-1-0-0.png cannot be read" in failed["error"]


SLOW = ("limit=36", "batch_size=2", "intervention=gaussian")  # many batches


def start(output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "evaluate.py", f"output={output}", *SLOW],
        cwd=ROOT,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # as from a terminal
    )


def wait_for_rows(output: Path, process: subprocess.Popen[str], rows: int) -> None:
    for _ in range(4800):
        parts = list(output.glob("study/tiny/shapes/*/part-0.jsonl"))
        if parts and parts[0].read_text().count("\n") >= rows:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("the run did not get going within four minutes")


@pytest.mark.usefixtures("undrawn")
def test_ctrl_c_loses_nothing(run: Run, tmp_path: Path) -> None:
    """What another process left unfinished, this one ends; it does the whole for comparison.

    `tests.stress` kills processes.
    """
    with start(tmp_path) as stopped:
        wait_for_rows(tmp_path, stopped, 4)
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(60) == 130
        said = stopped.stderr.read()
    assert "stopping after this batch; once more stops at once" in said
    assert "the same command goes on" in said
    (folder,) = (tmp_path / "study/tiny/shapes").iterdir()
    assert not (folder / "metrics.json").exists()
    assert json.loads((folder / "outcome.json").read_text())["state"] == "stopped"
    done = (folder / "part-0.jsonl").read_text().count("\n")
    assert 4 <= done < 36
    assert run(*SLOW)[0] == 0
    assert run(*SLOW, "study=whole")[0] == 0
    (reference,) = (tmp_path / "whole/tiny/shapes").iterdir()
    assert reference.name == folder.name
    assert (folder / "predictions.jsonl").read_bytes() == (
        reference / "predictions.jsonl"
    ).read_bytes()

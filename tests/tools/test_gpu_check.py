"""`python -m tools.gpu`: its quick form passes on a CPU, and it keeps its time."""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from interventions import InterventionError
from interventions.engine import fused
from interventions.engine.execution import Outcome
from tests.random_models import random_model
from tools.gpu import scores
from tools.gpu.__main__ import CHECKS
from tools.gpu.checking import check
from tools.gpu.clock import Clock
from tools.gpu.correctness import LIMIT, compared, run
from tools.gpu.job import Job
from tools.gpu.report import Report
from tools.gpu.scores import compare
from tools.gpu.whole_checkpoints import WHOLE


def settings(folder: Path, **changes: object) -> Namespace:
    quick = {"minutes": 6.0, "quick": True, "device": "cpu", "only": CHECKS, "out": folder}
    return Namespace(**{**quick, **changes})


def figures(folder: Path) -> list[dict]:
    setting, *lines = (folder / "figures.jsonl").read_text().splitlines()
    assert json.loads(setting)["torch"] == torch.__version__
    return [json.loads(line) for line in lines]


def test_the_quick_check_passes_on_a_cpu(tmp_path: Path) -> None:
    assert check(settings(tmp_path)) == 0
    page, found = (tmp_path / "page.md").read_text(), figures(tmp_path)
    sections = {figure["section"].partition(",")[0] for figure in found}
    assert sections == {
        "Scores of `tiny`", "Edited rows against float64 on the CPU", "Speed",
        "Questions a second", "Whole cells",
    }  # fmt: skip
    loaded = {figure["section"] for figure in found if figure["what"] == "checking"}
    assert loaded == {f"Whole cells, {name}" for name in WHOLE}
    assert "### Failed\n\n- nothing" in page
    assert page.count("needs CUDA") == 4
    assert "flash attention is refused" in page


def test_time_is_kept_with_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    check(settings(tmp_path, minutes=0.1, only=("speed", "answer_rate", "scores")))
    assert figures(tmp_path)
    assert "the time was over" in capsys.readouterr().out


def test_a_check_that_fails_is_said_and_does_not_end_the_others(tmp_path: Path) -> None:
    report = Report(tmp_path, torch.device("cpu"))
    job = Job(device=torch.device("cpu"), quick=True, report=report, clock=Clock(1))
    with job.step("a part"):
        raise ValueError("it is wrong")
    report.add("Section", "a ratio", "x", (1.0, 3.0, 2.0), limit=1.5)
    report.add("Section", "no number", "x", float("nan"), limit=1.5)
    assert "a part: ValueError: it is wrong (test_gpu_check.py:" in report.failures[0]
    assert report.failures[1] == "Section, a ratio: 2 x, at most 1.5 expected"
    assert len(report.failures) == 3
    assert "| a ratio | 2 | 1 | 3 | x | 1.5 | **FAILED**" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("factor", [1.1, float("nan")])
def test_wrong_rows_are_noticed(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    model, plain = random_model("llava").to(torch.bfloat16), fused.execute
    with compared() as right:
        run(model, "gaussian")
    assert right.rows > 0
    assert right.worst < 1

    def wrong(*arguments: Any) -> Outcome:
        outcome = plain(*arguments)
        return (
            outcome if outcome.output is None else replace(outcome, output=outcome.output * factor)
        )

    monkeypatch.setattr(fused, "execute", wrong)
    with compared() as found, suppress(InterventionError):  # NaN spoils the layers behind it
        run(model, "gaussian")
    assert found.worst > LIMIT


def test_a_score_that_is_no_number_fails(tmp_path: Path) -> None:
    report = Report(tmp_path, torch.device("cpu"))
    job = Job(device=torch.device("cpu"), quick=True, report=report, clock=Clock(1))
    ours, theirs = (
        [json.dumps({"parsed": 0, "scores": [{"log_probability": each} for each in values]})]
        for values in ([-1.0, float("nan")], [-1.0, -1.0])
    )
    compare(job, "a pair", ours, theirs, "float32")
    assert len(report.failures) == 1


def test_ctrl_c_says_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(job: Job) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scores, "check", interrupted)
    assert check(settings(tmp_path, only=("scores", "speed"))) == 130
    said = capsys.readouterr().out
    assert said.count("stopped before it was through") == 2
    monkeypatch.setattr(Clock, "left", 0.001)
    assert check(settings(tmp_path, only=("speed",))) == 3

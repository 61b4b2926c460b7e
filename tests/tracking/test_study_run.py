"""A comparison as one offline W&B run, and as lines: what is in it, and what never is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from solvent.tracking import JsonLines, NoTracking
from solvent.tracking.study_facts import arm_number, study_summary
from tests.cells.followed import weights_and_biases
from tests.reports.compared.made_up import made_up
from tests.tracking.compared import CODE, told
from tests.tracking.offline_runs import OfflineRun, ended


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def stored(folder: Path) -> OfflineRun:
    (path,) = (folder / "wandb").glob("offline-run-*")
    return ended(path)


def test_a_comparison_is_one_run_that_the_next_replaces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracking, folder = weights_and_biases(tmp_path, study_arms=6), tmp_path / "comparison"
    assert told(tracking, folder)
    first = stored(tmp_path).run.run_id
    caplog.clear()
    assert told(tracking, folder)
    run = stored(tmp_path)  # one again
    assert (run.run.run_id, run.exit_code) == (first, 0)
    assert (run.run.run_group, run.run.job_type) == ("made_up", "compare")
    assert {"tiny", "llava_1_5_7b", "shapes", "pope"} == set(run.run.tags)
    assert run.config["baseline"] == "learned"
    assert run.config["margins"] == [0.02]
    check_summary(run.summary, made_up().arms)
    assert "of 60 arms, 54 are in the table only" in caplog.text
    assert "the table slices has the first 100 of 300 lines" in caplog.text
    arms = run.table("comparison/arms")
    assert [arm["key"] for arm in arms] == [*made_up().arms["key"]]
    assert arms[0]["verdict"] is arms[0]["difference_value"] is None
    assert len(run.table("comparison/slices")) == 100
    assert list((run.folder / "files/media/images/figure").glob("forest*.png"))
    files = {item.path: item.local_path for item in run.artifact("comparison").manifest.contents}
    assert set(files) == {"index.html", "arms.csv", "arms.parquet"}
    assert all(Path(path).is_relative_to(run.folder) for path in files.values())  # copies
    (shown,) = (run.folder / "files/media/html").glob("page*.html")
    assert shown.read_bytes() == Path(files["index.html"]).read_bytes()
    assert CODE in shown.read_text()  # code, which redaction would break
    everything = [path for path in run.folder.rglob("*") if path.is_file()]
    assert not [path for path in everything if b"hunter22" in path.read_bytes()]


def check_summary(summary: dict[str, Any], arms: pd.DataFrame) -> None:
    """Primaries come first; a missing number has no name."""
    compared = arms[arms["role"] != "control"]
    counts = compared["verdict"].value_counts()
    assert summary["verdicts/not_inferior"] == counts["NOT INFERIOR"]
    assert (summary["arms"], summary["controls"], summary["arms_in_table_only"]) == (60, 4, 54)
    named = {key.split("/")[1] for key in summary if key.startswith("arm/")}
    assert {*compared["key"][compared["role"] == "primary"]} < named
    assert len(named) == 6
    primary = compared[compared["role"] == "primary"].iloc[0]
    for name, column in (("difference", "difference_value"), ("low", "difference_low")):
        assert summary[f"arm/{primary['key']}/{name}"] == primary[column]
    assert summary[f"arm/{primary['key']}/verdict"] == "EQUIVALENT"
    lacking = study_summary(arms.assign(p_adjusted=np.nan), 60)
    assert not [name for name in lacking if name.endswith("p_adjusted")]
    assert arm_number("model_1.5-uniform", "low") == "arm/model_1_5-uniform/low"


def test_secrets_in_tables_stay_here(tmp_path: Path) -> None:
    comparison = made_up(models=1, benchmarks=1)
    arms = comparison.arms.assign(reason="password=hunter22hunter22", code=None)
    assert told(
        weights_and_biases(tmp_path),
        tmp_path / "comparison",
        dataclasses.replace(comparison, arms=arms),
    )
    run = stored(tmp_path)
    assert run.table("comparison/arms")[0]["reason"] == "password=[redacted]"
    everything = [path for path in run.folder.rglob("*") if path.is_file()]
    assert not [path for path in everything if b"hunter22" in path.read_bytes()]
    (copied,) = [
        item.local_path
        for item in run.artifact("comparison").manifest.contents
        if item.path == "arms.parquet"
    ]
    assert set(pd.read_parquet(copied)["reason"]) == {"password=[redacted]"}


def test_the_same_as_lines_and_nowhere(tmp_path: Path) -> None:
    assert told(JsonLines(seconds_between_points=0), tmp_path)
    start, end = map(json.loads, (tmp_path / "tracking.jsonl").read_text().splitlines())
    assert (start["event"], start["study"]) == ("start", "made_up")
    assert start["config"]["command"] == "python compare.py study=made_up --token [redacted]"
    assert start["files"] == ["arms.csv", "arms.parquet", "figures/forest.png", "index.html"]
    assert sum(name.endswith("/difference") for name in end["summary"]) == 60
    (tmp_path / "tracking.jsonl").unlink()
    assert told(NoTracking(), tmp_path)
    assert not (tmp_path / "tracking.jsonl").exists()

"""Tasks of several processes and nodes, one of which is asked to stop, and one given up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.array import by_hand, ended, rows, running
from tests.cluster.slurm import Slurm, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


def test_nodes_and_gpus_share_a_cell_and_a_cancelled_task_stays_so(
    slurm: Slurm, tmp_path: Path
) -> None:
    output = tmp_path / "outputs"

    def start(study: str, *overrides: str, options: tuple[str, ...] = ()) -> str:
        cell = [f"study={study}", f"output={output}", *overrides]
        return by_hand(slurm, tmp_path / f"{study}.tsv", [cell], *options)

    long = start("long", "batch_size=1", options=("--partition=urgent",))
    few = ("batch_size=1", "limit=90")
    nodes = start("nodes", *few, options=("--nodes=2",))
    gpus = start("gpus", *few, options=("--gres=gpu:2",))

    wait_until(lambda: rows(output / "long") >= 3, 300)
    slurm.call("scancel", long)
    wait_until(lambda: not running(slurm, long), 60)

    wait_until(lambda: rows(output / "nodes") >= 3, 300)
    slurm.call("scancel", "--batch", "--signal=USR1", f"{nodes}_0")  # as before its time limit
    wait_until(lambda: slurm.job(f"{nodes}_0")["JobState"] == "PENDING", 60)
    assert 3 <= rows(output / "nodes") < 90

    wait_until(lambda: ended(slurm, f"{nodes}_0", f"{gpus}_0"), 600, slurm.hasten)
    assert slurm.job(f"{nodes}_0")["Restarts"] == "1"
    assert not list(tmp_path.glob("*.stop-*"))
    found = {}
    for study in ("nodes", "gpus"):
        (done,) = (output / study).rglob("DONE")
        found[study] = (done.parent / "predictions.jsonl").read_bytes()
        assert json.loads((done.parent / "provenance.json").read_text())[0]["processes"] == 2
    assert found["nodes"] == found["gpus"]
    assert slurm.job(f"{long}_0")["JobState"] == "CANCELLED"
    assert slurm.job(f"{long}_0")["Restarts"] == "0"
    assert rows(output / "long") >= 3  # kept for another time

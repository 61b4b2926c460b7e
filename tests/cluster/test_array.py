"""The shipped Slurm files, unmodified, on a cluster that preempts, fails and runs out of time."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from solvent.cells.run import run_cell
from tests.cluster.array import by_hand, ended, rows, running, submit
from tests.cluster.slurm import Slurm, named, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

LEAST, MOST = 110, 1800  # questions of a cell
ALONE = 30.0  # seconds of a cell, two in a task: Slurm looks for time limits twice a minute
MODELS = ("tiny", "tiny_blind")
WORLDS = ("shapes", "shapes_prior")
STUDY = (
    f"model={','.join(MODELS)}",
    f"benchmark={','.join(WORLDS)}",
    "intervention=learned,uniform",
    "study=the sweep",
    "batch_size=1",  # slow enough to be interrupted in the middle
)


def enough(composed) -> int:
    """As many questions as keep this machine busy for long enough."""
    tries = [f"limit=36 batch_size=1 study=try{number}".split() for number in range(2)]
    for each in tries:  # the first one loads the model
        started = time.monotonic()
        run_cell(composed(*each))
    rate = 36 / (time.monotonic() - started)
    return int(min(MOST, max(LEAST, ALONE * rate)))


def test_every_cell_is_done_once_whatever_happens(slurm: Slurm, tmp_path: Path, composed) -> None:
    output, count = tmp_path / "outputs", enough(composed)
    array, comparison = submit(slurm, *STUDY, f"limit={count}", f"output={output}")
    tasks = [f"{array}_{task}" for task in range(4)]
    cells = output / "the sweep"

    def all_in_the_middle() -> bool:
        return all(rows(cells / model / benchmark) >= 3 for model in MODELS for benchmark in WORLDS)

    wait_until(all_in_the_middle, 300)

    # Somebody more important needs a GPU, for one cell that cannot be computed and one that can
    other = ["intervention=uniform", "study=urgent", "limit=9", f"output={output}"]
    pair = [[*other, f"intervention.layers={layers}"] for layers in ("[99]", "all")]
    urgent = by_hand(slurm, tmp_path / "urgent.tsv", pair, "--partition=urgent")
    wait_until(lambda: running(slurm, urgent), 60)
    preempted = [slurm.job(task) for task in tasks if slurm.job(task)["JobState"] != "RUNNING"]
    assert len(preempted) == 1

    # The time limit of its neighbour is near; the other node has a power cut
    busy = running(slurm, urgent)[0]["NodeList"]
    (short,) = [job for job in running(slurm, array) if job["NodeList"] == busy]
    minutes = int(short["RunTime"].split(":")[1]) + 2
    slurm.call("scontrol", "update", f"jobid={named(short)}", f"timelimit={minutes}")
    (dead,) = {"n0", "n1"} - {busy}
    lost = [job for job in running(slurm, array) if job["NodeList"] == dead]
    assert len(lost) == 2
    slurm.kill_node(dead)
    try:  # all go on at the node that is left
        wait_until(lambda: slurm.job(named(short))["JobState"] == "PENDING", 180, slurm.hasten)
        slurm.call("scontrol", "update", f"jobid={named(short)}", "timelimit=60")
        wait_until(lambda: all(slurm.job(named(job))["Restarts"] == "1" for job in lost), 120)
        wait_until(lambda: ended(slurm, *tasks, comparison), 600, slurm.hasten)
    finally:
        slurm.start_node(dead)

    jobs = [slurm.job(task) for task in tasks]
    assert [(job["JobState"], job["ExitCode"]) for job in jobs] == [("COMPLETED", "0:0")] * 4
    assert all(int(job["Restarts"]) >= 1 for job in jobs)
    folders = [path.parent for path in cells.rglob("DONE")]
    assert len(folders) == 8
    for folder in folders:
        found = (folder / "predictions.jsonl").read_text().splitlines()
        assert len(found) == count
        assert set(Counter(json.loads(line)["uid"] for line in found).values()) == {1}
    assert not list(cells.rglob("*.stop-*"))

    # The bad cell is shown as such, the good one of the same task is done, the comparison ran
    bad = slurm.job(f"{urgent}_0")
    assert (bad["JobState"], bad["ExitCode"]) == ("FAILED", "2:0")
    assert len(list((output / "urgent").rglob("DONE"))) == 1
    assert slurm.job(comparison)["JobState"] == "COMPLETED"
    assert (cells / "comparison/cells.csv").exists()

    # As if nothing had happened
    for folder in folders:
        model, benchmark = folder.parts[-3:-1]
        if folder.name.startswith("learned") and benchmark == "shapes":  # they were interrupted
            which = (f"model={model}", f"benchmark={benchmark}", "study=again")
            run_cell(composed(*which, f"limit={count}", "batch_size=1"))
            again = tmp_path / "again" / model / benchmark / folder.name / "predictions.jsonl"
            assert again.read_bytes() == (folder / "predictions.jsonl").read_bytes()

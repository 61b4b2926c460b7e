"""Two tasks never do one cell; the dead hold nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from solvent.core import stopping
from solvent.core.stopping import Stopped
from solvent.storage import claims
from solvent.storage.claims import BusyError, claimed, clear, holder, mine


def write(folder: Path, claim: claims.Claim) -> None:
    (folder / f"claim-{claim.number}.json").write_text(json.dumps(asdict(claim)))


def test_one_of_many_gets_the_claim_and_the_others_are_told_who(tmp_path: Path) -> None:
    told = []

    def take(_: int) -> bool:
        try:
            with claimed(tmp_path):
                deadline = time.monotonic() + 60
                while len(told) < 7 and time.monotonic() < deadline:
                    time.sleep(0.05)  # whoever comes after the claim ended may have it
                return True
        except BusyError as busy:
            told.append(str(busy))
            return False

    with ThreadPool(8) as pool:
        assert sum(pool.map(take, range(8))) == 1
    assert all(f"process {os.getpid()} on" in sentence for sentence in told)
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_claim_of_a_process_that_is_gone_is_taken_over_at_once(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write(tmp_path, replace(mine(1), pid=gone.pid, born="1"))
    write(tmp_path, replace(mine(2), born="1"))  # this pid, of another process of long ago
    with claimed(tmp_path) as holding:
        assert holding.claim.number == 3
    assert list(tmp_path.iterdir()) == []


def test_claims_on_a_finished_cell_are_cleared_away(tmp_path: Path) -> None:
    write(tmp_path, replace(mine(1), born="1"))
    write(tmp_path, replace(mine(2), born="1"))
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path):
        clear(tmp_path)  # its owner will do it
        assert holder(tmp_path) is not None


def test_a_claim_of_another_machine_holds_as_long_as_it_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its clock says: only whether it changes counts."""
    monkeypatch.setattr(claims, "BEAT", 0.2)
    far = replace(mine(1), machine="elsewhere", host="node07", job="12_3", done=5, total=9)
    write(tmp_path, far)
    os.utime(tmp_path / "claim-1.json", (4e9, 4e9))  # its clock is decades ahead
    monkeypatch.setattr(time, "time", lambda: 0.0)  # and ours stands still
    sleep, beats = time.sleep, iter(range(1, 99))

    def beat(seconds: float) -> None:
        sleep(seconds)
        write(tmp_path, replace(far, beats=next(beats)))

    with monkeypatch.context() as beating:
        beating.setattr(claims.time, "sleep", beat)
        with pytest.raises(BusyError, match=r"on node07 \(Slurm job 12_3\), 5 of 9 samples"):
            claimed(tmp_path).__enter__()
    with claimed(tmp_path) as holding:  # it beats no more
        assert holding.claim.number == 2


def test_who_was_taken_for_dead_gives_up(tmp_path: Path) -> None:
    with claimed(tmp_path) as holding:
        holding.tell("asking", 1, 9)
        holding.beat()
        assert (holder(tmp_path).beats, holder(tmp_path).done) == (1, 1)
        write(tmp_path, replace(mine(2), host="node08"))
        with pytest.raises(BusyError, match="taken over by process"):
            holding.beat()


def test_a_claim_beats_by_itself_and_stops_the_run_that_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.02)
    with claimed(tmp_path):
        time.sleep(0.3)
        assert holder(tmp_path).beats >= 2
        stopping.check()
        write(tmp_path, mine(2))
        time.sleep(0.3)
        with pytest.raises(Stopped, match="taken over by process"):
            stopping.check()

"""Events as lines of JSON, and how few points of progress are let through."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from solvent.core.stopping import Stopped
from solvent.tracking import JsonLines, NoTracking
from solvent.tracking.pace import Pace
from tests.cells.followed import IDENTITY, finish, follow

TRACKING = JsonLines(seconds_between_points=0)


def events(cell: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cell / "tracking.jsonl").read_text().splitlines()]


def stop(cell: Path, error: BaseException) -> None:
    with follow(TRACKING, cell) as followed:
        followed.progress(4, 0, "real")
        raise error


def test_a_cell_is_told_from_start_to_finish(tmp_path: Path) -> None:
    cell = tmp_path / IDENTITY
    with follow(TRACKING, cell, config={"api_key": "abc"}) as followed:
        followed.progress(4, 0, "real")
        followed.progress(8, 1, "real")
        assert finish(followed, cell)
    start, *points, end = events(cell)
    assert start["event"] == "start"
    assert start["identity"] == IDENTITY
    assert start["config"] == {"api_key": "[redacted]"}
    assert [point["progress/done"] for point in points] == [4, 8]
    assert end["event"] == "finish"
    assert end["summary"]["score/value"] == 0.5


@pytest.mark.parametrize(
    ("error", "event"), [(Stopped("stop file", 75), "stopped"), (ZeroDivisionError("x"), "failed")]
)
def test_a_run_that_did_not_finish_says_why_and_the_next_begins_anew(
    error: BaseException, event: str, tmp_path: Path
) -> None:
    with pytest.raises(type(error)):
        stop(tmp_path, error)
    assert events(tmp_path)[-1]["event"] == event
    assert str(error) in events(tmp_path)[-1]["why"]
    with follow(TRACKING, tmp_path) as followed:
        assert finish(followed, tmp_path)
    assert [each["event"] for each in events(tmp_path)] == ["start", "finish"]


def test_a_file_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tracking.jsonl").mkdir()
    with follow(TRACKING, tmp_path) as followed:
        followed.progress(4, 0, "real")
        assert not finish(followed, tmp_path)
    (message,) = caplog.messages
    assert "tracking.jsonl could not be written" in message


def test_no_tracking_writes_nothing(tmp_path: Path) -> None:
    with follow(NoTracking(), tmp_path) as followed:
        followed.progress(4, 0, "real")
        assert followed.finish(metrics={})
    assert not list(tmp_path.iterdir())


def test_points_count_on_from_part_to_part() -> None:
    pace = Pace(seconds=0)
    told = [(4, 0, "real"), (8, 1, "real"), (4, 0, "blank"), (8, 0, "blank"), (8, 2, "swap")]
    points = [pace.point(*each) for each in told]
    assert [point["progress/done"] for point in points if point] == [4, 8, 12, 16, 24]
    assert [point["progress/failed"] for point in points if point] == [0, 1, 1, 1, 3]


def test_counting_on_under_another_name_is_no_new_part() -> None:
    pace = Pace(seconds=0)
    pace.point(4, 0, "real")
    assert (pace.point(8, 0, "blank") or {})["progress/done"] == 8


def test_a_batch_that_takes_long_makes_no_points() -> None:
    pace = Pace(seconds=0)
    assert pace.point(4, 0, "real")
    assert pace.point(4, 0, "real") is None
    assert pace.point(8, 0, "real")


def test_points_are_few_cheap_and_the_last_is_kept() -> None:
    pace = Pace(seconds=3600)
    began = time.perf_counter()
    points = [pace.point(done, 0, "real") for done in range(1, 10_001)]
    each = (time.perf_counter() - began) / len(points)
    assert sum(point is not None for point in points) == 1
    assert each < 50e-6
    assert (pace.last() or {})["progress/done"] == 10_000
    assert pace.last() is None

"""How long a cell will take, judged by cells that are finished."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from solvent.storage.folder import CellFolder

log = logging.getLogger("solvent")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one, where there is one: 10x faster


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one finished cell took."""

    model: str
    benchmark: str
    limit: int | None  # questions that were asked for
    rows: int  # questions that were answered
    seconds: float  # of one process, answering them; without tests, without loading


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the time of a cell depends on."""

    model: str
    benchmark: str
    limit: int | None  # questions at most
    expected: int | None  # questions of the whole benchmark, where its configuration says
    passes: int  # how often every question is answered: once per condition of its tests


class Throughput:
    """Estimates from all finished cells below a folder."""

    def __init__(self, output: Path) -> None:
        self._measured = list(_measured(output))

    def seconds(self, asked: Asked) -> float | None:
        """What a cell will take one process, roughly; None where nothing tells."""
        rows, each = self._rows(asked), self._seconds_per_row(asked)
        return None if rows is None or each is None else rows * each * asked.passes

    def _seconds_per_row(self, asked: Asked) -> float | None:
        same_model = [each for each in self._measured if each.model == asked.model]
        same_both = [each for each in same_model if each.benchmark == asked.benchmark]
        rates = [each.seconds / each.rows for each in same_both or same_model]
        return median(rates) if rates else None

    def _rows(self, asked: Asked) -> int | None:
        """Questions of a cell: as many as an earlier one had, else what the configuration says."""
        same = [each for each in self._measured if each.benchmark == asked.benchmark]
        rows = {each.limit: each.rows for each in same}
        if asked.limit in rows:
            return rows[asked.limit]
        whole = asked.expected or rows.get(None)
        return min((count for count in (asked.limit, whole) if count is not None), default=None)


def _measured(output: Path) -> Iterator[Measured]:
    for path in sorted(output.glob("*/*/*/*/config.yaml")):
        try:
            found = _of_cell(path)
        except (ValueError, KeyError, TypeError, OSError, yaml.YAMLError) as error:
            log.info("%s is damaged and tells nothing of how long cells take (%s)", path, error)
            continue
        if found is not None:
            yield found


def _of_cell(path: Path) -> Measured | None:
    folder = CellFolder(path.parent)
    if not folder.finished:
        return None
    metrics = folder.metrics()
    config = LOADER(path.read_text(encoding="utf-8")).get_single_data()
    measured = metrics["seconds"] > 0 and metrics["score"]["rows"] > 0
    return _of(metrics, config) if measured else None


def _of(metrics: dict[str, Any], config: dict[str, Any]) -> Measured:
    return Measured(
        model=metrics["model"],
        benchmark=metrics["benchmark"],
        limit=config["benchmark"]["limit"],
        rows=metrics["score"]["rows"],
        seconds=metrics["seconds"],
    )

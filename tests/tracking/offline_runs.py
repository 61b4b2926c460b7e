"""What an offline W&B run holds, read from its file independently of W&B's own reader."""

from __future__ import annotations

import json
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7  # W&B's log: LevelDB blocks after a 7-byte file header


class OfflineRun:
    """The run of one folder `offline-run-<time>-<id>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (path,) = folder.glob("*.wandb")
        self.kinds: dict[str, list[Any]] = defaultdict(list)
        for data in _records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            self.kinds[record.WhichOneof("record_type")].append(record)

    @property
    def run(self) -> Any:
        return self.kinds["run"][0].run

    @property
    def config(self) -> dict[str, Any]:
        return _items(self.run.config.update)

    @property
    def summary(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for record in self.kinds["summary"]:
            merged |= _items(record.summary.update)
        return merged

    @property
    def history(self) -> list[dict[str, Any]]:
        return [_items(record.history.item) for record in self.kinds["history"]]

    @property
    def exit_code(self) -> int | None:
        return self.kinds["exit"][0].exit.exit_code if self.kinds["exit"] else None

    def artifacts(self, kind: str) -> list[Any]:
        artifacts = [record.artifact for record in self.kinds["artifact"]]
        artifacts += [
            record.request.log_artifact.artifact
            for record in self.kinds["request"]
            if record.request.WhichOneof("request_type") == "log_artifact"
        ]
        return [artifact for artifact in artifacts if artifact.type == kind]

    def artifact(self, kind: str) -> Any:
        (found,) = self.artifacts(kind)
        return found

    def table(self, name: str) -> list[dict[str, Any]]:
        """Rows by column, with pictures: files/media/table holds them without."""
        contents = [
            each for table in self.artifacts("run_table") for each in table.manifest.contents
        ]
        (path,) = [each.local_path for each in contents if each.path == f"{name}.table.json"]
        table = json.loads(Path(path).read_text())
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def ended(folder: Path) -> OfflineRun:
    """A run with its end: W&B's own process writes that a moment after the run is finished."""
    until = time.monotonic() + 10
    while (stored := OfflineRun(folder)).exit_code is None and time.monotonic() < until:
        time.sleep(0.02)
    return stored


def _items(update: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in update}


def _records(data: bytes) -> Iterator[bytes]:
    """Whole records; what a kill tore off at the end is left out."""
    place, pieces = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if kind == 0:  # padding
            place += left
            continue
        chunk = data[place + HEADER : place + HEADER + length]
        if len(chunk) < length:
            return
        place += HEADER + length
        pieces = chunk if kind in (1, 2) else pieces + chunk
        if kind in (1, 4):
            yield pieces

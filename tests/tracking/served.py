"""A `wandb.Api` that serves what offline runs hold: their artifacts are files on this disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.tracking.offline_runs import OfflineRun, ended


@dataclass
class Entry:
    """One file of an artifact."""

    name: str
    path: Path
    downloads: list[str]

    def download(self, root: str, skip_cache: bool) -> str:
        place = Path(root, self.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.path, place)
        self.downloads.append(self.name)
        return str(place)


@dataclass
class Served:
    """An artifact."""

    name: str
    type: str
    files: dict[str, Path]
    version: str = "v0"
    downloads: list[str] = field(default_factory=list)

    @property
    def manifest(self) -> Any:
        return SimpleNamespace(entries=self.files)

    def get_entry(self, name: str) -> Entry:
        return Entry(name, self.files[name], self.downloads)

    def download(self, root: str, skip_cache: bool) -> str:
        for name in self.files:
            self.get_entry(name).download(root, skip_cache)
        return root


class ServedRun:
    """A run with its artifacts; `state` as W&B has it."""

    def __init__(self, stored: OfflineRun) -> None:
        self.id, self.name = stored.run.run_id, stored.run.display_name
        self.group, self.job_type = stored.run.run_group, stored.run.job_type
        self.state = "finished" if stored.exit_code == 0 else "crashed"
        self.config = stored.config
        self.artifacts = [
            Served(f"{each.name}:v0", each.type, self._files(each))
            for kind in ("cell", "run_table")
            for each in stored.artifacts(kind)
        ]

    @staticmethod
    def _files(artifact: Any) -> dict[str, Path]:
        return {item.path: Path(item.local_path) for item in artifact.manifest.contents}

    @property
    def cell(self) -> Served:
        (found,) = [each for each in self.artifacts if each.type == "cell"]
        return found

    def logged_artifacts(self) -> list[Served]:
        return self.artifacts


@dataclass
class Api:
    """The runs of one project, of offline runs in a folder `wandb`."""

    project: str
    runs_there: list[ServedRun]

    @classmethod
    def of(cls, project: str, folder: Path) -> Api:
        places = sorted(folder.glob("offline-run-*"))
        return cls(project, [ServedRun(ended(place)) for place in places])

    def runs(
        self, path: str, filters: dict[str, Any] | None = None, lazy: bool = True
    ) -> Iterator[ServedRun]:
        if path != self.project:
            raise ValueError(f"Could not find project {path.rpartition('/')[2]}")
        wanted = filters or {}
        for run in self.runs_there:
            other = wanted.get("jobType", {}).get("$ne")
            if wanted.get("group", run.group) == run.group and run.job_type != other:
                yield run

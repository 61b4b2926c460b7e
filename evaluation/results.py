"""A cell on disk.

    <output>/<study>/<model>/<benchmark>/<intervention>-<hash>/
        config.yaml         the composed configuration
        provenance.json     versions, hardware, commit, checkpoint
        claim-<n>.json      while somebody works on the cell: who, where, how far (`claims`)
        part-<rank>.jsonl   predictions while running: appended batch by batch, a file per process
        seconds-<rank>.jsonl  what each batch took, of that its attention, and how many prompts were
                            read at once: a clock has no place among predictions
        outcome.json        of a run that stopped or failed: which, and why
        predictions.jsonl   all predictions in the benchmark's order, written once, at the end
        diagnostics/        of the modality-usage tests: a folder like this one per condition, and
                            findings.json
        metrics.json        a pure function of the predictions
        timing.json         what `seconds-*` add up to, over all processes and runs
        DONE                last of all: its existence means that the cell is finished. It names the
                            trackers that know of it

The hash covers everything that can change a bit of a result and nothing that cannot.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from evaluation.disk import append, make_folder, mend, read_json, spoken, write_atomically
from evaluation.records import Stored, encode, has_failed, uid_of
from evaluation.types import Prediction

SCHEMA = 1  # raise it when the meaning of a stored number changes
LOCATION_KEYS = frozenset({"root", "local", "cache"})  # where data lie does not change them
LEAST_ROW = 512  # bytes that a prediction takes at the very least, twice: in a part and merged


def fingerprint(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration, in hexadecimal; key order and data locations play no role."""
    canonical = json.dumps(
        {"schema": SCHEMA, **_without_locations(definition)}, sort_keys=True, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_weights(checkpoint: Path) -> str | None:
    """SHA-256 of a local checkpoint's safetensors files; None where there is no such folder."""
    files = sorted(checkpoint.glob("*.safetensors"))
    known = [(path, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]
    return _digest_files(tuple(known)) if files else None


@lru_cache  # a sweep asks for every cell, and large checkpoints take a minute
def _digest_files(files: Sequence[tuple[Path, int, int]]) -> str:
    """Of files with their sizes and times, which tell when they were written again."""
    digest = hashlib.sha256()
    for path, *_ in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _without_locations(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_locations(item) for key, item in value.items() if key not in LOCATION_KEYS
        }
    if isinstance(value, list):
        return [_without_locations(item) for item in value]
    return value


@dataclass(frozen=True)
class CellFolder:
    """The files of one cell, or of one condition of its modality-usage tests."""

    path: Path

    @property
    def finished(self) -> bool:
        """Everything is done."""
        return (self.path / "DONE").exists()

    @property
    def merged(self) -> bool:
        """All predictions are there."""
        return (self.path / "predictions.jsonl").exists()

    def make(self, predictions: int) -> None:
        """Make the folder. Raises `DiskError` where that many predictions cannot be written."""
        make_folder(self.path, 2 * LEAST_ROW * predictions)

    def open(self, config: str) -> None:
        """Write what defines the run. Raises `ValueError` where something else stands already."""
        place = self.path / "config.yaml"
        if place.exists() and not isinstance(_read_yaml(place), dict):
            raise ValueError(
                f"{place} is damaged: it should say what the results beside it are; restore it, or "
                "move the folder away and run the command again"
            )
        write_atomically(place, config)

    def describe(self, provenance: Mapping[str, Any]) -> None:
        """Write down what computes the results.

        Raises `ValueError` when a cell would go on in another dtype, which `dtype: auto` takes from
        the hardware.
        """
        place = self.path / "provenance.json"
        if place.exists() and any(self._parts()):
            before = read_json(place).get("model", {}).get("dtype")
            now = provenance.get("model", {}).get("dtype")
            if before != now:
                raise ValueError(
                    f"{self.path} was begun in {before} and would go on in {now}: set model.dtype, "
                    "or delete the folder to begin again"
                )
        write_atomically(place, json.dumps(provenance, indent=2) + "\n")

    def resume(self) -> dict[str, bool]:
        """Make good what an interruption left; which samples are answered, and whether they failed.

        Cuts torn lines off. Call it in one process only, before any of them appends.
        """
        with spoken(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "halt").unlink(missing_ok=True)
        for path in [*self._parts(), *self._times()]:
            mend(path)
        return {uid: line.failed for uid, line in self._lines().items()}

    def append(
        self,
        predictions: Iterable[Prediction],
        seconds: float,
        attention_seconds: float,
        batch_size: int,
        rank: int = 0,
    ) -> None:
        """Add one batch; it survives a kill as soon as this returns."""
        times = [round(seconds, 4), round(attention_seconds, 4), batch_size]
        append(self.part(rank), [encode(prediction) for prediction in predictions])
        append(self.path / f"seconds-{rank}.jsonl", [json.dumps(times)])

    def part(self, rank: int) -> Path:
        """Where one process writes its predictions."""
        return self.path / f"part-{rank}.jsonl"

    def halt(self) -> None:
        """Ask all processes of this run to stop after their batch."""
        with suppress(OSError):  # a full disk is what they stop for
            (self.path / "halt").touch()

    @property
    def halted(self) -> bool:
        """Whether one process asked all others to stop."""
        return (self.path / "halt").exists()

    def failures(self) -> int:
        """How many of the samples that were answered failed."""
        return sum(line.failed for line in self._lines().values())

    def merge(self, uids: Sequence[str], wait: float = 0.0) -> Stored:
        """Write `predictions.jsonl` in the given order.

        Waits at most `wait` seconds for lines that another machine wrote. Raises `RuntimeError`
        when a uid is missing, was never asked, or was answered in two ways.
        """
        deadline = time.monotonic() + wait
        lines = self._lines()
        while set(uids) - lines.keys() and time.monotonic() < deadline:
            time.sleep(1.0)
            lines = self._lines()
        self._check_complete(uids, lines)
        write_atomically(self.path / "predictions.jsonl", (lines[uid].read() for uid in uids))
        return self.stored()

    def _check_complete(self, uids: Sequence[str], lines: Mapping[str, Any]) -> None:
        again = "run the same command again to complete it"
        if missing := [uid for uid in uids if uid not in lines]:
            raise RuntimeError(
                f"{self.path} lacks {len(missing)} of {len(uids)} predictions, first {missing[0]}; "
                f"{again}"
            )
        if len(set(uids)) < len(uids):
            raise RuntimeError(f"{len(uids) - len(set(uids))} samples have a uid twice")
        if foreign := lines.keys() - set(uids):
            raise RuntimeError(
                f"{self.path} holds {len(foreign)} predictions of samples that were not asked, "
                f"first {min(foreign)}: the data have changed since it was begun; move the folder "
                "away and run the command again"
            )

    def _lines(self) -> dict[str, _Line]:
        """Where the prediction of every sample stands. A success counts before a failure."""
        lines: dict[str, _Line] = {}
        for path in self._parts():
            for line in _scan(path):
                known = lines.get(line.uid)
                if known and not known.failed and not line.failed and known.read() != line.read():
                    raise RuntimeError(
                        f"{self.path} holds two different answers to {line.uid}, in "
                        f"{known.path.name} and {path.name}: move the folder away and run the "
                        "command again"
                    )
                if known is None or known.failed:
                    lines[line.uid] = line
        return lines

    def stored(self) -> Stored:
        """The merged predictions, decoded one at a time."""
        return Stored(self.path / "predictions.jsonl")

    def predictions(self) -> list[Prediction]:
        """The merged predictions."""
        return list(self.stored())

    def timing(self, asked: int) -> dict[str, float]:
        """What the cell took, over all its processes and runs.

        `seconds` on batches, of these `attention_seconds`; `batch_size`: fewest prompts that were
        read at once because memory ran out, `asked` if it never did.
        """
        times = [json.loads(line) for path in self._times() for line in path.open()]
        return {
            "seconds": round(sum(line[0] for line in times), 2),
            "attention_seconds": round(sum(line[1] for line in times), 2),
            "batch_size": min([asked, *(line[2] for line in times)]),
        }

    def condition(self, name: str) -> CellFolder:
        """Where the answers to another view of the samples lie."""
        return CellFolder(self.path / "diagnostics" / name)

    def write_metrics(self, metrics: Mapping[str, Any], timing: Mapping[str, float]) -> None:
        """Write what the predictions say, and what they took."""
        text = json.dumps(timing, indent=2) + "\n"
        write_atomically(self.path / "timing.json", text)
        text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
        write_atomically(self.path / "metrics.json", text)

    def finish(self, tracking: Sequence[str]) -> None:
        """Declare the cell done, and known to some trackers."""
        text = json.dumps({"tracking": sorted({*tracking} | {*self.tracked()})}) + "\n"
        write_atomically(self.path / "DONE", text)
        self.settle()

    def tracked(self) -> list[str]:
        """Names of the trackers that know the finished cell."""
        return read_json(self.path / "DONE")["tracking"] if self.finished else []

    def settle(self) -> None:
        """Drop what only an unfinished run needs."""
        for path in [*self._parts(), *self._times()]:
            path.unlink(missing_ok=True)
        for name in ("outcome.json", "halt"):
            (self.path / name).unlink(missing_ok=True)

    def end(self, state: str, why: str, total: int) -> None:
        """Note how a run of `total` samples ended that did not finish: `stopped` or `failed`."""
        text = json.dumps({"state": state, "why": why, "total": total}) + "\n"
        write_atomically(self.path / "outcome.json", text)

    def metrics(self) -> dict[str, Any]:
        """What `write_metrics` wrote, both together."""
        return read_json(self.path / "metrics.json") | read_json(self.path / "timing.json")

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.jsonl"))

    def _times(self) -> list[Path]:
        return sorted(self.path.glob("seconds-*.jsonl"))


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a prediction stands."""

    uid: str
    failed: bool
    path: Path
    start: int
    length: int

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.length)


def _scan(path: Path) -> Iterator[_Line]:
    start = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # a network disk shows only a piece yet
            yield _Line(uid_of(line), has_failed(line), path, start, len(line))
            start += len(line)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None

"""A cell on disk.

    <output>/<study>/<model>/<benchmark>/<intervention>-<hash>/
        config.yaml         the composed configuration
        provenance.json     versions, hardware, commit, checkpoint
        part.jsonl          predictions while running: appended batch by batch
        seconds.jsonl       what each batch took, of that its attention, and how many prompts were
                            read at once: a clock has no place among predictions
        predictions.jsonl   all predictions in the benchmark's order, written once, at the end
        diagnostics/        of the modality-usage tests: a folder like this one per condition, and
                            findings.json
        metrics.json        written last and atomically: its existence means that the cell is
        finished

The hash covers everything that can change a bit of a result and nothing that cannot.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.types import Accepted, CandidateScore, Prediction, VisualEntropy, VisualMass

SCHEMA = 1  # raise it when the meaning of a stored number changes
LOCATION_KEYS = frozenset({"root", "local", "cache"})  # where data lie does not change them


def fingerprint(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration, in hexadecimal; key order and data locations play no role."""
    canonical = json.dumps(
        {"schema": SCHEMA, **_without_locations(definition)}, sort_keys=True, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_weights(checkpoint: Path) -> str | None:
    """SHA-256 of a local checkpoint's safetensors files; None where there is no such folder."""
    files = sorted(checkpoint.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else None


def _without_locations(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_locations(item) for key, item in value.items() if key not in LOCATION_KEYS
        }
    if isinstance(value, list):
        return [_without_locations(item) for item in value]
    return value


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one, whatever happens."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def encode(prediction: Prediction) -> str:
    """One JSON line, without anything that differs between two equal runs."""
    return json.dumps(prediction, default=vars, ensure_ascii=False, allow_nan=False)


def decode(line: str) -> Prediction:
    """The inverse of `encode`."""
    row = json.loads(line)
    for name in ("scores", "blind_scores"):
        if row.get(name) is not None:
            row[name] = tuple(CandidateScore(**score) for score in row[name])
    for name, kind in (("visual_mass", VisualMass), ("visual_entropy", VisualEntropy)):
        if row.get(name) is not None:  # files written before entropy was measured lack it
            row[name] = kind(**{when: tuple(values) for when, values in row[name].items()})
    if isinstance(row["gold"], dict):
        row["gold"] = Accepted(**row["gold"] | {"answers": tuple(row["gold"]["answers"])})
    if row.get("options") is not None:
        row["options"] = tuple(row["options"])
    return Prediction(**row)


@dataclass(frozen=True)
class CellFolder:
    """The files of one cell."""

    path: Path

    @property
    def finished(self) -> bool:
        """The cell is done: its metrics exist."""
        return (self.path / "metrics.json").exists()

    def open(self, config: str, provenance: Mapping[str, Any]) -> None:
        """Make the folder, write what defines the run, cut a torn last line off the predictions."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._check_same_precision(provenance)
        write_atomically(self.path / "config.yaml", config)
        write_atomically(self.path / "provenance.json", json.dumps(provenance, indent=2) + "\n")
        self.mend()

    def mend(self) -> None:
        """Make the folder where there is none; cut a torn last line off the predictions."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("part.jsonl", "seconds.jsonl"):
            _cut_torn_line(self.path / name)

    def _check_same_precision(self, provenance: Mapping[str, Any]) -> None:
        """Refuse to go on in another dtype, which `dtype: auto` takes from the hardware."""
        earlier = self.path / "provenance.json"
        if not (earlier.exists() and (self.path / "part.jsonl").exists()):
            return
        before = json.loads(earlier.read_text()).get("model", {}).get("dtype")
        now = provenance.get("model", {}).get("dtype")
        if before != now:
            raise ValueError(
                f"{self.path} was begun in {before} and would go on in {now}: set model.dtype, or "
                "delete the folder to begin again"
            )

    def recorded(self) -> dict[str, Prediction]:
        """Predictions of earlier, interrupted runs, by uid."""
        return {row.uid: row for row in _read(self.path / "part.jsonl")}

    def append(
        self,
        predictions: Iterable[Prediction],
        seconds: float,
        attention_seconds: float,
        batch_size: int,
    ) -> None:
        """Add one batch; it survives a kill as soon as this returns."""
        times = [round(seconds, 4), round(attention_seconds, 4), batch_size]
        _append(self.path / "part.jsonl", [encode(prediction) for prediction in predictions])
        _append(self.path / "seconds.jsonl", [json.dumps(times)])

    def merge(self, uids: Sequence[str]) -> list[Prediction]:
        """Write `predictions.jsonl` in the given order. Raises when a uid is missing."""
        recorded = self.recorded()
        if missing := [uid for uid in uids if uid not in recorded]:
            raise RuntimeError(
                f"{self.path} lacks {len(missing)} of {len(uids)} predictions, first {missing[0]}; "
                "run the same command again to complete it"
            )
        predictions = [recorded[uid] for uid in uids]
        text = "".join(f"{encode(prediction)}\n" for prediction in predictions)
        write_atomically(self.path / "predictions.jsonl", text)
        return predictions

    def predictions(self) -> list[Prediction]:
        """The merged predictions of a finished cell."""
        return list(_read(self.path / "predictions.jsonl"))

    def seconds(self) -> tuple[float, float]:
        """Time spent on batches, and of that on attention, over all runs of the cell."""
        times = self._times()
        return sum(line[0] for line in times), sum(line[1] for line in times)

    def smallest_batch(self, asked: int) -> int:
        """Fewest prompts that were read at once because memory ran out; `asked` if it never did."""
        return min([asked, *(int(line[2]) for line in self._times() if len(line) > 2)])

    def _times(self) -> list[list[float]]:
        path = self.path / "seconds.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line if isinstance(line, list) else [line, 0.0] for line in map(json.loads, lines)]

    def condition(self, name: str) -> CellFolder:
        """Where the answers to another view of the samples lie."""
        return CellFolder(self.path / "diagnostics" / name)

    @property
    def merged(self) -> bool:
        """All predictions are there."""
        return (self.path / "predictions.jsonl").exists()

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Declare the cell done."""
        write_atomically(
            self.path / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n"
        )
        self.settle()

    def settle(self) -> None:
        """Drop what only an unfinished run needs."""
        (self.path / "part.jsonl").unlink(missing_ok=True)

    def metrics(self) -> dict[str, Any]:
        """What `finish` wrote."""
        return json.loads((self.path / "metrics.json").read_text())


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _read(path: Path) -> Iterable[Prediction]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from map(decode, file)


def _append(path: Path, lines: Sequence[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())

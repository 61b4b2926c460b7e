"""A cell on disk.

    <output>/<study>/<model>/<benchmark>/<intervention>-<hash>/
        config.yaml         the composed configuration
        identity.json       everything that the hash is of: settings, and digests of content
        provenance.json     of every run that answered something: versions, hardware, commits
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
                            trackers that know of it, and has the digests of the results

The hash covers everything that can change a bit of a result and nothing that cannot
(`solvent.cells.identity`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import yaml

from solvent.core.digests import digest_now
from solvent.core.files import (
    append,
    cut_torn_lines,
    disk_errors_explained,
    make_folder,
    read_json,
    write_atomically,
)
from solvent.core.redaction import redacted_text
from solvent.core.types import Prediction
from solvent.storage.records import Line, Stored, encode, scan, uids_of

LEAST_ROW = 512  # bytes that a prediction takes at the very least, twice: in a part and merged
MIXED = "MIXED"  # a file that says that what a cell was computed from changed meanwhile
NEEDED = ("predictions.jsonl", "metrics.json", "timing.json")  # of a finished cell
SEALED = ("predictions.jsonl", "metrics.json", "identity.json", "diagnostics/*.json",
          "diagnostics/*/predictions.jsonl")  # fmt: skip


@dataclass(frozen=True)
class CellFolder:
    """The files of one cell, or of one condition of its modality-usage tests."""

    path: Path

    @property
    def finished(self) -> bool:
        """Everything is done, and what was done is there."""
        return self.declared and not self.lacking()

    @property
    def declared(self) -> bool:
        """A run has declared it finished; something may have been lost since."""
        return self._done() is not None

    def lacking(self) -> list[str]:
        """Files that a finished cell has, and this one has not."""
        names = dict.fromkeys([*NEEDED, *self.sealed()])
        return [name for name in names if not (self.path / name).is_file()]

    def check(self) -> None:
        """Raise `ValueError` where a finished cell's results are not as they were declared.

        Cells of before digests were kept are only looked at for what is missing.
        """
        done = self._done()
        if done is None:
            raise ValueError(
                f"{self.path / 'DONE'} is damaged: run the cell's command again, which looks at "
                "every answer and makes it anew"
            )
        if lacking := self.lacking():
            raise ValueError(
                f"{self.path} lacks {', '.join(lacking)}, though it is declared done: run its "
                "command again, which makes what can be made of the rest"
            )
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise `ValueError` where a file that is there is not as a finished cell declared it."""
        for name, expected in self.sealed().items():
            place = self.path / name
            if place.is_file() and digest_now(place) != expected:
                raise ValueError(
                    f"{place} was changed since the cell was finished: restore it, or move the "
                    "folder away and run the cell's command again"
                )

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Raise `ValueError` where the folder is that of another cell, renamed or copied."""
        place = self.path / "identity.json"
        if place.exists() and read_json(place) != json.loads(json.dumps(identity)):
            raise ValueError(
                f"{place} is that of another cell, which was renamed or copied: move the folder "
                "away and run the command again"
            )

    @property
    def merged(self) -> bool:
        """All predictions are there."""
        return (self.path / "predictions.jsonl").exists()

    def make(self, predictions: int) -> None:
        """Make the folder. Raises `DiskError` where that many predictions cannot be written."""
        make_folder(self.path, 2 * LEAST_ROW * predictions)

    def open(self, config: str, identity: Mapping[str, Any]) -> None:
        """Write what defines the run. Raises `ValueError` where something else stands already."""
        place = self.path / "config.yaml"
        if place.exists() and not isinstance(_read_yaml(place), dict):
            raise ValueError(
                f"{place} is damaged: it should say what the results beside it are; restore it, or "
                "move the folder away and run the command again"
            )
        if (self.path / MIXED).exists():
            raise ValueError(
                f"{self.path} holds answers to data that were changed while they were given: "
                "delete the folder to begin again"
            )
        self.check_identity(identity)
        self.check_unchanged()
        write_atomically(place, config)
        text = json.dumps(identity, indent=1, sort_keys=True) + "\n"
        write_atomically(self.path / "identity.json", text)

    def condemn(self, what: str) -> NoReturn:
        """The answers belong to nothing: they are never gone on with. Raises `ValueError`."""
        (self.path / MIXED).touch()
        raise ValueError(
            f"{what} changed while {self.path} was computed, so that its answers belong neither to "
            "what was there before nor to what is there now: delete the folder to begin again"
        )

    def resume(self) -> dict[str, bool]:
        """Make good what an interruption left; which samples are answered, and whether they failed.

        Cuts torn lines off. Call it in one process only, before any of them appends.
        """
        with disk_errors_explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "halt").unlink(missing_ok=True)
        for path in [*self._parts(), *self._times()]:
            cut_torn_lines(path)
        return {uid: line.failed for uid, line in self._lines().items()}

    def answers(self) -> int:
        """How many questions are answered in the cell, under its tests' conditions, too."""
        places = [*self.path.rglob("part-*.jsonl"), *self.path.rglob("predictions.jsonl")]
        return len({(place.parent, uid) for place in places for uid in uids_of(place)})

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

        Waits at most `wait` seconds for lines that another machine wrote. Raises `ValueError`
        when a uid is missing, was never asked, or was answered in two ways.
        """
        deadline = time.monotonic() + wait
        lines = self._lines()
        if self.merged and not self._parts() and [*lines] == [*uids]:
            return self.stored()  # by a run that was stopped later
        while set(uids) - lines.keys() and time.monotonic() < deadline:
            time.sleep(1.0)
            lines = self._lines()
        self._check_complete(uids, lines)
        write_atomically(self.path / "predictions.jsonl", (lines[uid].read() for uid in uids))
        return self.stored()

    def _check_complete(self, uids: Sequence[str], lines: Mapping[str, Any]) -> None:
        again = "run the same command again to complete it"
        if missing := [uid for uid in uids if uid not in lines]:
            raise ValueError(
                f"{self.path} lacks {len(missing)} of {len(uids)} predictions, first {missing[0]}; "
                f"{again}"
            )
        if len(set(uids)) < len(uids):
            raise ValueError(f"{len(uids) - len(set(uids))} samples have a uid twice")
        if unasked := lines.keys() - set(uids):
            raise ValueError(
                f"{self.path} holds {len(unasked)} predictions of samples that were not asked, "
                f"first {min(unasked)}: the data have changed since it was begun; move the folder "
                "away and run the command again"
            )

    def _lines(self) -> dict[str, Line]:
        """Where the prediction of every sample stands. A success counts before a failure."""
        lines: dict[str, Line] = {}
        merged = self.path / "predictions.jsonl"
        for path in [*self._parts(), *([merged] if merged.exists() else [])]:
            for line in scan(path):
                known = lines.get(line.uid)
                if known and not known.failed and not line.failed and known.read() != line.read():
                    raise ValueError(
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
        times = [
            json.loads(line) for path in self._times() for line in path.read_text().splitlines()
        ]
        known = self.path / "timing.json"
        if not times and known.exists():  # a finished cell, whose files are made again
            return read_json(known)
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
        places = sorted(place for name in SEALED for place in self.path.glob(name))
        sealed = {place.relative_to(self.path).as_posix(): place for place in places}
        write_atomically(self.path / "DONE", declaration({*tracking, *self.tracked()}, sealed))
        self.settle()

    def tell(self, tracker: str) -> None:
        """Note that a tracker knows the finished cell, too."""
        done = self._done() or {"tracking": [], "sha256": {}}
        done["tracking"] = sorted({tracker, *done["tracking"]})
        write_atomically(self.path / "DONE", json.dumps(done, indent=1) + "\n")

    def tracked(self) -> list[str]:
        """Names of the trackers that know the finished cell."""
        return (self._done() or {"tracking": []})["tracking"]

    def sealed(self) -> dict[str, str]:
        """SHA-256 of the results as the finished cell declared them, by their names in it."""
        return (self._done() or {"sha256": {}})["sha256"]

    def _done(self) -> dict[str, Any] | None:
        """The content of DONE, without digests in one of before they were kept. None where there
        is no DONE, or a damaged one: the cell then goes on, and looks at all that it has.
        """
        try:
            done = read_json(self.path / "DONE")
        except (ValueError, OSError):
            return None
        whole = isinstance(done, dict) and isinstance(done.get("tracking"), list)
        done = {"sha256": {}} | done if whole else {"sha256": None}
        return done if isinstance(done["sha256"], dict) else None

    def settle(self) -> None:
        """Drop what only an unfinished run needs; nothing where the answers are not merged."""
        if not self.merged:
            return
        notes = [self.path / name for name in ("outcome.json", "halt")]
        for path in [*self._parts(), *self._times(), *notes]:
            if path.exists():  # a disk that cannot be written refuses to remove what is not there
                with disk_errors_explained(path):
                    path.unlink(missing_ok=True)

    def end(self, state: str, why: str, total: int) -> None:
        """Note how a run of `total` samples ended that did not finish: `stopped` or `failed`."""
        outcome = {"state": state, "why": redacted_text(why), "total": total}
        text = json.dumps(outcome) + "\n"
        write_atomically(self.path / "outcome.json", text)

    def metrics(self) -> dict[str, Any]:
        """What `write_metrics` wrote, both together. Raises `ValueError` where one is damaged."""
        found: dict[str, Any] = {}
        for name, needed in (("timing.json", "seconds"), ("metrics.json", "score")):
            content = read_json(self.path / name)
            if not isinstance(content, dict) or needed not in content:
                raise ValueError(
                    f"{self.path / name} is damaged (it has no {needed!r}): restore it, or delete "
                    "it and run the cell's command again"
                )
            found |= content
        return found

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.jsonl"))

    def _times(self) -> list[Path]:
        return sorted(self.path.glob("seconds-*.jsonl"))


def declaration(tracking: Iterable[str], sealed: Mapping[str, Path]) -> str:
    """What `DONE` says of results, by their names in the cell, and of trackers that know them."""
    digests = {name: digest_now(sealed[name]) for name in sorted(sealed, key=PurePosixPath)}
    return json.dumps({"tracking": sorted(tracking), "sha256": digests}, indent=1) + "\n"


def seals(name: str) -> bool:
    """Whether `DONE` has the digest of a file of that name in the cell."""
    return any(
        name.count("/") == each.count("/") and PurePosixPath(name).match(each) for each in SEALED
    )


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None

"""How far a cell is, read from its folder alone: nothing is written, nobody is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from solvent.core.files import read_json
from solvent.storage.claims import Claim, holder
from solvent.storage.folder import CellFolder

STATES = ("damaged", "failed", "stopped", "running", "waiting", "done")  # as they are shown
BEGUN = ("config.yaml", "DONE")  # either shows that a folder is a cell
SILENCE = 60.0  # seconds without a beat after which a process on another machine counts as dead
CONTINUES = "the same command goes on where it stopped"
DIED = f"its process died without a word: killed, out of memory, or the node failed; {CONTINUES}"


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """One cell, for people."""

    path: Path
    state: str  # of STATES
    doing: str = ""  # the condition of the tests that is being answered, if it is one
    done: int | None = None  # samples of what is being done
    total: int | None = None  # of these
    failed: int = 0  # samples that could not be answered
    where: str = ""  # who works on it
    why: str = ""  # it stopped or failed
    imported: bool = False  # somebody else's saved answers, not a run

    @property
    def names(self) -> tuple[str, ...]:
        """Study, model, benchmark, and intervention with hash."""
        return self.path.parts[-4:]


def statuses(output: Path, planned: Sequence[Path]) -> list[CellStatus]:
    """All cells below a folder, and those of a plan that were not begun.

    Raises `FileNotFoundError` where there is none.
    """
    begun = sorted({path.parent for name in BEGUN for path in output.rglob(name)})
    found = [_judged(path) for path in begun]
    known = {path.resolve() for path in begun}
    found += [_waiting(path) for path in planned if path.resolve() not in known]
    if not found:
        raise FileNotFoundError(
            f"There is no cell below {output}: give the folder of all results (outputs), of a "
            "study, or of a cell"
        )
    return found


def _judged(path: Path) -> CellStatus:
    """One cell; that one is damaged keeps nobody from seeing the others."""
    try:
        return status_of(path)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{path} cannot be read ({error!r})"
        return CellStatus(path=path, state="damaged", why=why)


def status_of(path: Path) -> CellStatus:
    """How far one cell is that was begun. Raises `ValueError` where a file of it is damaged."""
    folder, claim = CellFolder(path), holder(path)
    if folder.finished:
        metrics = folder.metrics()
        rows = metrics["score"]["rows"]
        return CellStatus(
            path=path,
            state="done",
            done=rows,
            total=rows,
            failed=metrics["errors"],
            imported="imported" in metrics,
        )
    if folder.declared and claim is None:
        why = f"{', '.join(folder.lacking())} is gone since it was done; its command makes it again"
        return CellStatus(path=path, state="damaged", why=why)
    counted = _counted(path)
    if claim is None:
        return _ended(path, counted)
    counted = replace(
        counted,
        doing=claim.doing if (path / "predictions.jsonl").exists() else "",
        done=claim.done if claim.total else counted.done,
        total=claim.total or None,
        where=_where(claim),
    )
    silent = _silent(path, claim)
    if silent is None:
        return replace(counted, state="running")
    if _noted_since(path, claim):
        return _ended(path, counted)
    return replace(counted, state="stopped", why=silent)


def _waiting(path: Path) -> CellStatus:
    return CellStatus(path=path, state="waiting")


def _ended(path: Path, counted: CellStatus) -> CellStatus:
    """A cell that nobody works on."""
    try:
        outcome = read_json(path / "outcome.json")
    except (FileNotFoundError, ValueError):
        return replace(counted, why=f"nobody works on it; {CONTINUES}")
    return replace(
        counted,
        state="failed" if outcome["state"] == "failed" else "stopped",
        why=outcome["why"],
        total=outcome.get("total"),
    )


def _silent(path: Path, claim: Claim) -> str | None:
    """Why the owner of a claim counts as dead; None while it lives."""
    if claim.here:
        return None if claim.alive() else DIED
    try:
        age = time.time() - (path / f"claim-{claim.number}.json").stat().st_mtime
    except FileNotFoundError:
        return None  # it has just ended
    return DIED if age > SILENCE else None


def _noted_since(path: Path, claim: Claim) -> bool:
    """Whether the run of a dead claim has noted how it ended, as one does in which a process hangs.

    Both times are those of the disk.
    """
    try:
        noted = (path / "outcome.json").stat().st_mtime
        return noted >= (path / f"claim-{claim.number}.json").stat().st_mtime
    except FileNotFoundError:
        return False


def _where(claim: Claim) -> str:
    job = f", job {claim.job}" if claim.job else ""
    return f"{claim.host}, pid {claim.pid}{job}"


def _counted(path: Path) -> CellStatus:
    """What was answered so far, of the cell or of the condition that its tests are at."""
    failed: dict[str, bool] = {}
    doing, place = "", path
    if (path / "predictions.jsonl").exists():
        for condition in sorted((path / "diagnostics").glob("*/part*.jsonl")):
            if not (condition.parent / "predictions.jsonl").exists():
                doing, place = condition.parent.name, condition.parent
    parts = sorted(place.glob("part*.jsonl")) or [place / "predictions.jsonl"]
    for part in parts:
        for row in _rows(part):
            failed[row["uid"]] = failed.get(row["uid"], True) and row["status"] == "error"
    errors = sum(failed.values())
    return CellStatus(path=path, state="stopped", doing=doing, done=len(failed), failed=errors)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that somebody may be writing, and that may have been torn."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                with suppress(ValueError):  # the run that goes on says what it makes of it
                    yield json.loads(line)

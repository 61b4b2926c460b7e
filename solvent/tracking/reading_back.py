"""Cells of a study, fetched from a W&B project into the folders that they would have here.

A cell is fetched beside its place, checked against the digests of its own `DONE`, and moved there
whole: what was interrupted goes on with the next cell, and nobody ever sees half a cell.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from solvent.core.files import disk_errors_explained
from solvent.core.names import nearest
from solvent.core.redaction import redacted_text
from solvent.storage.folder import CellFolder, declaration, seals
from solvent.tracking.clean_files import clean
from solvent.tracking.sending import LONGEST_NAME
from solvent.tracking.study_run import JOB_TYPE

KIND = "cell"  # type of the artifacts that are cells
BESIDE = ("DONE", "config.yaml", "timing.json", "provenance.json")  # files without a digest
STAGED = "wandb/fetching"  # below the study, deeper than cells are looked for
PATIENCE = 60  # seconds for one answer of W&B
LOOKED_AT = 500  # runs whose groups are looked at where there is none of the study
SAID = 3  # cells that are named where many cannot be had
NO_PROJECT = "Could not find project"  # how W&B says it
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
ABROAD = ("offline", "dryrun", "disabled")

Answer = TypeVar("Answer")

log = logging.getLogger("solvent")


def read_back(project: str, output: Path, study: str) -> str:
    """Fetch the finished cells of a study that are not here yet; says how many these are.

    Args:
        project: `ENTITY/PROJECT` on W&B, or `PROJECT` of the user's default entity.
        output: folder of all results.
        study: the group on W&B, and the folder below `output`.

    Raises:
        ValueError: nobody is logged in; there is no such project, or no such group in it; W&B did
            not answer; or a cell cannot be had, as another one is in its place. The others have
            been fetched then.
    """
    place = output / study
    runs = _runs(_connected(project), project, study)
    ready = [run for run in runs if run.state == "finished"]
    if len(ready) < len(runs):
        log.warning(
            "W&B: %s of %s runs of the group %s did not finish and are left out",
            f"{len(runs) - len(ready):,}",
            f"{len(runs):,}",
            study,
        )
    fetched, refused = _fetch_all(ready, place, project)
    if refused:
        more = f" (and {len(refused) - SAID:,} more)" if len(refused) > SAID else ""
        raise ValueError(
            f"{len(refused):,} of {len(ready):,} cells could not be fetched from {project}: "
            f"{'; '.join(refused[:SAID])}{more}"
        )
    there = len(ready) - fetched
    cells = "cell" if fetched == 1 else "cells"
    return f"{fetched:,} {cells} fetched from W&B's {project}, {there:,} in {place} already"


class CellError(Exception):
    """Why one cell cannot be had, without a full stop."""


def _ask(project: str, call: Callable[[], Answer]) -> Answer:
    """What W&B answers; whatever it raises becomes one sentence, but not what our disk does."""
    try:
        return call()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise
        if NO_PROJECT in str(error):
            raise ValueError(
                f"there is no project {project} on W&B, or it is not yours to read: from_wandb "
                "takes ENTITY/PROJECT"
            ) from None
        why = redacted_text(" ".join(str(error).split())[:500])
        raise ValueError(
            f"W&B could not be read ({why}): look whether {project} is there and yours to read, "
            "and run the same command again, which goes on"
        ) from error


def _connected(project: str) -> Any:
    """W&B's interface, without a question in a terminal."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    parts = project.split("/")
    if not 1 <= len(parts) <= 2 or not all(part.strip() for part in parts):
        raise ValueError(f"from_wandb is {project!r}; expected ENTITY/PROJECT, as W&B calls them")
    if (mode := os.environ.get("WANDB_MODE")) in ABROAD:
        raise ValueError(f"from_wandb reads from W&B, but WANDB_MODE is {mode}: unset it")
    if not _ask(project, lambda: wandb.login(prompt=False, verify=False)):
        raise ValueError(
            "from_wandb reads from W&B, but nobody is logged in: run `wandb login`, or set "
            "WANDB_API_KEY"
        )
    return _ask(project, lambda: wandb.Api(timeout=PATIENCE))


def _runs(api: Any, project: str, study: str) -> list[Any]:
    """Those of the study's cells."""
    wanted = {"group": study[:LONGEST_NAME], "jobType": {"$ne": JOB_TYPE}}
    if runs := _ask(project, lambda: list(api.runs(project, filters=wanted, lazy=False))):
        return runs
    others = _ask(project, lambda: {run.group for run in islice(api.runs(project), LOOKED_AT)})
    others = {group for group in others if group}
    known = nearest(study, others) if others else "no run of it has a group"
    raise ValueError(f"{project} has no cells of the group {study!r}: {known}")


def _fetch_all(runs: Sequence[Any], study: Path, project: str) -> tuple[int, list[str]]:
    """How many cells had to be fetched, and why others could not be had."""
    fetched, refused = 0, []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    try:
        with Progress(*columns, transient=True) as bar:
            for run in bar.track(runs, description="fetching cells from W&B"):
                try:
                    fetched += _fetch(run, study, project)
                except CellError as error:
                    refused.append(str(error))
    finally:
        shutil.rmtree(study / STAGED, ignore_errors=True)
        with suppress(OSError):
            (study / STAGED).parent.rmdir()  # unless runs are kept there
    return fetched, refused


def _fetch(run: Any, study: Path, project: str) -> bool:
    """Bring a cell into its place; whether it had to be. Raises `CellError`."""
    artifact = _artifact(run, project)
    place = CellFolder(study.joinpath(*_below(run)))
    staged = CellFolder(study.joinpath(STAGED, *_below(run)))
    with disk_errors_explained(study):
        shutil.rmtree(staged.path, ignore_errors=True)  # of one that was interrupted
        staged.path.mkdir(parents=True)
        where = {"root": str(staged.path), "skip_cache": True}
        _ask(project, lambda: artifact.get_entry("DONE").download(**where))
        if place.path.exists():
            _check_same(place, staged, artifact.name)
            shutil.rmtree(staged.path)
            return False
        _ask(project, lambda: artifact.download(**where))
        try:
            staged.check()
        except ValueError as error:
            shutil.rmtree(staged.path)
            raise CellError(f"{artifact.name} came damaged, {error}") from error
        place.path.parent.mkdir(parents=True, exist_ok=True)
        staged.path.rename(place.path)
    return True


def _artifact(run: Any, project: str) -> Any:
    """The latest of a run that is a cell, with nothing in it that a cell does not have."""
    logged = _ask(project, lambda: list(run.logged_artifacts()))
    found = [artifact for artifact in logged if artifact.type == KIND]
    if not found:
        raise CellError(f"{run.name} has no artifact that is a cell")
    artifact = max(found, key=lambda each: int(each.version.removeprefix("v")))
    names = _ask(project, lambda: set(artifact.manifest.entries))
    if "DONE" not in names:
        raise CellError(
            f"{artifact.name} has no DONE: it was logged before cells could be read back"
        )
    if strange := sorted(name for name in names if name not in BESIDE and not seals(name)):
        raise CellError(f"{artifact.name} holds {strange[0]}, which no cell has")
    return artifact


def _below(run: Any) -> tuple[str, str, str]:
    """Model, benchmark and name of a cell: the last folders of where it was computed."""
    stored = str(run.config.get("cell", ""))
    parts = PurePosixPath(stored).parts[-3:]
    plain = all(part.strip(" .") and part.isprintable() and "\\" not in part for part in parts)
    if len(parts) < 3 or not plain or not parts[2].endswith(f"-{run.id}"):
        raise CellError(f"the run {run.name} does not say where its cell belongs ({stored!r})")
    return parts[0], parts[1], parts[2]


def _check_same(place: CellFolder, staged: CellFolder, name: str) -> None:
    """Raise `CellError` where something else than what would be fetched is in its place."""
    if not place.declared:
        raise CellError(
            f"{place.path} was begun here and is not finished: run its command again, or move it "
            f"away to have {name}"
        )
    if lacking := place.lacking():
        raise CellError(
            f"{place.path} lacks {', '.join(lacking)}: run its command again, or move it away to "
            f"have {name}"
        )
    here, there = place.sealed(), staged.sealed()
    if here == there:
        return
    here = _as_uploaded(place, staged.path)
    if here != there:
        differ = sorted(each for each in here.keys() | there if here.get(each) != there.get(each))
        raise CellError(
            f"{place.path} differs from {name} in {', '.join(differ)}: move one of them away"
        )


def _as_uploaded(place: CellFolder, ours: Path) -> dict[str, str]:
    """Digests of a cell's results without secrets, as they are uploaded."""
    files = {
        name: clean(place.path / name, ours / "clean" / Path(name).parent)
        for name in place.sealed()
    }
    return json.loads(declaration([], files))["sha256"]

"""Files by what is in them: their SHA-256, kept from one run to the next.

A digest is kept with the size and the times of its file, and is made again when one of them
differs. It is kept in `$SOLVENT_CACHE` (else `~/.cache/solvent`), a JSON file for every folder with
digested files; that can be deleted at any time, and costs only time then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from solvent.core.files import replacing

CACHE = "SOLVENT_CACHE"  # environment variable
FRESH = 2.0  # seconds: a file that was written just now may be written again within the same tick
THREADS = 8
SLOW = 1.0  # seconds after which a progress bar appears

COLUMNS = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True),
           TimeRemainingColumn())  # fmt: skip

Seal = tuple[int, int, int, int]
"""Bytes of a file, when its content and its attributes changed last, in nanoseconds, and which file
it is: a link may lead to another one. Of a folder the same, which changes with what is in it.
"""

log = logging.getLogger("solvent")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises `OSError` where it cannot be read."""
    found = digests([path])[path]
    if found is None:
        raise FileNotFoundError(f"{path} cannot be read: restore it, or name another file")
    return found


def digests(paths: Iterable[Path]) -> dict[Path, str | None]:
    """SHA-256 of files, in hexadecimal; None where there is no file that can be read."""
    folders: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in paths:
        folder, name = os.path.split(path)  # ten times as fast as pathlib, for 9,000 pictures
        folders[folder][name] = path
    found: dict[Path, str | None] = {}
    for folder, files in folders.items():
        found |= _of_folder(Path(folder), files)
    return found


def digest_now(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, of its bytes as they are, whatever was kept of them.

    For what somebody may have changed and given its old times back. Raises `OSError`.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seals(paths: Iterable[Path]) -> tuple[Seal | None, ...]:
    """What changes when files are written again, or folders get others; None where none is."""
    return tuple(map(_seal, paths))


def combined(parts: Mapping[str, str | None]) -> str:
    """One digest of named ones: of which names they have, too, and of those that are missing."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _of_folder(folder: Path, files: Mapping[str, Path]) -> dict[Path, str | None]:
    store = _store(folder)
    kept = _load(store)
    seals = {name: _seal(path) for name, path in files.items()}
    known: dict[str, str | None] = {
        name: kept[name][1]
        for name, seal in seals.items()
        if name in kept and seal == kept[name][0]
    }
    todo = {name: seal for name, seal in seals.items() if seal and name not in known}
    total, settled = sum(seal[0] for seal in todo.values()), time.time_ns() - FRESH * 1e9
    for name, made in zip(todo, _made([files[name] for name in todo], total), strict=True):
        known[name], seal = made, todo[name]
        if made is not None and max(seal[1:3]) < settled and _seal(files[name]) == seal:
            kept[name] = (seal, made)
    if todo:
        _keep(store, kept)
    return {path: known.get(name) for name, path in files.items()}


def _seal(path: Path) -> Seal | None:
    try:
        stat = os.stat(path)
    except OSError:  # missing, a loop of links, a name that is too long: nobody can read it
        return None
    if not (S_ISREG(stat.st_mode) or S_ISDIR(stat.st_mode)):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _made(files: Sequence[Path], total: int) -> Iterator[str | None]:
    """Digests, several at a time, in order; shows how far it is where that takes long."""
    began, done = time.monotonic(), 0
    with ExitStack() as shown, ThreadPoolExecutor(THREADS) as pool:
        bar = None
        for made, size in pool.map(_read, files):
            done += size
            if bar is None and time.monotonic() - began > SLOW:
                bar = shown.enter_context(Progress(*COLUMNS, transient=True))
                task = bar.add_task("reading what data and weights are", total=total)
            if bar is not None:
                bar.update(task, completed=done)
            yield made


def _read(path: Path) -> tuple[str | None, int]:
    try:
        return digest_now(path), path.stat().st_size
    except OSError:  # whoever needs its content says why it cannot be read
        return None, 0


def _store(folder: Path) -> Path:
    place = os.environ.get(CACHE)
    root = Path(place).expanduser() if place else Path.home() / ".cache" / "solvent"
    name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:32]
    return root / "digests" / f"{name}.json"


def _load(store: Path) -> dict[str, tuple[Seal, str]]:
    try:
        rows = json.loads(store.read_bytes())
        kept = {name: (tuple(seal), made) for name, (seal, made) in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # absent, or not ours: made again
        kept = {}
    return kept | _unwritten(store)


@cache
def _unwritten(store: Path) -> dict[str, tuple[Seal, str]]:
    """What this process knows and cannot keep: a cell asks for its weights six times."""
    return {}


def _keep(store: Path, kept: Mapping[str, tuple[Seal, str]]) -> None:
    """Write what is known; of several at once one wins, and the others' digests are made again."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with replacing(store, shared=True) as new:
            new.write_text(json.dumps(kept), encoding="utf-8")
    except OSError as error:
        _unwritten(store).update(kept)
        log.warning(
            "digests of data and weights cannot be kept in %s (%s) and are made again by every "
            "run: set %s to a folder that can be written",
            store.parent,
            error.strerror,
            CACHE,
        )

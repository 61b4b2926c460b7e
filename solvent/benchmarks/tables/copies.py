"""A data set's tables as files on this disk: which they are, and how `datasets` reads them."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solvent.core import paths
from solvent.core.digests import combined, digest

SHARD = re.compile(r"-\d{5}-of-\d{5}$")
BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".tsv": "csv"}
ROWS_AT_A_TIME = 64  # of a table of text, whose pictures may have megabytes each

Place = tuple[Path, str | None]
"""A file or folder, and the config that it is; None where its rows say so themselves."""


def places(local: str, configs: Sequence[str | None], name: str) -> list[Place]:
    """One for every config, or one for all. Raises `FileNotFoundError` where some are missing."""
    place = paths.resolve(local)
    if not place.exists():
        raise FileNotFoundError(
            f"{place} is missing: benchmark.source.local expects a parquet or JSON-lines file, "
            f"a .tsv, or a folder of them, with the columns of {name}."
        )
    named = [config for config in configs if config and (place / config).exists()]
    if named and len(named) < len(configs):
        absent = [config for config in configs if config not in named]
        raise FileNotFoundError(
            f"{place} has folders for {named}, but none for {absent}: copy these configs of "
            f"{name}, too, or name fewer in benchmark.source.configs."
        )
    if named:
        return [(place / config, config) for config in named]
    return [(place, (configs[0] or "default") if len(configs) == 1 else None)]


def files_of(place: Path, split: str, name: str) -> list[Path]:
    """The files of a split, all of one kind; all files where none is named by a split."""
    if place.is_file():
        return [place]
    for suffix in BUILDERS:
        files = sorted(place.rglob(f"*{suffix}"))
        named = [file for file in files if _split_of(file) == split]
        if files and not named and all(SHARD.search(file.stem) for file in files):
            splits = sorted({_split_of(file) for file in files})
            raise FileNotFoundError(
                f"{place} holds the splits {splits}, but not {split!r}: copy that split "
                f"of {name}, or set benchmark.source.split."
            )
        if files:
            return named or files
    raise FileNotFoundError(
        f"{place} holds no .parquet and no .jsonl file, nor a .tsv: copy those of {name} there."
    )


def files_of_each(place: Path, splits: Sequence[str], name: str) -> dict[str | None, list[Path]]:
    """The files of several splits, in folders or files of their names; under None those of a table
    whose rows say themselves which split they are of. Raises `FileNotFoundError`.
    """
    found: dict[str | None, list[Path]] = {}
    for split in splits if place.is_dir() else ():
        home = place / split if (place / split).is_dir() else place
        files = files_of(home, split, name)
        if home != place or any(_split_of(file) == split for file in files):
            found[split] = files
    absent = [split for split in splits if split not in found]
    if found and absent:
        raise FileNotFoundError(
            f"{place} has files for the splits {[*found]}, but none for {absent}: copy these of "
            f"{name}, too, or name fewer in benchmark.source.split."
        )
    return found or {None: files_of(place, splits[0], name)}


def read(files: Sequence[Path], place: Path) -> tuple[Any, str]:
    """A `datasets.Dataset` in Arrow format, and the digest of its files.

    Of a .tsv file every column is text and an empty entry the text "". Raises `ValueError`.
    """
    import datasets  # seconds to import, and only these benchmarks need it

    builder = BUILDERS.get(files[0].suffix, "json")
    made = combined({f"{number:05d}": digest(file) for number, file in enumerate(files)})
    try:
        # Under the name of its content: `datasets` would take a file of the same time for
        # the same, and hand out what it read before.
        data = datasets.load_dataset(
            builder,
            name=made[:16],
            data_files=[*map(str, files)],
            split="train",
            **(_as_text(files[0]) if builder == "csv" else {}),
        )
    except Exception as error:
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split()) or f"it is empty, or {type(cause).__name__}"
        raise ValueError(
            f"{place} cannot be read as {files[0].suffix.lstrip('.')}: {reason}; copy it again"
        ) from error
    return data.with_format("arrow"), made


def _as_text(file: Path) -> dict[str, Any]:
    """How `datasets` reads a table of text: nothing in it is a number, a date or nothing."""
    import datasets

    names, first = _first_rows(file)
    if len(first) > len(names):  # they would be taken for names of rows, and all others shift
        raise ValueError(f"its rows have {len(first)} entries and its header {len(names)}")
    return {
        "sep": "\t",
        "features": datasets.Features({name: datasets.Value("string") for name in names}),
        "na_filter": False,
        "encoding": "utf-8-sig",
        "chunksize": ROWS_AT_A_TIME,
    }


def _first_rows(file: Path) -> tuple[list[str], list[str]]:
    """The header of a .tsv file and its first row."""
    limit = csv.field_size_limit(sys.maxsize)  # its 128 KiB are less than a picture has
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter="\t")
            return next(rows, []), next(rows, [])
    finally:
        csv.field_size_limit(limit)


def _split_of(file: Path) -> str:
    return SHARD.sub("", file.stem)

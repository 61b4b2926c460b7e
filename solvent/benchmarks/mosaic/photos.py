"""A folder of labelled photos: one folder per class, `root/cat/1.jpg`."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from solvent.core import paths
from solvent.core.names import nearest

Part = Literal["all", "first", "second"]
Photos = Mapping[str, Sequence[str]]
"""Name of a class's folder -> names of its photos."""

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
OBTAIN = "name a folder that holds a folder of photos per class with benchmark.source.root=FOLDER"


def listed(root: Path) -> dict[str, list[str]]:
    """All photos, classes and names in an order that is the same on every machine.

    No photo is opened. Hidden files, files of other kinds, photos that lie deeper and folders
    without any photo are left out.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: less than two folders in it have photos.
    """
    paths.require(root, OBTAIN)
    found = {folder: _photos(root / folder) for folder in _folders(root)}
    classes = {folder: names for folder, names in found.items() if names}
    if len(classes) < 2:
        deeper = next((f for f in found if any(map(_photos, map((root / f).joinpath,
                       _folders(root / f))))), None)  # fmt: skip
        hint = f"; photos lie deeper: name {root / deeper}" if deeper and not classes else ""
        raise ValueError(
            f"{root} has {len(classes)} folders with photos; expected 2 or more, one per class, as "
            f"cat/1.jpg and dog/1.jpg{hint}"
        )
    return classes


def chosen(found: Photos, classes: int | Sequence[str] | None) -> list[str]:
    """The classes that take part, by their folders, those with most photos first.

    Args:
        found: all of them.
        classes: how many, those with most photos; or their folders; None: all.

    Raises:
        ValueError: a folder that is named does not exist, or has no photos.
    """
    ranked = sorted(found, key=lambda folder: (-len(found[folder]), _plain(folder)))
    if classes is None or isinstance(classes, int):
        return ranked[:classes]
    named = {str(each) for each in classes}
    if missing := sorted(named - set(ranked)):
        raise ValueError(
            f"benchmark.source.classes names {missing[0]!r}, and no such folder has photos; "
            f"{nearest(missing[0], ranked)}"
        )
    return [folder for folder in ranked if folder in named]


def of_part(folder: str, names: Sequence[str], part: Part) -> tuple[str, ...]:
    """Those photos of a class that belong to a part: about a half, by a hash of folder and name,
    so that the two parts share none, whatever else is in the folder.
    """
    if part == "all":
        return tuple(names)
    return tuple(name for name in names if _is_second(f"{folder}/{name}") == (part == "second"))


def folders(root: Path) -> list[Path]:
    """The folder and those in it, whose times tell when photos come and go."""
    return [root, *(root / name for name in _folders(root))] if root.is_dir() else [root]


def _is_second(name: str) -> bool:
    return (
        hashlib.blake2b(_plain(name).encode(errors="surrogateescape"), digest_size=1).digest()[0]
        % 2
        == 1
    )


def _folders(place: Path) -> list[str]:
    return sorted((entry.name for entry in _entries(place) if entry.is_dir()), key=_plain)


def _photos(place: Path) -> list[str]:
    names = (entry.name for entry in _entries(place) if not entry.is_dir())
    return sorted((name for name in names if name.lower().endswith(ENDINGS)), key=_plain)


def _entries(place: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(place) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _plain(name: str) -> str:
    """Some file systems take letters with accents apart."""
    return unicodedata.normalize("NFC", name)

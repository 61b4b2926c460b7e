"""`provenance.json`: which runs answered a cell, and whether they were alike.

    [{"answers_before": 0, "code": {"commit": ...}, "packages": {...}, "hardware": {...}, ...},
     {"answers_before": 96, ...}]

An entry for every run that answered something, oldest first: code, versions, hardware, model, data.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from solvent.core.files import read_json, write_atomically
from solvent.storage.folder import CellFolder

PLACE = "provenance.json"
MAY_DIFFER = ("code", "packages", "python", "hardware")  # between runs of one cell, with a warning
SHORT = 10  # digits of a commit, for people

log = logging.getLogger("solvent")


def runs(folder: CellFolder) -> list[dict[str, Any]]:
    """All entries; of cells of before there were several, the one."""
    place = folder.path / PLACE
    found = read_json(place) if place.exists() else []
    found = [found] if isinstance(found, dict) else found
    parts = ("code", "packages", "hardware", "model", "data")
    if not isinstance(found, list) or not all(
        isinstance(run, dict) and all(isinstance(run.get(part, {}), dict) for part in parts)
        for run in found
    ):
        raise ValueError(
            f"{place} is damaged: it should list what answered the cell; restore it, or move the "
            "folder away and run the cell's command again"
        )
    return found


def begin(folder: CellFolder, facts: Mapping[str, Any]) -> None:
    """Add the entry of a run that is about to answer; warn where it is unlike the last one.

    Raises:
        ValueError: answers are there, and this run would go on in another precision, which
            `dtype: auto` takes from the hardware, or on other rows of the data set.
    """
    before, known = folder.answers(), runs(folder)
    if known and known[-1].get("answers_before") == before:  # it answered nothing
        known.pop()
    if known and before:
        _check_same(folder, known[-1], facts)
        for name in unlike(known[-1], facts):
            log.warning(
                "%s was begun with other %s than those of this run: provenance.json says which "
                "answered what; delete the folder to answer everything alike",
                folder.path,
                name,
            )
    _write(folder, [*known, {"answers_before": before, **facts}])


def end(folder: CellFolder) -> None:
    """Drop the entry of a run that answered nothing after all, and only scored, say."""
    known = runs(folder)
    if len(known) > 1 and known[-1].get("answers_before") == folder.answers():
        _write(folder, known[:-1])


def unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What computed differently in two runs, in words: code (with the commits), packages, ..."""
    found = []
    for name in MAY_DIFFER:
        first, second = one.get(name), other.get(name)
        if first == second or first is None or second is None:
            continue
        if name == "code":
            found.append(f"code ({commit(first)}, {commit(second)})")
        elif isinstance(first, Mapping):
            fields = [each for each in first if first[each] != second.get(each)]
            changed = ", ".join(f"{each} {first[each]} and {second.get(each)}" for each in fields)
            found.append(f"{name} ({changed})")
        else:
            found.append(f"{name} ({first}, {second})")
    return found


def commit(code: Mapping[str, Any]) -> str:
    """`1a2b3c4d5e` or `1a2b3c4d5e with uncommitted changes`"""
    name = (code.get("commit") or "no commit")[:SHORT]
    return f"{name} with uncommitted changes" if code.get("uncommitted_changes") else name


def _check_same(folder: CellFolder, before: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    was, now = (each.get("model", {}).get("dtype") for each in (before, facts))
    if was != now:
        raise ValueError(
            f"{folder.path} was begun in {was} and would go on in {now}: set model.dtype, or "
            "delete the folder to begin again"
        )
    rows, present = _rows(before), _rows(facts)
    if rows and present and rows != present:
        raise ValueError(
            f"{folder.path} was begun on other rows ({rows}) than those that the data set has now "
            f"({present}): fetch the data set again, or delete the folder to begin again"
        )


def _rows(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the tables of a hub's data set were; nothing for other data, whose digest counts."""
    tables: Sequence[Mapping[str, Any]] = facts.get("data", {}).get("tables", [])
    names = ("config", "rows", "commit", "fingerprint")
    return [{name: table.get(name) for name in names} for table in tables if table.get("commit")]


def _write(folder: CellFolder, entries: Sequence[Mapping[str, Any]]) -> None:
    write_atomically(folder.path / PLACE, json.dumps(entries, indent=2) + "\n")

"""The user's own folder: definitions that were chosen, and modules behind their classes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from solvent.core.digests import digest
from solvent.core.paths import own_folder

OURS = ("interventions", "solvent")  # are imported first, whatever the folder holds


def check_chosen(group: str, name: str) -> None:
    """Refuse a definition of the user's own that is not called as its file, and would stand in all
    tables as what it starts from. Raises `ValueError`: what to write.
    """
    folder = own_folder()
    path = folder and folder / group / f"{name}.yaml"
    if path is None or not path.is_file():
        return
    text, package = path.read_text(encoding="utf-8"), f"# @package {group}.{name}"
    settings = yaml.safe_load(text) or {}
    if group == "diagnostic":  # a list of tests needs no such line
        if "_target_" in settings and text.partition("\n")[0].strip() != package:
            raise ValueError(
                f"{path} must begin with the line {package!r}: Hydra looks for it there"
            )
    elif settings.get("name") != name:
        says = f"says name: {settings['name']}" if "name" in settings else "says no name"
        raise ValueError(f"{path} {says}; write name: {name} in it, as the file is called")


def own_code(names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the files of the user's own folder that dotted names come from, by their path in
    it: of whole packages, and of what they import from the folder. Nothing for all other names.

    A file counts as it was when this process first asked, as it is then imported, and only once.
    """
    folder, found = own_folder(), dict[str, str]()
    left = [name.partition(".")[0] for name in names] if folder else []
    while folder and left:
        for file in _files(folder, left.pop()):
            name = file.relative_to(folder).as_posix()
            if name not in found:
                found[name], imported = _first_seen(file)
                left += imported
    return dict(sorted(found.items()))


def is_own(name: str) -> bool:
    """Whether a dotted name may be one of the user's own folder: a file of its module is there."""
    folder = own_folder()
    return folder is not None and bool(_files(folder, name.partition(".")[0]))


def lies_in_own(made: type) -> bool:
    """Whether a class is defined in the user's own folder."""
    folder = own_folder()
    try:
        return folder is not None and Path(inspect.getfile(made)).is_relative_to(folder)
    except (TypeError, OSError):  # of C, or of no file
        return False


def targets_of(settings: Any) -> list[str]:
    """All dotted names that settings want to be made, at any depth."""
    if isinstance(settings, Mapping):
        here = [str(settings["_target_"])] if "_target_" in settings else []
        return here + [name for value in settings.values() for name in targets_of(value)]
    if isinstance(settings, list):
        return [name for value in settings for name in targets_of(value)]
    return []


def _files(folder: Path, module: str) -> list[Path]:
    """Of a module, or of all of a package; none where the folder has neither. As Python chooses: a
    package that has no `__init__.py` comes last.
    """
    if module in OURS:
        return []
    file, package = folder / f"{module}.py", folder / module
    if not module:
        return []
    if file.is_file() and not (package / "__init__.py").is_file():
        return [file]
    return sorted(package.rglob("*.py"))


@cache
def _first_seen(file: Path) -> tuple[str, tuple[str, ...]]:
    """Its digest, and the top names of what it imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # which importing it will tell
        return digest(file), ()
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return digest(file), tuple(dict.fromkeys(name.partition(".")[0] for name in names))

"""The configuration of a stored cell. It is data, perhaps somebody else's.

It may name classes that compute, those of `COMPUTING`, and nothing that it says is looked up in the
environment. What calls a server or writes a file is never taken from there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from solvent.cells.building import TARGET, build, literal
from solvent.cells.request import Settings
from solvent.core.own_code import is_own, lies_in_own, targets_of
from solvent.core.types import Facts

REFUSED = (ValueError, TypeError, ImportError, OSError, OmegaConfBaseException, yaml.YAMLError)

COMPUTING = (  # modules and packages whose classes do nothing but compute when they are made
    "interventions.methods.heads",
    "interventions.methods.intervention",
    "interventions.methods.masses",
    "interventions.methods.patterns",
    "interventions.methods.probes",
    "interventions.methods.scaling",
    "solvent.benchmarks.benchmark",
    "solvent.benchmarks.captions",
    "solvent.benchmarks.compat.lmms_eval",
    "solvent.benchmarks.compat.official",
    "solvent.benchmarks.compat.profile",
    "solvent.benchmarks.compat.vlmevalkit",
    "solvent.benchmarks.freeform",
    "solvent.benchmarks.hub",
    "solvent.benchmarks.matchers",
    "solvent.benchmarks.mosaic",
    "solvent.benchmarks.nlvr",
    "solvent.benchmarks.parsers",
    "solvent.benchmarks.prompts",
    "solvent.benchmarks.reducers",
    "solvent.benchmarks.sample",
    "solvent.benchmarks.saved",
    "solvent.benchmarks.shapes.generated",
    "solvent.benchmarks.source",
    "solvent.benchmarks.tables",
    "solvent.diagnostics",
)
MOVED = {  # the first names that cells were stored under, and where those classes lie now
    "benchmarks": "solvent.benchmarks",
    "benchmarks.shapes.source": "solvent.benchmarks.shapes.generated",
    "diagnostics": "solvent.diagnostics",
    "diagnostics.conditions.inputs": "solvent.diagnostics.conditions.modalities",
    "interventions.calibrations": "interventions.methods.scaling",
    "interventions.fitting": "interventions.methods.fitting",
    "interventions.heads": "interventions.methods.heads",
    "interventions.masses": "interventions.methods.masses",
    "interventions.patterns": "interventions.methods.patterns",
    "interventions.probes": "interventions.methods.probes",
    "interventions.recipes": "interventions.methods.tensor_recipes",
    "models": "solvent.models",
}


def stored_config(path: Path) -> dict[str, Any]:
    """What a cell's `config.yaml` says, literally: it was resolved when it was written."""
    return _present(OmegaConf.to_container(OmegaConf.load(path)))


def has_setting(settings: Settings, key: str) -> bool:
    """Whether there is a setting of a dotted name."""
    missing = object()
    return (
        OmegaConf.select(OmegaConf.create(literal(settings)), key, default=missing) is not missing
    )


def with_change(settings: Settings, change: str) -> dict[str, Any]:
    """Settings with one of them replaced, `group.setting=value`, as on a command line."""
    merged = OmegaConf.merge(literal(settings), OmegaConf.from_dotlist([change]))
    plain: Any = OmegaConf.to_container(merged, resolve=True)
    return plain


def present(name: str) -> str:
    """Where a class lies now that a stored definition names; modules of the user's own stay."""
    return name if is_own(name) else _renamed(name.removeprefix("solvent."), MOVED, name)


def first(name: str) -> str:
    """What a class was called when the first cells were stored: a cell's identity keeps to it."""
    return _renamed(name, {now: before for before, now in MOVED.items()}, name)


def _renamed(name: str, moved: Mapping[str, str], otherwise: str) -> str:
    """By the longest package or module that moved."""
    homes = [home for home in moved if f"{name}.".startswith(f"{home}.")]
    home = max(homes, key=len, default=None)
    return otherwise if home is None else moved[home] + name[len(home) :]


def check_targets(settings: Any, packages: Collection[str], path: Path) -> None:
    """Refuse a stored definition that would call anything but classes that compute, or that lie in
    the folder of the user's own that this command was given.

    Args:
        settings: the definition.
        packages: of ours, that it may name.
        path: of the file, for the message.

    Raises:
        ValueError: it would; names what.
    """
    admitted = [name for name in COMPUTING if name.startswith(tuple(packages))]
    for target in targets_of(settings):
        ours = _within(target, admitted) and _is_class(target, admitted)
        if not (ours or _is_own_class(target)):
            raise ValueError(
                f"{path} would call {target!r}; expected a class of {' or '.join(packages)} that "
                "only computes, or of your own folder, named by --config-dir: evaluate the model "
                "again rather than read what others stored"
            )


def stored_facts(run: Path) -> dict[str, Facts]:
    """Facts of the tests of a cell, by name, from classes of ours that its `config.yaml` names.

    For cells of before facts were kept with findings. A test of somebody else's is left out, as
    what a record names is not imported, and so is one whose settings no longer fit its class.
    """
    path, found = run / "config.yaml", {}
    try:
        tests = stored_config(path).get("diagnostic")
    except REFUSED:  # damaged: its numbers can be shown all the same
        return {}
    if not isinstance(tests, Mapping):
        return {}
    for name, settings in tests.items():
        try:
            check_targets(settings, ("solvent.diagnostics",), path)
            found[name] = build(settings, f"diagnostic.{name}", "facts").facts
        except REFUSED:
            continue
    return found


def _is_class(target: str, admitted: Collection[str]) -> bool:
    """Whether a dotted name stands for a class that is defined where it may be."""
    found = _class(target)
    return found is not None and _within(found.__module__, admitted)


def _is_own_class(target: str) -> bool:
    if not is_own(target):
        return False
    found = _class(target)
    return found is not None and lies_in_own(found)


def _class(target: str) -> type | None:
    """What a dotted name stands for, where that is a class."""
    try:
        found = get_object(target)
    except ImportError:  # there is none of that name
        return None
    return found if isinstance(found, type) else None


def _within(name: str, admitted: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in admitted)


def _present(tree: Any) -> Any:
    """The tree with its classes where they lie now."""
    if isinstance(tree, Mapping):
        return {
            key: present(value) if key == TARGET and isinstance(value, str) else _present(value)
            for key, value in tree.items()
        }
    return [_present(value) for value in tree] if isinstance(tree, list) else tree

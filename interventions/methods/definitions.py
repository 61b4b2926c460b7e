"""Interventions as YAML files: their names, how one is read, and what is said of anything else."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from omegaconf import OmegaConf

from interventions.calls import called_as
from interventions.errors import InterventionError
from interventions.methods.intervention import PARTS, Intervention
from interventions.methods.parts import Part, closest, hint, shown
from interventions.methods.shipped import CONFIGS


@called_as("available()")
def available(*, folder: str | PathLike[str] | None = None) -> list[str]:
    """Names of all interventions that have a file; what `load` takes, sorted.

    With a folder of your own: the paths of the files in it.
    """
    if folder is None:
        return sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    return sorted(map(str, Path(folder).expanduser().glob("*.yaml")))


@called_as('load("uniform", layers="middle")')
def load(name: str | PathLike[str], **overrides: Any) -> Intervention:
    """The intervention of a YAML file, with some fields replaced.

    A dot reaches into a part: `load("dirichlet", layers="middle", **{"pattern.alpha": 0.1})`.
    A file of your own is loaded by its path, `load("folder/mine.yaml")`; modules that it names must
    be importable. Raises `ValueError` for an unknown name or field, naming the nearest known one.
    """
    config = definition(name)
    for path, value in overrides.items():
        _replace(config, path, value)
    made = _build(config)
    if not isinstance(made, Intervention):
        raise ValueError(
            f"{name} makes no intervention; begin it with `defaults: [learned, _self_]` and state "
            "what differs."
        )
    return made


def definition(name: str | PathLike[str]) -> dict[str, Any]:
    """The composed YAML of an intervention: its fields over those of the file it starts from.

    What a file of the user's own starts from is one of ours, or lies beside it.
    """
    file = _file(name)
    try:
        own: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(own, dict):
        raise ValueError(f"{file} should hold fields of an intervention, got {shown(own)}.")
    layers = own.pop("defaults", ["_self_"])
    merged = OmegaConf.merge(*(own if each == "_self_" else _start(each, file) for each in layers))
    composed: Any = OmegaConf.to_container(merged)
    return composed


def _start(layer: str, file: Path) -> dict[str, Any]:
    return definition(layer if layer in available() else file.with_name(f"{layer}.yaml"))


def _file(name: Any) -> Path:
    """Where a definition lies, by its name or its path."""
    if not isinstance(name, str | PathLike):
        raise ValueError(
            "An intervention is loaded by the name of its file in conf/intervention, got "
            f'{described(name)}; write load("uniform").'
        )
    path = Path(name).expanduser()
    if name in available():
        return CONFIGS / f"{name}.yaml"
    if path.suffix == ".yaml" and path.is_file():
        return path
    near = closest(str(path), available(folder=path.parent))
    if path.suffix == ".yaml" and near:
        raise ValueError(f"There is no file {str(name)!r}; did you mean {near!r}?")
    raise ValueError(f"There is no intervention {str(name)!r}{hint(path.stem, available())}")


def check_intervention(given: Any, model: Any) -> None:
    """Raise `InterventionError` for what is not an intervention, with the line that would be.

    Args:
        given: in its place.
        model: what came before it.
    """
    if isinstance(model, Intervention):
        raise InterventionError(
            "Expected the model first, but an intervention came; write intervene(model, "
            "intervention)."
        )
    if isinstance(given, Intervention):
        return
    line = 'load("uniform", layers="middle")'
    if isinstance(given, str):
        near = closest(Path(given).stem, available())
        line = f"load({near!r})" if near else line
    elif isinstance(given, partial) and given.func is load:
        line = f"{given.args[0]}()"
    else:
        kind = given if isinstance(given, type) else type(given)
        for field, part in PARTS.items():
            if issubclass(kind, part):
                made = f"{kind.__name__}()" if kind is given else shown(given)
                line = f'load("uniform", {field}={made})'
    raise InterventionError(
        f"Expected an intervention, but {described(given)} came; write intervene(model, {line})."
    )


def described(given: Any) -> str:
    """What somebody gave in the place of an intervention or its name."""
    if isinstance(given, partial) and given.func is load:
        return f"the function {given.args[0]} that makes one"
    return shown(given)


def _replace(config: dict[str, Any], path: str, value: Any) -> None:
    part: Any = config
    *way, last = path.split(".")
    for step in way:
        part = part.get(step) if isinstance(part, dict) else None
    if not isinstance(part, dict) or last not in part:
        raise ValueError(f"An intervention has no field {path!r}{_hint_of(path, config)}")
    part[last] = value


def _hint_of(path: str, config: Mapping[str, Any]) -> str:
    """The nearest field, also inside of parts."""
    known = list(_paths(config))
    inside = [each for each in known if each.split(".")[-1] == path]
    return f"; did you mean {inside[0]!r}?" if inside else hint(path, known)


def _paths(config: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Fields, and with dots those of parts."""
    for name, value in config.items():
        if name != "_target_":
            yield before + name
            if isinstance(value, dict):
                yield from _paths(value, f"{before}{name}.")


def _build(config: Any) -> Any:
    """Objects from `_target_` mappings, as Hydra reads them; anything else is returned as is.

    Not `hydra.utils.instantiate`: it takes a part that is given as an object, a frozen dataclass,
    for a table of settings, and takes two and a half times as long.
    """
    if isinstance(config, Mapping) and "_target_" not in config:
        return {key: _build(value) for key, value in config.items()}
    if not isinstance(config, Mapping):
        return config
    module, _, attribute = config["_target_"].rpartition(".")
    try:
        home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"There is no module {error.name!r}, which the part {config['_target_']!r} needs; the "
            "folder that it lies in must be on sys.path."
        ) from error
    if not hasattr(home, attribute):
        raise ValueError(f"{module} has no part {attribute!r}{hint(attribute, _parts_of(home))}")
    part = getattr(home, attribute)
    if not isinstance(part, Part):  # looked at before it is called: a file may be somebody else's
        raise ValueError(
            f"{config['_target_']!r} is no part of an intervention"
            f"{hint(attribute, _parts_of(home)) if _parts_of(home) else '.'}"
        )
    values = {key: _build(value) for key, value in config.items() if key != "_target_"}
    return part(**values)


def _parts_of(home: ModuleType) -> list[str]:
    return [name for name, value in vars(home).items() if isinstance(value, Part)]

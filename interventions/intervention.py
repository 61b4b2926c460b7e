"""The one class that composes where, what and how much; and `load`, which reads it from YAML."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from interventions.masses import Keep, Mass
from interventions.noise import SCOPES
from interventions.patterns import Learned, Pattern
from interventions.selectors import PHASES, ROLES, check_choice, check_layers

CONFIGS = Path(__file__).resolve().parent.parent / "conf" / "intervention"


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """What is done to attention; frozen, and its repr is its definition.

    Every value comes from a YAML file, so there are no defaults here. Lists become tuples.
    """

    name: str  # of the file it came from
    layers: str | Sequence[int]  # "all", "early", "middle", "late", "2-5" or indices
    heads: str | Sequence[int]  # "all" or indices
    rows: Sequence[str]  # roles of the rows that are edited
    keys: Sequence[str]  # roles of the keys that form the block
    phase: str  # "prefill" (prompt rows), "decode" (generated rows) or "both"
    pattern: Pattern  # what replaces the learned pattern inside the block
    mass: Mass  # how much of the row the block receives
    mix: float  # 0 learned ... 1 edited
    mix_domain: str  # "score" or "weight"
    scope: str  # what a random draw depends on, see `interventions.noise.SCOPES`
    seed: int  # of all random draws

    def __post_init__(self) -> None:
        for field in ("layers", "heads", "rows", "keys"):
            value = getattr(self, field)
            if not isinstance(value, str):
                value = (value,) if isinstance(value, int) else tuple(value)
                object.__setattr__(self, field, value)
        check_layers(self.layers)
        if isinstance(self.heads, str):
            check_choice(self.heads, ("all",), "heads, if not a list,")
        for field in ("rows", "keys"):
            names = getattr(self, field)
            if isinstance(names, str) or not names:
                raise ValueError(f"{field} must be a list of roles such as [last], got {names!r}.")
            for name in names:
                check_choice(name, ROLES[1:], field)
        check_choice(self.phase, PHASES, "phase")
        check_choice(self.mix_domain, ("score", "weight"), "mix_domain")
        check_choice(self.scope, tuple(SCOPES), "scope")
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix must be in [0, 1], got {self.mix}.")

    @property
    def is_identity(self) -> bool:
        """Whether it is the untouched control: such an arm is delegated, bit for bit."""
        learned = isinstance(self.pattern, Learned) and isinstance(self.mass, Keep)
        return learned or self.mix == 0.0


def available() -> list[str]:
    """Names of all interventions that have a file."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load(name: str, **overrides: Any) -> Intervention:
    """The intervention of a YAML file, with some fields replaced.

    A dot reaches into a part: `load("dirichlet", layers="middle", **{"pattern.alpha": 0.1})`.
    Raises `ValueError` for an unknown name or field, naming the nearest known one.
    """
    if name not in available():
        raise ValueError(f"There is no intervention {name!r}{_hint(name, available())}")
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    for path, value in overrides.items():
        _replace(config, path.split("."), value)
    return _build(config)


def _replace(config: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        config = _field(config, step)
    _field(config, path[-1])
    config[path[-1]] = value


def _field(config: dict[str, Any], name: str) -> Any:
    if name not in config:
        raise ValueError(f"An intervention has no field {name!r}{_hint(name, list(config))}")
    return config[name]


def _build(config: Any) -> Any:
    """Objects from `_target_` mappings, as Hydra reads them; anything else is returned as is."""
    if not isinstance(config, Mapping):
        return config
    module, _, attribute = config["_target_"].rpartition(".")
    target = getattr(importlib.import_module(module), attribute)
    values = {key: _build(value) for key, value in config.items() if key != "_target_"}
    missing = {field.name for field in fields(target)} - values.keys()
    if missing:
        raise ValueError(
            f"The definition of {config['_target_']} lacks {', '.join(sorted(missing))}."
        )
    return target(**values)


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}."

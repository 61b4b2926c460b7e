"""The one class that composes where, what and how much; and `load`, which reads it from YAML."""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from interventions.calibrations import Calibration
from interventions.heads import HeadRule
from interventions.masses import Keep, Mass, Shift
from interventions.noise import SCOPES
from interventions.patterns import Learned, Pattern
from interventions.probes import Probe
from interventions.selectors import PHASES, check_choice, check_layers, check_tokens

CONFIGS = Path(__file__).resolve().parent.parent / "conf" / "intervention"


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """What is done to attention; frozen, and its repr is its definition.

    Every value comes from a YAML file, so there are no defaults here. Lists become tuples.
    """

    name: str  # of the file it came from
    layers: str | Sequence[int]  # words, a range or indices, see `selectors.select_layers`
    heads: str | Sequence[int] | HeadRule  # "all", indices or a rule
    rows: Sequence[str | int]  # roles or positions of the rows that are edited
    keys: Sequence[str | int]  # roles or positions of the keys that form the block
    probe: Probe | None  # narrows the block to some of these keys
    phase: str  # "prefill" (prompt rows), "decode" (generated rows) or "both"
    pattern: Pattern  # what replaces the learned pattern inside the block
    calibration: Calibration | None  # brings proposed scores to the scale of the learned ones
    mass: Mass  # how much of the row the block receives
    mix: float  # 0 learned ... 1 edited
    mix_domain: str  # "score" or "weight"
    value_gain: float  # on the values of the block's keys; the row then no longer sums to one
    head_gain: float  # on the output of the edited heads, in the edited rows
    scope: str  # what a random draw depends on, see `interventions.noise.SCOPES`
    seed: int  # of all random draws

    def __post_init__(self) -> None:
        for field in ("layers", "heads", "rows", "keys"):
            value = getattr(self, field)
            if not isinstance(value, str | HeadRule):
                value = (value,) if isinstance(value, int) else tuple(value)
                object.__setattr__(self, field, value)
        check_layers(self.layers)
        if isinstance(self.heads, str):
            check_choice(self.heads, ("all",), "heads, if neither a list nor a rule,")
        check_tokens(self.rows, "rows")
        check_tokens(self.keys, "keys")
        check_choice(self.phase, PHASES, "phase")
        check_choice(self.mix_domain, ("score", "weight"), "mix_domain")
        check_choice(self.scope, tuple(SCOPES), "scope")
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix must be in [0, 1], got {self.mix}.")
        for field in ("value_gain", "head_gain"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) >= 0.0):
                raise ValueError(f"{field} must be 0 or above, got {getattr(self, field)}.")

    @property
    def is_identity(self) -> bool:
        """Whether it is the untouched control: such an arm is delegated, bit for bit."""
        learned = isinstance(self.pattern, Learned) and self.calibration is None
        unmoved = isinstance(self.mass, Keep) or self.mass == Shift(factor=1.0)
        kept = (learned and unmoved) or self.mix == 0.0
        return kept and self.value_gain == 1.0 and self.head_gain == 1.0

    @property
    def leaks(self) -> bool:
        """Whether edited rows may sum to something other than one."""
        return self.mass.leaks or self.value_gain != 1.0 or self.head_gain != 1.0

    @property
    def token_probe(self) -> bool:
        """Whether the block is a set of tokens, the same for every head."""
        return self.probe is None or not self.probe.by_head

    @property
    def needs_whole_prompt(self) -> bool:
        """Whether the prompt may not come in chunks."""
        parts = (self.calibration, self.probe)
        return any(part is not None and part.needs_whole_prompt for part in parts)


def available() -> list[str]:
    """Names of all interventions that have a file."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load(name: str, **overrides: Any) -> Intervention:
    """The intervention of a YAML file, with some fields replaced.

    A dot reaches into a part: `load("dirichlet", layers="middle", **{"pattern.alpha": 0.1})`.
    Raises `ValueError` for an unknown name or field, naming the nearest known one.
    """
    config = definition(name)
    for path, value in overrides.items():
        _replace(config, path.split("."), value)
    return _build(config)


def definition(name: str) -> dict[str, Any]:
    """The composed YAML of an intervention: its fields over those of the file it starts from."""
    if name not in available():
        raise ValueError(f"There is no intervention {name!r}{_hint(name, available())}")
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    composed: dict[str, Any] = {}
    for layer in config.pop("defaults", ["_self_"]):
        composed = _merged(composed, config if layer == "_self_" else definition(layer))
    return composed


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Both trees; where they meet, `over` wins, as Hydra composes them."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


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
    if isinstance(config, Mapping) and "_target_" not in config:
        return {key: _build(value) for key, value in config.items()}
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

"""A configuration, parsed and checked once: nobody beyond this file sees omegaconf.

request = parse(config)       composed by Hydra -> typed settings, and plain groups of settings
request.seed                  a setting of conf/evaluate.yaml
request.model["checkpoint"]   one of the group `model`, as its YAML names it
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from solvent.cells.building import TARGET, check, check_kind
from solvent.core.names import did_you_mean
from solvent.core.own_code import check_chosen

GROUPS = ("model", "prompt", "benchmark", "compat", "intervention", "tracking")  # all are needed
NAMED = ("model", "prompt", "benchmark", "compat", "intervention")  # their names become folders


Settings = Mapping[str, Any]  # plain and resolved: numbers, texts, lists and settings by name


def last_part(checkpoint: Any) -> str:
    """Of the name of a checkpoint, as a folder can have it: `Qwen3-VL-8B-Instruct` of `Qwen/...`.

    What is no letter, digit, dot, underscore or hyphen becomes a hyphen.
    """
    last = PurePosixPath(str(checkpoint).strip()).name
    return re.sub(r"[^\w.-]+", "-", last, flags=re.ASCII).strip("-. ")


OmegaConf.register_new_resolver("last_part", last_part, replace=True)  # for conf/model/hub.yaml


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked for. Raises `ValueError` where a setting is out of its range."""

    output: str  # folder of all results
    study: str  # below it: a name, or several with / between them
    condition: str  # name of what the model is shown
    seed: int  # at least 0
    limit: int | None  # questions at most, at least 1; None: all
    batch_size: int  # at least 1
    max_failed: float  # share of a cell's samples, in [0, 1]
    stuck_minutes: float  # above 0
    settings: Settings  # all of them, groups included, as they are written beside the results
    overrides: tuple[str, ...]  # that were given on the command line
    sweeps: bool  # whether it is one of several cells of a command

    def __post_init__(self) -> None:
        for name, allowed, expected in (
            ("output", self.output.strip(), "the path of a folder"),
            ("seed", self.seed >= 0, "at least 0"),
            ("limit", self.limit is None or self.limit >= 1, "at least 1, or null for all"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("max_failed", 0 <= self.max_failed <= 1, "a share from 0 to 1"),
            ("stuck_minutes", self.stuck_minutes > 0, "minutes above 0"),
        ):
            if not allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected {expected}")
        check_name("study", self.study, nested=True)

    @property
    def model(self) -> Settings:
        """Which checkpoint."""
        return self.settings["model"]

    @property
    def prompt(self) -> Settings:
        """How a question is worded."""
        return self.settings["prompt"]

    @property
    def benchmark(self) -> Settings:
        """Which questions, and how answers are read and scored."""
        return self.settings["benchmark"]

    @property
    def compat(self) -> Settings:
        """Whose rules read the answers."""
        return self.settings["compat"]

    @property
    def intervention(self) -> Settings:
        """What is done to the decoder's attention."""
        return self.settings["intervention"]

    @property
    def tracking(self) -> Settings:
        """Where else the results go."""
        return self.settings["tracking"]

    @property
    def conditions(self) -> Mapping[str, Settings]:
        """All that a model can be shown, by name."""
        return self.settings["conditions"]

    @property
    def tests(self) -> Mapping[str, Settings]:
        """The modality-usage tests, by name."""
        return self.settings.get("diagnostic") or {}

    @property
    def calibration(self) -> Settings | None:
        """How the file that the intervention reads is made, if it reads one."""
        return self.settings.get("calibration")

    def changed(self, path: str, value: Any) -> Request:
        """With another value of one setting of a group, `model.revision` say."""
        return replace(self, settings=_changed(self.settings, path.split("."), value))


def parse(config: DictConfig) -> Request:
    """A composed configuration, checked.

    Raises `ValueError` where a setting is of another kind or out of range, where a group is
    missing, or where a name would lead out of the folder of results.
    """
    composed = HydraConfig.get() if HydraConfig.initialized() else None
    for group, chosen in (composed.runtime.choices if composed else {}).items():
        if group in NAMED:
            check_chosen(group, str(chosen))
    kinds = {
        name: kind
        for name, kind in typing.get_type_hints(Request).items()
        if name not in ("settings", "overrides", "sweeps")
    }
    given = {name: _plain(config, name) for name in kinds}
    for name, kind in kinds.items():
        check_kind(given[name], kind, name)
    for group in GROUPS:
        node = config.get(group)
        if not isinstance(node, DictConfig) or TARGET not in node:
            raise ValueError(
                f"there is no {group}: choose one with {group}=NAME; `python evaluate.py --help` "
                "lists them all"
            )
        check(OmegaConf.to_container(node, resolve=True, throw_on_missing=True), group)
        if group in NAMED:
            check_name(f"{group}.name", node.get("name"), nested=False)
    if not isinstance(config.get("conditions"), DictConfig):
        raise ValueError("conditions is no table of conditions by name; leave it as it is")
    request = Request(
        **given,
        settings=resolved(config),
        overrides=tuple(composed.overrides.task) if composed else (),
        sweeps=composed is not None and composed.mode == RunMode.MULTIRUN,
    )
    check_known(request.condition, list(request.conditions))
    return request


def resolved(config: DictConfig) -> dict[str, Any]:
    """The settings of a composed configuration, plain."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain


def as_yaml(settings: Settings) -> str:
    """Settings as a cell's `config.yaml` holds them."""
    return OmegaConf.to_yaml(settings)


def check_texts(config: DictConfig, *names: str) -> None:
    """Raise `ValueError` where one of the settings is no text."""
    for name in names:
        check_kind(_plain(config, name), str, name)


def _plain(config: DictConfig, name: str) -> Any:
    value = OmegaConf.select(config, name)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def check_name(setting: str, name: Any, *, nested: bool) -> None:
    """Refuse a name that is no folder below the one that it belongs into. Raises `ValueError`."""
    check_kind(name, str, setting)
    parts = PurePosixPath(name).parts if nested else (name,)
    plain = [
        part
        for part in parts
        if part.strip(" .") and part == part.strip() and "/" not in part and part.isprintable()
    ]
    if not parts or len(plain) < len(parts) or len(name) > 200:
        also = ", with / between several" if nested else ""
        raise ValueError(
            f"{setting} is {name!r}; expected a name that a folder can have{also}: no path that "
            "leads elsewhere"
        )


def check_known(name: str, known: Sequence[str]) -> None:
    """Refuse a condition that nobody defined, with the nearest that somebody did."""
    if name not in known:
        meant = did_you_mean(name, known)
        raise ValueError(
            f"There is no condition named {name!r}{meant}; known are {', '.join(known)}."
        )


def _changed(tree: Settings, path: Sequence[str], value: Any) -> dict[str, Any]:
    name, *rest = path
    return {**tree, name: _changed(tree[name], rest, value) if rest else value}

"""What a run is asked for beside its groups: every setting typed and in its range."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from solvent.cells.building import TARGET, check, check_kind

GROUPS = ("model", "prompt", "benchmark", "compat", "intervention", "tracking")  # all are needed
NAMED = ("model", "prompt", "benchmark", "compat", "intervention")  # their names become folders


@dataclass(frozen=True, kw_only=True)
class Request:
    """The settings of conf/evaluate.yaml that are no groups.

    Raises `ValueError` where one is out of its range.
    """

    output: str  # folder of all results
    study: str  # below it: a name, or several with / between them
    condition: str  # name of what the model is shown
    seed: int  # at least 0
    limit: int | None  # questions at most, at least 1; None: all
    batch_size: int  # at least 1
    max_failed: float  # share of a cell's samples, in [0, 1]
    stuck_minutes: float  # above 0

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


def read_request(config: DictConfig) -> Request:
    """The settings of a composed configuration.

    Raises `ValueError` where a setting is of another kind or out of range, where a group is
    missing, or where a name would lead out of the folder of results.
    """
    settings = {}
    kinds = typing.get_type_hints(Request)
    for each in fields(Request):
        value = _plain(config, each.name)
        check_kind(value, kinds[each.name], each.name)
        settings[each.name] = value
    request = Request(**settings)
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
    check_known(request.condition, list(config.conditions))
    return request


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
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"There is no condition named {name!r}{hint}; known are {', '.join(known)}."
        )

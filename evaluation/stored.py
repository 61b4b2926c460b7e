"""The configuration of a stored cell. It is data, perhaps somebody else's.

It may name classes that compute, those of `COMPUTING`, and nothing that it says is looked up in the
environment. What calls a server or writes a file is never taken from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

TARGET = "_target_"
COMPUTING = (  # modules and packages whose classes do nothing but compute when they are made
    "benchmarks.benchmark",
    "benchmarks.compat.lmms_eval",
    "benchmarks.compat.official",
    "benchmarks.compat.profile",
    "benchmarks.compat.vlmevalkit",
    "benchmarks.freeform",
    "benchmarks.hub",
    "benchmarks.matchers",
    "benchmarks.nlvr",
    "benchmarks.parsers",
    "benchmarks.prompts",
    "benchmarks.reducers",
    "benchmarks.sample",
    "benchmarks.shapes.source",
    "benchmarks.source",
    "diagnostics",
)


def stored_config(path: Path) -> DictConfig:
    """What a cell's `config.yaml` says, literally: it was resolved when it was written."""
    return OmegaConf.create(_literal(OmegaConf.to_container(OmegaConf.load(path))))


def check_targets(config: Any, packages: Collection[str], path: Path) -> None:
    """Refuse a stored definition that would call anything but classes that compute.

    Args:
        config: the definition.
        packages: of ours, that it may name.
        path: of the file, for the message.

    Raises:
        ValueError: it would; names what.
    """
    admitted = [name for name in COMPUTING if name.partition(".")[0] in packages]
    for target in _targets(OmegaConf.to_container(config)):
        if not (_within(target, admitted) and _is_class(target, admitted)):
            raise ValueError(
                f"{path} would call {target!r}; expected a class of {' or '.join(packages)} that "
                "only computes: evaluate the model again rather than read what others stored"
            )


def _is_class(target: str, admitted: Collection[str]) -> bool:
    """Whether a dotted name stands for a class that is defined where it may be."""
    found = get_object(target)
    return isinstance(found, type) and _within(found.__module__, admitted)


def _within(name: str, admitted: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in admitted)


def _targets(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        if TARGET in tree:
            yield str(tree[TARGET])
        for value in tree.values():
            yield from _targets(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _targets(value)


def _literal(tree: Any) -> Any:
    """The tree with every `${` escaped."""
    if isinstance(tree, Mapping):
        return {key: _literal(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_literal(value) for value in tree]
    return tree.replace("${", r"\${") if isinstance(tree, str) else tree

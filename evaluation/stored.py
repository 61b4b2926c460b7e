"""The configuration of a stored cell. It is data, perhaps somebody else's: it may name classes of
this framework, and nothing that it says is looked up in the environment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

TARGET = "_target_"


def stored_config(path: Path) -> DictConfig:
    """What a cell's `config.yaml` says, literally: it was resolved when it was written."""
    return OmegaConf.create(_literal(OmegaConf.to_container(OmegaConf.load(path))))


def check_targets(config: Any, packages: Collection[str], path: Path) -> None:
    """Refuse a stored definition that would call anything but classes of these packages.

    Raises:
        ValueError: it would; names what.
    """
    for target in _targets(OmegaConf.to_container(config)):
        if target.partition(".")[0] not in packages or not _is_class(target, packages):
            raise ValueError(
                f"{path} would call {target!r}; expected a class of {' or '.join(packages)}: "
                "evaluate the model again rather than read what others stored"
            )


def _is_class(target: str, packages: Collection[str]) -> bool:
    """Whether a dotted name stands for a class that one of the packages defines itself."""
    found = get_object(target)
    return isinstance(found, type) and found.__module__.partition(".")[0] in packages


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

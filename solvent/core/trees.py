"""Trees of settings: mappings within mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differing(one: Any, other: Any, prefix: str = "") -> list[str]:
    """Dotted names of what differs between two definitions."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return [] if one == other else [prefix.removesuffix(".")]
    names = sorted({*one, *other})
    missing = object()
    return [
        each
        for name in names
        for each in differing(one.get(name, missing), other.get(name, missing), f"{prefix}{name}.")
    ]


def at(tree: Any, name: str) -> Any:
    """What stands under a dotted name; None where nothing does."""
    for part in name.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree

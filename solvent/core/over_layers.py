"""What is measured in decoder layers, as one number."""

from __future__ import annotations

from collections.abc import Iterable


def over_layers(layers: Iterable[float | None]) -> float | None:
    """Over the layers where something was measured; None where that is none."""
    known = [value for value in layers if value is not None]
    return sum(known) / len(known) if known else None

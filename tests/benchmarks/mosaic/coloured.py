"""Photos of one colour each, so that whoever sees a colour knows which photo it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from solvent.benchmarks.mosaic.kinds import KINDS
from solvent.benchmarks.mosaic.mosaic import Mosaic

TWELVE = {"cat": 4, "dog": 4, "owl": 4}


def painted(root: Path, sizes: Mapping[str, int]) -> dict[tuple[int, int, int], str]:
    """Make photos, wider than high or the other way round: colour -> folder."""
    owners = {}
    for number, (folder, size) in enumerate(sizes.items()):
        (root / folder).mkdir(parents=True)
        for index in range(size):
            colour = (40 * number + 10, 5 * index + 3, 77)
            picture = Image.new("RGB", (30, 20) if index % 2 else (16, 24), colour)
            picture.save(root / folder / f"{index}.png")
            owners[colour] = folder
    return owners


def mosaic(root: Path, **changes: Any) -> Mosaic:
    settings: dict[str, Any] = {
        "classes": None, "names": {}, "part": "all", "law": "balanced", "typical": 0.7,
        "kinds": KINDS, "questions": 60, "grid": (2, 3), "side": 10, "gap": 2, "most": 4, "seed": 0,
    }  # fmt: skip
    return Mosaic(root=str(root), **settings | changes)

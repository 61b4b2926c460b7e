"""Arrays on disk that are whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from solvent.core.files import disk_errors_explained, replacing


def save(path: Path, arrays: Mapping[str, Any], *, compressed: bool = True) -> None:
    """Write a `.npz` that survives a kill: what was there before, or all of the new.

    Equal arrays give equal bytes. Nothing in it is pickled.
    """
    write = np.savez_compressed if compressed else np.savez
    with disk_errors_explained(path), replacing(path) as new, new.open("wb") as file:
        write(file, allow_pickle=False, **arrays)

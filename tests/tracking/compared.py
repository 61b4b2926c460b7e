"""A made-up comparison with its files, told to a tracker the way that `compare` tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from solvent.reports.compared.frames import Comparison
from tests.reports.compared.made_up import made_up

CODE = '<script>const token="abcdefgh12345678";</script>'
PAGE = f"<!doctype html>{CODE}<p>password=hunter22hunter22</p>"
COMMAND = "python compare.py study=made_up --token hunter22hunter22"


def told(tracking: Any, folder: Path, comparison: Comparison | None = None) -> bool:
    """Write a page, a figure and tables into a folder, and tell a tracker of them."""
    comparison = comparison or made_up()
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    page, figure = folder / "index.html", folder / "figures/forest.png"
    page.write_text(PAGE)
    Image.new("RGB", (8, 4)).save(figure)
    comparison.arms.to_csv(folder / "arms.csv", index=False)
    comparison.arms.to_parquet(folder / "arms.parquet", index=False)
    return tracking.compared(
        study=comparison.study,
        folder=folder,
        tables=frames(comparison),
        facts={"baseline": comparison.baseline, "command": COMMAND},
        page=page,
        figures=[figure],
        files=[folder / "arms.csv", folder / "arms.parquet"],
    )


def frames(comparison: Comparison) -> dict[str, pd.DataFrame]:
    names = ("arms", "cells", "slices", "curves", "peaks", "summaries", "assay")
    return {name: getattr(comparison, name) for name in names}

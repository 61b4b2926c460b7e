"""A contact sheet: the pictures of some samples in one PNG, with what is asked about them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

from solvent.core.text import visible
from solvent.reports.figures import STYLE

COLUMNS = 3
MOST_PICTURES = 25  # of one sample; the caption says how many there are
IN_A_ROW = 3  # so many stand in one
MOST_LINES = 60  # of one caption
SIDE = 3.4  # inches of a picture, and of a column
LINE = 0.14  # inches of a line of a caption


def contact_sheet(
    cells: Sequence[tuple[Sequence[Image.Image], str]], title: str, path: Path
) -> Path:
    """Pictures of every sample side by side above its caption. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = min(COLUMNS, max(1, len(cells)))
    rows = max(1, -(-len(cells) // columns))
    captions = [_caption(pictures, caption) for pictures, caption in cells]
    tall = SIDE + LINE * (1 + max((len(lines) for lines in captions), default=0))
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(SIDE * columns, tall * rows),
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, (pictures, _), lines in zip(grid.flat, cells, captions, strict=False):
            if pictures:
                axes.imshow(mosaic(pictures[:MOST_PICTURES]))
            place = {"transform": axes.transAxes, "va": "top", "fontsize": 7}
            axes.text(0, -0.03 if pictures else 1, "\n".join(lines), **place)
        figure.suptitle(visible(title), x=0.01, ha="left", weight="bold")
        figure.savefig(path)
        plt.close(figure)
    return path


def _caption(pictures: Sequence[Image.Image], caption: str) -> list[str]:
    more = len(pictures) - MOST_PICTURES
    return _wrapped(visible(caption)) + ([f"and {more} more pictures"] if more > 0 else [])


def _wrapped(caption: str) -> list[str]:
    """Lines that fit under a picture; the figure grows with them, so a long text is cut."""
    lines = [part for line in caption.splitlines() for part in textwrap.wrap(line, 52) or [""]]
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "..."]


def mosaic(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side, in rows where they are many, as the tiles of one are."""
    columns = len(pictures) if len(pictures) <= IN_A_ROW else math.isqrt(len(pictures))
    rows = [_strip(pictures[start : start + columns]) for start in range(0, len(pictures), columns)]
    gap = max(2, rows[0].height // 40)
    height = sum(row.height for row in rows) + gap * (len(rows) - 1)
    mosaic = Image.new("RGB", (max(row.width for row in rows), height), "white")
    top = 0
    for row in rows:
        mosaic.paste(row, (0, top))
        top += row.height + gap
    return mosaic


def _strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures in one row, of one height, with a gap between them."""
    height = max(picture.height for picture in pictures)
    scaled = [
        picture.resize((max(1, round(picture.width * height / picture.height)), height))
        for picture in pictures
    ]
    gap = max(2, height // 40)
    width = sum(picture.width for picture in scaled) + gap * (len(scaled) - 1)
    strip = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in scaled:
        strip.paste(picture, (left, 0))
        left += picture.width + gap
    return strip

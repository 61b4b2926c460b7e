"""A figure before it is drawn, where it lies afterwards, and the sheet that it is drawn on.

All measures are inches: a figure is as wide as a paper's column or page, and as high as its rows
need, so letters have in print the size that they are drawn with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from solvent.core.plotting import PAGE
from solvent.reports.compared.figures.lettering import LINE, width_of_lines, wrapped

EDGE = 0.06  # around everything
TITLE = 9.0  # points
DOTS = 200  # of a picture, per inch
WITHOUT_CLOCK = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A figure that could be drawn.

    Attributes:
        kind: "forest", "heat map", "layers", "dose", "trade-off", "slices" or "summary".
        stem: of its files.
        title: stands in the figure, too.
        caption: what is shown, its unit, its interval and n, for people.
        draw: makes it, inside `rc_context(PAPER)`.
        family: that of its arms; "": it shows several.
        shades: whether it has so many colours that a palette would change some.
    """

    kind: str
    stem: str
    title: str
    caption: str
    draw: Callable[[], Figure]
    shades: bool = False
    family: str = ""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure on disk; the words are those of its `Plan`.

    Attributes:
        paths: by format.
    """

    paths: Mapping[str, Path]
    stem: str
    kind: str
    title: str
    caption: str

    @property
    def png(self) -> Path:
        """The picture for a screen. Raises `KeyError` where none was drawn."""
        return self.paths["png"]


def slug(*words: str) -> str:
    """A stem that neither a file system nor LaTeX stumbles over."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(filter(None, words)).lower()).strip("-")[:80]


def portions(things: Sequence[Any], most: int) -> list[Sequence[Any]]:
    """Of at most so many things for one figure each, about equally many."""
    number = -(-len(things) // most)
    size = -(-len(things) // max(1, number))
    return [things[start : start + size] for start in range(0, len(things), max(1, size))]


class Sheet:
    """A figure with its title, on which axes and texts are placed in inches from the top left."""

    def __init__(self, title: str, subtitle: str, width: float, height: float) -> None:
        """
        Args:
            title: wrapped.
            subtitle: below it, wrapped; may be empty.
            width: of the figure.
            height: of all that stands below the titles.
        """
        room = width - 2 * EDGE
        heading = wrapped(title, room, TITLE, lines=3)
        below = wrapped(subtitle, room, lines=3) if subtitle else ""
        upper = EDGE + 1.25 * TITLE / 72 * (heading.count("\n") + 1)
        self.top = upper + LINE * (below.count("\n") + 1 if below else 0) + 0.05
        self.width, self.height = width, self.top + height
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)
        self.write(EDGE, EDGE - self.top, heading, va="top", fontsize=TITLE)
        if below:
            self.write(EDGE, upper - self.top, below, va="top", color="#444444")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame starts `left` from the edge and `top` below the titles."""
        bottom = self.height - self.top - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def write(self, left: float, top: float, text: str, **style: object) -> None:
        """A text that starts `left` from the edge and `top` below the titles."""
        place = left / self.width, 1 - (self.top + top) / self.height
        self.figure.text(*place, text, **({"fontsize": 7, "va": "center"} | style))

    def line(self, left: float, right: float, top: float) -> None:
        """A thin horizontal one."""
        height = 1 - (self.top + top) / self.height
        ends = [left / self.width, right / self.width]
        self.figure.add_artist(Line2D(ends, [height, height], color="0.5", linewidth=0.6))

    def legend(self, left: float, top: float, handles: Sequence[Artist], columns: int) -> None:
        """A legend, `columns` wide, whose upper left corner lies there."""
        place = left / self.width, 1 - (self.top + top) / self.height
        self.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=place, ncols=columns,
            borderaxespad=0, borderpad=0, handletextpad=0.5, columnspacing=1.2, labelspacing=0.35,
            handlelength=1.8,
        )  # fmt: skip


def legend_columns(handles: Sequence[Artist], room: float = PAGE) -> tuple[int, float]:
    """How many columns of a legend stand side by side in `room`, and how high it is."""
    labels = [str(each.get_label()) for each in handles]
    columns = max(1, min(len(labels), int(room / (max(map(width_of_lines, labels)) + 0.45))))
    heights = [LINE * (label.count("\n") + 1) + 0.05 for label in labels]
    return columns, max(map(sum, np.array_split(heights, columns)))


def save(plan: Plan, folder: Path, formats: Sequence[str]) -> Drawn:
    """Draw a figure and write it, equal input as equal bytes."""
    figure = plan.draw()
    paths = {each: folder / f"{plan.stem}.{each}" for each in formats}
    for each, path in paths.items():
        if each == "png":
            _save_pixels(figure, path, plan.shades)
        else:
            figure.savefig(path, format=each, metadata=WITHOUT_CLOCK[each])
    return Drawn(paths=paths, stem=plan.stem, kind=plan.kind, title=plan.title,
                 caption=plan.caption)  # fmt: skip


def _save_pixels(figure: Figure, path: Path, shades: bool) -> None:
    """With a palette where it may: a third of the bytes, which all stand in one page."""
    figure.set_dpi(DOTS)
    figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    if not shades:
        pixels = pixels.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    pixels.save(path, "PNG", dpi=(DOTS, DOTS))

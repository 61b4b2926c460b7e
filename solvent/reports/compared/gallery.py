"""Flips as figures for papers: a row per question with its picture, answers and attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from solvent.core.plotting import COLOURS, COLUMN, PAGE, PAPER
from solvent.reports.compared.figures.figure_plan import EDGE, Plan, Sheet, portions, save
from solvent.reports.compared.figures.lettering import LINE, wrapped
from solvent.reports.compared.frames import Flip
from solvent.reports.compared.overlays import colour_bar

STEM = "gallery"
ROWS = 6  # of one figure, about the height of a page
PICTURE = 1.2  # inches, its longer side
GAP = 0.12  # inches
TITLE = "Questions whose answer flips"
ANSWERS = "Examples, not counts: the arm is right and its control wrong, or the other way round."
MAPS = (
    "The maps show where the row that gives the first answer token looks, those of a question in "
    "one scale: even attention is all of the row's, spread evenly over the picture."
)
HEAD = 8.0  # points
RIGHT, WRONG, QUIET = COLOURS[2], COLOURS[1], "#444444"
NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Row:
    """A flip, and what is written beside its picture."""

    flip: Flip
    head: str  # above it; empty where it is that of the row before
    texts: Sequence[tuple[str, str]]  # wrapped, and its colour

    @property
    def height(self) -> float:
        """Inches, with the space below."""
        flip, lines = self.flip, sum(text.count("\n") + 1 for text, _ in self.texts)
        maps = [_size(seen)[1] for seen in (flip.control_attention, flip.arm_attention) if seen]
        below_names = max(maps, default=0.0) + 2 * LINE + 0.03 if flip.scale else 0.0
        picture = _size(flip.picture)[1] if flip.picture else 0.0
        return self.above + max(picture, below_names, lines * LINE) + GAP

    @property
    def above(self) -> float:
        """Inches that the head takes."""
        return LINE * (self.head.count("\n") + 1) + 0.06 if self.head else 0.0


def draw_gallery(
    flips: Sequence[Flip],
    folder: Path,
    formats: Sequence[str],
    names: Mapping[str, str] = NOBODY,
) -> list[Path]:
    """Draw the flips, at most `ROWS` to a figure; the paths, none where there are no flips.

    Args:
        flips: those of one arm next to each other, as they stand below its name.
        folder: of the figures; it is made.
        formats: "png", "pdf" or "svg".
        names: of arms for people, by key; the key itself where there is none.
    """
    parts = portions(flips, ROWS) if flips else []
    if parts:
        folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for number, part in enumerate(parts, start=1):
        plan = Plan(
            kind="flips",
            stem=f"{STEM}-{number}" if len(parts) > 1 else STEM,
            title=TITLE,
            caption=ANSWERS,
            draw=partial(_draw, part, names),
            shades=True,
        )
        with matplotlib.rc_context(PAPER):
            made += save(plan, folder, formats).paths.values()
    return made


def _draw(flips: Sequence[Flip], names: Mapping[str, str]) -> Figure:
    maps = any(flip.scale for flip in flips)
    width = PAGE if maps else COLUMN
    room = width - 2 * EDGE - (3 if maps else 1) * (PICTURE + GAP)
    rows: list[Row] = []
    for flip in flips:
        above = rows[-1].flip.arm if rows else None
        head = names.get(flip.arm, flip.arm) if flip.arm != above else ""
        head = wrapped(head, width - 2 * EDGE - PICTURE * maps, HEAD, lines=2)
        rows.append(Row(flip=flip, head=head, texts=_texts(flip, room)))
    subtitle = f"{ANSWERS} {MAPS}" if maps else ANSWERS
    sheet = Sheet(TITLE, subtitle, width, GAP + sum(row.height for row in rows))
    top = GAP
    if maps:
        _draw_scale(sheet, PAGE - EDGE - PICTURE, top)
    for row in rows:
        if row.head:
            sheet.write(EDGE, top, row.head, va="top", fontsize=HEAD)
        _draw_row(sheet, top + row.above, row)
        top += row.height
    return sheet.figure


def _draw_scale(sheet: Sheet, left: float, top: float) -> None:
    """The colours of the maps, from 0 to what a row calls yellow."""
    bar = colour_bar(256, 16)
    axes = sheet.axes(left + 0.1, top + 0.02, 0.6, 0.09)
    axes.imshow(bar, aspect="auto")
    axes.set_axis_off()
    sheet.write(left, top, "0", va="top", color=QUIET)
    sheet.write(left + 0.75, top, "most", va="top", color=QUIET)


def _draw_row(sheet: Sheet, top: float, row: Row) -> None:
    flip, at = row.flip, top
    _draw_picture(sheet, EDGE, top, flip.picture, "no picture")
    for text, colour in row.texts:  # line by line: several in one lie further apart
        for line in text.split("\n"):
            sheet.write(EDGE + PICTURE + GAP, at, line, va="top", color=colour)
            at += LINE
    if not flip.scale:
        return
    for place, whose, seen, mass in (
        (2, "control", flip.control_attention, flip.control_mass),
        (1, "arm", flip.arm_attention, flip.arm_mass),
    ):
        left = PAGE - EDGE - place * PICTURE - (place - 1) * GAP
        sheet.write(left, top, whose, va="top", color=QUIET)
        low = _draw_picture(sheet, left, top + LINE, seen, "no picture is shown")
        if mass is not None:
            sheet.write(left, low, f"visual mass {100 * mass:.1f} %", va="top", color=QUIET)


def _draw_picture(
    sheet: Sheet, left: float, top: float, picture: Image.Image | None, missing: str
) -> float:
    """Where it ends, in inches below the titles."""
    if picture is None:
        sheet.write(left, top, missing, va="top", color=QUIET)
        return top + LINE
    width, height = _size(picture)
    axes = sheet.axes(left, top, width, height)
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return top + height + 0.03


def _size(picture: Image.Image) -> tuple[float, float]:
    """Inches that it is wide and high."""
    scale = PICTURE / max(picture.size)
    return picture.width * scale, picture.height * scale


def _texts(flip: Flip, room: float) -> list[tuple[str, str]]:
    """Question, options, answers, the scale of the maps, and the uid."""
    lost = flip.direction == "lost"
    texts = [(flip.question or "The question is not on this machine.", "black", 8)]
    if flip.options:
        texts.append((" | ".join(flip.options), QUIET, 5))
    texts.append((f"gold: {flip.gold}", "black", 3))
    for whose, said, right in (
        ("control", flip.control_answer, lost),
        ("arm", flip.arm_answer, not lost),
    ):
        answer = "nothing that could be read" if said is None else said
        judged, colour = ("correct", RIGHT) if right else ("wrong", WRONG)
        texts.append((f"{whose}, {judged}: {answer}", colour, 3))
    texts += [(text, QUIET, 3) for text in (flip.scale, flip.uid) if text]
    return [(wrapped(text, room, lines=most), colour) for text, colour, most in texts]

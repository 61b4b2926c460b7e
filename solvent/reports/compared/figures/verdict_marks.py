"""How a verdict looks: a shape and a colour, so that neither has to be told apart alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.lines import Line2D

from solvent.core.plotting import COLOURS
from solvent.reports.compared.frames import VERDICTS

GREY = "#555555"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Of a point.

    Attributes:
        shape: matplotlib's name of it.
        sign: the letter that looks alike.
        colour: of the point and its interval.
        full: whether it is filled.
    """

    shape: str
    sign: str
    colour: str
    full: bool

    def handle(self, label: str) -> Line2D:
        """For a legend."""
        face = self.colour if self.full else "white"
        return Line2D([], [], color=self.colour, marker=self.shape, markerfacecolor=face,
                      markersize=4, linestyle="none", label=label)  # fmt: skip


PLAIN = Mark(shape="o", sign="", colour=GREY, full=True)
MARKS = {
    "BETTER": Mark(shape="^", sign="▲", colour=COLOURS[0], full=True),
    "EQUIVALENT": Mark(shape="D", sign="◆", colour=COLOURS[2], full=True),
    "NOT INFERIOR": Mark(shape="D", sign="◇", colour=COLOURS[2], full=False),
    "NOT SHOWN": Mark(shape="o", sign="○", colour=GREY, full=False),
    "WORSE": Mark(shape="v", sign="▼", colour=COLOURS[1], full=True),
}


def mark_of(verdict: object) -> Mark:
    """That of a verdict; a plain point where there is none."""
    return PLAIN if pd.isna(verdict) else MARKS[str(verdict)]


def handles(verdicts: Iterable[object]) -> list[Line2D]:
    """A legend of the verdicts that occur, always in one order."""
    there = set(verdicts)
    return [MARKS[verdict].handle(verdict) for verdict in VERDICTS if verdict in there]

"""The modality card: one figure that says how a model uses the image, for people who know none of
the tests.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from solvent.core.plotting import interval_of
from solvent.core.text import visible
from solvent.core.types import Facts
from solvent.reports.facts import Found, facts_of, in_order
from solvent.reports.figures import COLOURS, STYLE
from solvent.reports.overall_reading import ASKS, STRONG, overall_reading

CHIPS = {  # verdict -> colour, and how a person would say it
    "PASS": (COLOURS[2], "yes"),
    "FAIL": (COLOURS[1], "no"),
    "INCONCLUSIVE": (COLOURS[4], "not sure"),
    "VACUOUS": (COLOURS[3], "says nothing"),
    "COUPLED": (COLOURS[5], "flows, used?"),
    "MEASURED": (COLOURS[0], "measured"),
    "NOT APPLICABLE": ("#999999", "not applicable"),
    "ERROR": ("#000000", "failed"),
}
READINGS = {  # overall reading -> colour
    "USES IT": COLOURS[2],
    "USES IT WEAKLY": COLOURS[5],
    "MOVED BUT MISLED": COLOURS[1],
    "BLIND": "#666666",
    "NOT SETTLED": COLOURS[4],
}
WIDTH, AXIS = 11.0, 0.3  # inches, of the figure and of the height of a row's axis
ROW, LINE = 0.78, 0.135  # inches per row, at least, and per line of its reason
TOP, BOTTOM = 0.55, 0.7  # inches
LEFT, RIGHT = 0.46, 0.62  # where the axes begin and end
WRAP, WRAP_ASKS = 68, 44  # characters of a line of reasons, and of what is asked
LONGEST = 14  # lines of a reason: longer than any of ours
HINT = (
    "dot and line: mean and 95 % interval of the number that is judged; dotted: a model that does "
    "not look; dashed: the margin\n"
    "sets of images: an image with its questions, or a block of five that lent each other theirs"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the card."""

    facts: Facts
    word: str
    colour: str
    reason: Sequence[str]  # lines
    number: Any  # an estimate as it is stored, or none

    @property
    def inches(self) -> float:
        """Its height."""
        return max(ROW, LINE * len(self.reason) + 0.25)


def draw_card(findings: Mapping[str, Found], title: str, folder: Path) -> Path:
    """What all tests say together, then one row per test: the question, the verdict, the number
    with its interval and margin, the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows(findings)
    height = sum(row.inches for row in rows) + TOP + BOTTOM
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, height))
        below = height - TOP
        for row in rows:
            middle = below - row.inches / 2
            place = (LEFT, (middle - AXIS / 2) / height, RIGHT - LEFT, AXIS / height)
            _draw_row(figure.add_axes(place), row)
            below -= row.inches
        figure.suptitle(title, x=0.01, y=1 - 0.2 / height, ha="left", weight="bold", fontsize=12)
        figure.text(0.01, 0.1 / height, HINT, color="grey", fontsize=8)
        path = folder / "modality_card.png"
        figure.savefig(path)
        plt.close(figure)
    return path


def _rows(findings: Mapping[str, Found]) -> list[Row]:
    tests = in_order({name: facts_of(name, finding) for name, finding in findings.items()})
    rows = [_row(facts, findings[name]) for name, facts in tests.items()]
    reading = overall_reading(findings)
    if reading is None:
        return rows
    known = "measures" in findings
    facts = Facts(
        asks=ASKS,
        number="perceptual_score",
        unit="accuracy that its own image adds",
        neutral=0.0,
        place=0,
        margin=STRONG,
    )
    first = Row(
        facts=facts,
        word=reading.overall.lower(),
        colour=READINGS[reading.overall],
        reason=_lines(reading.reason),
        number=findings["measures"]["metrics"].get(facts.number) if known else None,
    )
    return [first, *rows]


def _row(facts: Facts, finding: Found) -> Row:
    colour, word = CHIPS[finding["verdict"]]
    number = finding["metrics"].get(facts.number)
    return Row(
        facts=facts, word=word, colour=colour, reason=_lines(finding["reason"]), number=number
    )


def _lines(reason: str) -> list[str]:
    said = visible(reason[:1].upper() + reason[1:])
    return textwrap.wrap(said, WRAP, max_lines=LONGEST, placeholder=" ...")


def _draw_row(axes: Axes, row: Row) -> None:
    facts, number = row.facts, row.number
    place = {"transform": axes.transAxes, "va": "center"}
    asks = textwrap.fill(visible(facts.asks), WRAP_ASKS, max_lines=3, placeholder=" ...")
    axes.text(-2.85, 0.7, asks, weight="bold", fontsize=9.5, **place)
    axes.text(
        -0.5, 0.5, row.word, color="white", ha="center", fontsize=9, weight="bold", **place,
        bbox={"boxstyle": "round,pad=0.4", "facecolor": row.colour, "edgecolor": "none"},
    )  # fmt: skip
    axes.text(1.12, 0.5, "\n".join(row.reason), fontsize=7.5, color="#333333", **place)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7, pad=1, length=2)
    axes.set_xlabel(visible(facts.unit), fontsize=7, labelpad=1)
    if facts.neutral is not None:
        axes.axvline(facts.neutral, color="grey", linewidth=1, linestyle=":")
    if isinstance(number, Mapping):
        if facts.margin is not None:
            axes.axvline(facts.margin, color="black", linewidth=0.8, linestyle="--")
        axes.plot(interval_of(number), [0, 0], color=row.colour, linewidth=2.5)
        axes.plot(number["value"], 0, "o", color=row.colour, markersize=6)
        axes.text(-2.85, -0.2, _counted(number), fontsize=7.5, color="grey", **place)
        axes.margins(x=0.25)
    else:
        axes.text(0.5, 0.5, "no number", color="grey", ha="center", fontsize=7, **place)
        axes.set_xticks([])
    axes.set_ylim(-1, 1)


def _counted(number: Mapping[str, Any]) -> str:
    """Of how many questions a number is, and how many independent sets of images they are about."""
    units = number.get("clusters")
    said = f"{number['n']:,} questions"
    return said if units is None else f"{said}, {units:,} sets of images"

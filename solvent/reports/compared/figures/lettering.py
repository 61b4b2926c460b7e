"""What is written in figures: measured, so that it can be wrapped and lies on nothing else, and
numbers as people read them.
"""

from __future__ import annotations

import re
from functools import lru_cache

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from solvent.core.plotting import PAPER
from solvent.core.text import visible
from solvent.reports.compared import arm_texts

SMALL = 7.0  # points: the smallest letter that a paper may have
LINE = 1.2 * SMALL / 72  # inches from one line to the next
GAP = 0.1  # inches between a name and what it names
AXIS = "percentage points of accuracy"  # the unit of all differences
ALLOWANCE = 1.03  # letters snap to pixels, which makes some of them wider
PIECES = re.compile(r"[^\s_\-/.,;:=|)]*[\s_\-/.,;:=|)]?")  # a line may end behind one of these


@lru_cache
def _font(size: float) -> FontProperties:
    return FontProperties(family=PAPER["font.family"], size=size)


@lru_cache(100_000)
def width_of(text: str, size: float = SMALL) -> float:
    """Inches that a text takes on one line, as it is printed."""
    points, _, _ = text_to_path.get_text_width_height_descent(printable(text), _font(size), False)
    return ALLOWANCE * points / 72


@lru_cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(_font(SMALL))).get_charmap())


def printable(text: str) -> str:
    r"""The text on one line, with what the font lacks, or a terminal obeys, written out (`\u4f60`):
    a box in its place would be the same for every name.
    """
    plain = visible(" ".join(text.split()))
    return "".join(
        each if ord(each) in _letters() else each.encode("unicode_escape").decode()
        for each in plain
    )


@lru_cache(100_000)
def wrapped(text: str, inches: float, size: float = SMALL, lines: int = 4) -> str:
    """The text in lines no longer than `inches`, broken behind spaces and signs, and inside of a
    word only where nothing else helps. What is longer than `lines` loses its middle.
    """
    found = _lines(printable(text), inches, size)
    if len(found) > lines:
        end = "".join(found[lines - 1 :])
        while end and width_of(f"…{end}", size) > inches:
            end = end[1:]
        found = [*found[: lines - 1], f"…{end}"]
    return "\n".join(line.rstrip() for line in found)


def _lines(text: str, inches: float, size: float) -> list[str]:
    found = [""]
    for piece in PIECES.findall(text):
        if width_of((found[-1] + piece).rstrip(), size) <= inches:
            found[-1] += piece
        elif width_of(piece.rstrip(), size) <= inches:
            found.append(piece)
        else:
            for letter in piece:
                if width_of(found[-1] + letter, size) > inches:
                    found.append("")
                found[-1] += letter
    return [line for line in found if line.strip()] or [""]


def width_of_lines(text: str, size: float = SMALL) -> float:
    """Inches that the longest line of a text takes."""
    return max(width_of(line, size) for line in text.split("\n"))


def height_of(label: str) -> float:
    """Inches of a row with such a name."""
    return LINE * (label.count("\n") + 1) + 0.07


def points(share: float) -> str:
    """`+1.2` percentage points of a difference of shares, with a true minus sign; `0.0`."""
    return arm_texts.points(share).replace("-", "−")


def difference(value: float, low: float, high: float) -> str:
    """`+1.2 [+0.2, +2.2]` percentage points."""
    if pd.isna(value):
        return "–"
    if pd.isna(low) or pd.isna(high):
        return f"{points(value)} (no interval)"
    return f"{points(value)} [{points(low)}, {points(high)}]"


def percent(value: float, low: float, high: float) -> str:
    """`86.0 % [84.5, 87.5]`"""
    ends = "" if pd.isna(low) or pd.isna(high) else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f} %{ends}"


def counts(numbers: pd.Series, noun: str) -> str:
    """`2,250 questions`, or `1,000 to 2,250 questions`; nothing where no number is known."""
    known = numbers.dropna()
    if known.empty:
        return ""
    low, high = int(known.min()), int(known.max())
    if low == high == 1:
        return f"1 {noun}"
    return f"{span(known)} {noun}s"


def span(numbers: pd.Series) -> str:
    """`2,250`, or `1,000 to 2,250`; nothing where no number is known."""
    known = numbers.dropna()
    if known.empty:
        return ""
    low, high = int(known.min()), int(known.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def asked(rows: pd.DataFrame) -> str:
    """`3,000 questions about 500 images` of arms, slices or points of curves."""
    questions = counts(rows["n"], "question")
    images = counts(rows["clusters"], "image") if "clusters" in rows else ""
    return f"{questions} about {images}" if questions and images else questions

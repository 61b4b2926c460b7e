"""Where a value stands on an axis, in percent of its length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`; `logarithmic` only above zero."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 100 at the high one; what lies beyond is put at the end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return round(100 * (at - low) / (high - low), 2)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers between the ends, at most `count` steps."""
        found = MaxNLocator(count).tick_values(self.low, self.high)
        return [float(each) for each in found if self.holds(each)]


def around(values: Iterable[float | None], least: float = 0.0) -> Scale:
    """A scale that holds zero, all values, and `least` to both sides, with a little room."""
    known = [value for value in values if value is not None] + [-least, 0.0, least]
    low, high = min(known), max(known)
    room = 0.04 * (high - low) or 0.01
    return Scale(low=low - room, high=high + room)


def unsqueezed(gentle: Sequence[float], every: Sequence[float], least: float) -> Scale:
    """A scale around all values, or around the gentle ones where all would need twice the room."""
    wide = around(every, least)
    narrow = around(gentle or every, least)
    return narrow if wide.high - wide.low > 2 * (narrow.high - narrow.low) else wide


def along(values: Iterable[float], dose: bool) -> Scale:
    """A scale for settings: of doses that are positive and span a factor of 8 a logarithmic one."""
    low, high = min(known := list(values)), max(known)
    if low == high:
        return Scale(low=low - 1, high=high + 1)
    if dose and low > 0 and high / low >= 8:
        room = (high / low) ** 0.06
        return Scale(low=low / room, high=high * room, logarithmic=True)
    room = 0.06 * (high - low)
    return Scale(low=low - room, high=high + room)

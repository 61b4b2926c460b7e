"""Few points of progress out of many batches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Pace:
    """Keeps what was counted last, and lets a point through every so many seconds.

    A cell is answered in parts, its own samples and then every condition of its tests, and each
    part may count from zero: the points count on, so that they never go back.
    """

    seconds: float  # between two points
    _part: str = ""
    _counted: tuple[int, int] = (0, 0)  # done and failed in this part
    _before: tuple[int, int] = (0, 0)  # in earlier parts
    _logged: tuple[float, int] | None = None  # when the last point was, and what was done by then
    _waiting: bool = field(default=False)

    def point(self, done: int, failed: int, doing: str) -> dict[str, Any] | None:
        """What to log now, by metric name; None if nothing is new, or it is too early."""
        again = doing != self._part and done <= self._counted[0]
        if again or done < self._counted[0]:
            earlier = zip(self._before, self._counted, strict=True)
            self._before = tuple(before + counted for before, counted in earlier)
        self._part, self._counted, self._waiting = doing, (done, failed), True
        if self._logged is not None:
            then, logged = self._logged
            if logged == self._before[0] + done or time.monotonic() - then < self.seconds:
                return None  # nothing is new, or too early
        return self._now()

    def last(self) -> dict[str, Any] | None:
        """The point that was held back, if one was."""
        return self._now() if self._waiting else None

    def _now(self) -> dict[str, Any]:
        done, failed = (
            before + counted for before, counted in zip(self._before, self._counted, strict=True)
        )
        now = time.monotonic()
        point: dict[str, Any] = {"done": done, "failed": failed, "doing": self._part}
        if self._logged is not None and now > self._logged[0]:
            then, counted = self._logged
            point["samples_per_second"] = round((done - counted) / (now - then), 3)
        self._logged, self._waiting = (now, done), False
        return {f"progress/{name}": value for name, value in point.items()}

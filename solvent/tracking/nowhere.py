"""No tracker: the files of the cell are enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class NoTracking:
    """Follows a cell and tells nobody."""

    name: ClassVar[str] = "none"

    @contextmanager
    def follow(self, **cell: Any) -> Iterator[Unheard]:
        """Nothing begins."""
        yield Unheard()

    def compared(self, **comparison: Any) -> bool:
        """Nothing, completely."""
        return True


class Unheard:
    """What is told to nobody."""

    def progress(self, done: int, failed: int, doing: str) -> None:
        """Nothing."""

    def finish(self, **results: Any) -> bool:
        """Nothing, completely."""
        return True

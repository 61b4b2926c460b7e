"""Answers to questions without options: what was said, and how right it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from benchmarks.parsers import Reading
from evaluation.types import Accepted


class FreeParser(Protocol):
    """Reads a generated answer to a question without options."""

    def __call__(self, raw: str, gold: Accepted) -> Reading:
        """What was said; of `gold` only the kind and the precision may play a role."""


class Matcher(Protocol):
    """Compares a free answer with what is accepted."""

    def __call__(self, value: str, gold: Accepted) -> float:
        """How right it is, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class FreeForm:
    """How free answers are read and matched."""

    parser: FreeParser
    matcher: Matcher

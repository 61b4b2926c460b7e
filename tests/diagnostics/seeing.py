"""What a test sees of a cell, from parts that are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.base import Seen
from solvent.diagnostics.statistics.projection import Scores
from solvent.diagnostics.stored_shares import Shares


def seen(
    answers: Answers | None = None,
    *,
    scores: Scores | None = None,
    beside: Mapping[str, Scores] | None = None,
    shares: Mapping[str, Shares] | None = None,
) -> Seen:
    """These parts, and no others."""
    parts: dict[str, Any] = {"answers": answers, "scores": scores, "shares": shares}
    parts["beside"] = beside or {}
    return Seen(
        parts={name: lambda part=part: part for name, part in parts.items() if part is not None}
    )

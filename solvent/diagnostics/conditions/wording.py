"""The same question in other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from solvent.core.types import Sample


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """The benchmark's other wording where `Sample.meta["paraphrase"]` has one, else a lead-in."""

    name: str
    lead_in: str  # neutral sentence before a question that has no other wording

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample, reworded."""
        return [
            replace(sample, text=sample.meta.get("paraphrase") or f"{self.lead_in} {sample.text}")
            for sample in samples
        ]

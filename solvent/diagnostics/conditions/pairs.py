"""Every picture with every question of some samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar

from solvent.core.types import Sample
from solvent.diagnostics.statistics.grid import grid_samples

PAIRED = re.compile(r"(?P<question>.+)/image(?P<image>\d+)")
"""The uid of a pair: its question's own, and which picture."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """N x N pairs of some samples that share their options, those that most samples have.

    Which N is chosen by their hashed names. Without two such samples there are none.
    """

    name: str
    samples: int  # N at most

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """All pairs, picture by picture; `shown` names the owner of the picture as `donor`."""
        kinds = Counter(_kind(sample) for sample in samples if len(sample.options) > 1)
        if not kinds:
            return []
        (kind, count), *_ = kinds.most_common(1)
        alike = [sample for sample in samples if _kind(sample) == kind]
        alike.sort(key=lambda sample: blake2b(sample.uid.encode()).digest())
        return list(grid_samples(alike[: self.samples])) if count > 1 else []


def _kind(sample: Sample) -> tuple[tuple[str, ...], int]:
    return sample.options, len(sample.images)

"""The options of a question in other orders: the question stays the same, its letters do not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from solvent.core.types import Prediction, Sample

GROUP = "circular"
"""Group kind of all rotations of one question."""


def rotated(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Every question once for every rotation of its options, one group of kind "circular" each.

    Rotation k begins with option k and its uid ends in "/rotation{k}"; rotation 0 is the question
    as it was. Questions without options have that one only.

    Raises:
        ValueError: a sample already belongs to a group of this kind.
    """
    return tuple(
        _reordered(
            replace(
                sample,
                uid=f"{sample.uid}/rotation{first}" if first else sample.uid,
                groups={**_without_rotations(sample).groups, GROUP: sample.uid},
            ),
            [*range(first, len(sample.options)), *range(first)],
        )
        for sample in samples
        for first in range(max(1, len(sample.options)))
    )


def is_rotation(row: Sample | Prediction) -> bool:
    """Whether `rotated` added a row: all rotations of a question but the first."""
    first = row.groups.get(GROUP)
    return first is not None and row.uid.startswith(f"{first}/rotation")


def shuffled(samples: Sequence[Sample], seed: int) -> tuple[Sample, ...]:
    """Every question with its options in an order that depends on the seed and its uid alone."""
    return tuple(
        _reordered(
            sample, sorted(range(len(sample.options)), key=lambda i, s=sample: _key(seed, s.uid, i))
        )
        for sample in samples
    )


def _reordered(sample: Sample, order: Sequence[int]) -> Sample:
    """The sample with option `order[i]` at place i."""
    if not isinstance(sample.gold, int):
        return sample
    options = tuple(sample.options[index] for index in order)
    return replace(sample, options=options, gold=order.index(sample.gold))


def _without_rotations(sample: Sample) -> Sample:
    if GROUP in sample.groups:
        raise ValueError(
            f"{sample.uid} already belongs to a group of kind {GROUP!r}: its data hold rotations; "
            "set benchmark.circular=false"
        )
    return sample


def _key(seed: int, uid: str, index: int) -> str:
    return hashlib.sha256(f"{seed}:{uid}:{index}".encode()).hexdigest()

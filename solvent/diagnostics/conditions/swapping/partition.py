"""Samples in small blocks of independent images, inside of which pictures are exchanged.

Donors from all over a set would make every sample depend on others in a chain without an end; from
blocks, blocks are independent of each other, and one block is one cluster.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from solvent.core.statistics import connected
from solvent.core.types import Sample
from solvent.diagnostics.conditions.swapping.donor_pictures import size_of

Place = tuple[Hashable, int]
"""What donor and recipient share: the stratum, and the number of pictures."""

SHAPES_PER_DOUBLING = 2  # of width / height: 4:3 and 3:2 are one shape, 16:9 and squares are others


@dataclass(frozen=True)
class Unit:
    """Samples that share a picture or a group: what is independent of everything else."""

    name: str  # uid of the first of its samples by name
    samples: tuple[Sample, ...]
    places: frozenset[Place]


def blocks(
    samples: Sequence[Sample], stratum: Callable[[Sample], Hashable], seed: int, size: int
) -> list[list[Unit]]:
    """Blocks of `size` units that have samples in the same strata and pictures of like shapes.

    Units of which there are fewer than that are put together without regard to their shapes, and
    such with those that have the commonest of their strata. What is left over joins a block, so
    that some are larger; smaller ones exist only where a stratum has fewer units.
    The order is that of names hashed with the seed: it does not depend on that of the samples.
    """
    units = _units(samples, stratum)
    common = Counter(place for unit in units for place in unit.places)

    def commonest(unit: Unit) -> Place:
        return max(unit.places, key=lambda place: (common[place], repr(place)))

    found: list[list[Unit]] = []
    keys: tuple[Callable[[Unit], Hashable], ...] = (
        lambda unit: (unit.places, _shapes(unit)),
        lambda unit: unit.places,
        commonest,
    )
    for key in keys:
        alike = _grouped(units, key)
        found += [block for some in alike if len(some) >= size for block in _cut(some, seed, size)]
        units = [unit for some in alike if len(some) < size for unit in some]
    for some in _grouped(units, commonest):
        place = commonest(some[0])
        there = (block for block in found if any(place in unit.places for unit in block))
        block = next(there, None)
        if block is None:
            found.append(some)
        else:
            block += some
    return found


def _grouped(units: Sequence[Unit], key: Callable[[Unit], Hashable]) -> list[list[Unit]]:
    alike: dict[Hashable, list[Unit]] = defaultdict(list)
    for unit in units:
        alike[key(unit)].append(unit)
    return list(alike.values())


def _units(samples: Sequence[Sample], stratum: Callable[[Sample], Hashable]) -> list[Unit]:
    """Units of the samples with pictures."""
    seeing = [sample for sample in samples if sample.images]
    members: dict[int, list[Sample]] = defaultdict(list)
    shared = [
        {**sample.groups, **{f"picture {image.identity}": "" for image in sample.images}}
        for sample in seeing
    ]
    for number, sample in zip(connected(shared), seeing, strict=True):
        members[number].append(sample)
    units = [
        Unit(
            name=min(sample.uid for sample in some),
            samples=tuple(sorted(some, key=lambda sample: sample.uid)),
            places=frozenset((stratum(sample), len(sample.images)) for sample in some),
        )
        for some in members.values()
    ]
    return sorted(units, key=lambda unit: unit.name)


def _cut(units: Sequence[Unit], seed: int, size: int) -> list[list[Unit]]:
    order = sorted(units, key=lambda unit: blake2b(f"{seed}/{unit.name}".encode()).digest())
    parts = np.array_split(np.arange(len(order)), max(1, len(order) // size))
    return [[order[index] for index in part] for part in parts]


def _shapes(unit: Unit) -> frozenset[int]:
    """Shapes of its pictures, in steps of width / height; of an unreadable one nothing is known."""
    shapes = set()
    for sample in unit.samples:
        for image in sample.images:
            try:
                width, height = size_of(image)
            except OSError:  # that sample is a recorded error of its own
                continue
            shapes.add(round(SHAPES_PER_DOUBLING * math.log2(width / height)))
    return frozenset(shapes)

"""Seeded subsamples that never take apart what belongs together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from solvent.core.statistics import connected
from solvent.core.types import Sample


def subsample(
    samples: Sequence[Sample], limit: int, seed: int, stratify: str | None
) -> tuple[Sample, ...]:
    """At most `limit` samples, in their old order: whole units only, each stratum in proportion.

    Units are shuffled inside their stratum by a hash of (seed, first uid): the order depends on
    nothing but the data. A unit whose rows end at r of its stratum's R rows stands at place
    (r - rows / 2) / R; units are taken by place until the next one would exceed `limit`. A smaller
    limit with the same seed is therefore a subset of a larger one.

    Args:
        samples: all of them.
        limit: greatest number of samples.
        seed: of the shuffle.
        stratify: tag whose mixture the subsample preserves. A unit with several values of the tag
            is in the stratum of that combination. None: one stratum.

    Raises:
        ValueError: `limit` is smaller than the first unit, or the tag is unknown.
    """
    if limit >= len(samples):
        return tuple(samples)
    units: dict[int, list[int]] = defaultdict(list)
    for row, unit in enumerate(connected([sample.groups for sample in samples])):
        units[unit].append(row)
    strata: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    for rows in units.values():
        strata[_stratum([samples[row] for row in rows], stratify)].append(rows)
    placed: list[tuple[float, str, list[int]]] = []
    for members in strata.values():
        total, taken = sum(map(len, members)), 0
        for key, rows in sorted(
            (_shuffle_key(seed, samples[rows[0]].uid), rows) for rows in members
        ):
            taken += len(rows)
            placed.append(((taken - len(rows) / 2) / total, key, rows))
    chosen: list[int] = []
    for _, _, rows in sorted(placed):
        if len(chosen) + len(rows) > limit:
            break
        chosen.extend(rows)
    if not chosen:
        first = len(min(placed)[2])
        raise ValueError(
            f"limit={limit} holds no whole group: groups are never split and the first drawn has "
            f"{first} samples; raise the limit to at least {first}"
        )
    return tuple(samples[row] for row in sorted(chosen))


def _stratum(samples: Sequence[Sample], tag: str | None) -> tuple[str, ...]:
    if tag is None:
        return ()
    for sample in samples:
        if tag not in sample.tags:
            raise ValueError(
                f"cannot stratify by {tag!r}: {sample.uid} has the tags {sorted(sample.tags)}"
            )
    return tuple(sorted({sample.tags[tag] for sample in samples}))


def _shuffle_key(seed: int, uid: str) -> str:
    return hashlib.sha256(f"{seed}:{uid}".encode()).hexdigest()

"""Tests of equal accuracy: under it the sign of every cluster's sum is a coin.

The signs are drawn once per number of clusters and thrown for all arms in one product.

Axes: C clusters, A arms, F flips.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.stats import binom, norm

FLIPS = 10_000  # the observed one among them
SEED = 0
PART = 2**22  # signs held at a time: 16 MB
KEPT = 8  # parts that stay in memory
ENUMERATED = 16  # sums that are not 0, up to which all flips are looked at
ROUNDING = 1e-6  # of a sum in single precision, as a share of what was added
FEWEST = 6  # clusters: the p of five is 2 / 2^5 at the least
TAIL = 1 / (4 * norm.sf(np.sqrt(2)))  # 3.178, the least constant for which the bound below holds


def flip_p_values(sums: Float[np.ndarray, "C A"]) -> Float[np.ndarray, " A"]:
    """Two-sided p of equal accuracy for arms whose differences were summed over the same clusters.

    Exact where the sums of an arm that are not 0 are equally large, which makes it McNemar's (1947)
    exact test, https://doi.org/10.1007/BF02295996, or are at most 16; else from 10,000 flips, the
    observed one among them. What these cannot resolve, p below 1 / 10,000, is the bound of Bentkus
    and Dzindzalieta (2015), https://doi.org/10.3150/14-BEJ603, which p never exceeds: 3.178 times
    the normal tail beyond sum / sqrt(sum of squares), on either side. NaN below six clusters, where
    p cannot reach 0.05. Source: Fisher's randomisation test of paired differences, on clusters.
    """
    sums = np.asarray(sums, dtype=float)
    if len(sums) < FEWEST:
        return np.full(sums.shape[1], np.nan)
    sizes = np.abs(sums)
    moved, largest = (sizes > 0).sum(axis=0), sizes.max(axis=0)
    alike = ((sizes == 0) | (sizes >= largest * (1 - ROUNDING))).all(axis=0)
    ups = (sums > 0).sum(axis=0)
    found = np.minimum(1.0, 2 * binom.cdf(np.minimum(ups, moved - ups), moved, 0.5))
    for arm in np.flatnonzero(~alike & (moved <= ENUMERATED)):
        found[arm] = _of_all_flips(sums[sums[:, arm] != 0, arm])
    many = np.flatnonzero(~alike & (moved > ENUMERATED))
    if len(many):
        found[many] = _of_random_flips(sums[:, many])
    return found


def _of_all_flips(sums: Float[np.ndarray, " C"]) -> float:
    """Of the first sum both signs give the same sizes, so that it need not be flipped."""
    totals = np.abs(sums[0] + _all_signs(len(sums) - 1) @ sums[1:])
    return float((totals >= abs(sums.sum()) - ROUNDING * np.abs(sums).sum()).mean())


def _of_random_flips(sums: Float[np.ndarray, "C A"]) -> Float[np.ndarray, " A"]:
    total = np.abs(sums.sum(axis=0))
    least = total - ROUNDING * np.abs(sums).sum(axis=0)
    single, beyond = sums.astype(np.float32), np.ones(sums.shape[1])
    for signs in random_signs(len(sums)):
        beyond += (np.abs(signs @ single) >= least).sum(axis=0)
    tail = 2 * TAIL * norm.sf(total / np.sqrt((sums**2).sum(axis=0)))
    counted = beyond / FLIPS
    return np.where(tail < 1 / FLIPS, np.minimum(counted, tail), counted)


def random_signs(clusters: int) -> Iterator[Float32[np.ndarray, "F C"]]:
    """The same 9,999 flips of a number of clusters, in parts."""
    rows = max(1, PART // clusters)
    for part, start in enumerate(range(0, FLIPS - 1, rows)):
        yield _part(clusters, part, min(rows, FLIPS - 1 - start))


@lru_cache(KEPT)
def _part(clusters: int, part: int, rows: int) -> Float32[np.ndarray, "F C"]:
    generator = np.random.default_rng([SEED, clusters, part])
    bits = np.frombuffer(generator.bytes(-(-rows * clusters // 8)), dtype=np.uint8)
    signs = np.unpackbits(bits, count=rows * clusters).reshape(rows, clusters)
    return 1 - 2 * signs.astype(np.float32)


@lru_cache(ENUMERATED)
def _all_signs(count: int) -> Float[np.ndarray, "F C"]:
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    return 1.0 - 2.0 * bits

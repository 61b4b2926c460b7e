"""Which rows belong together, resamples and flips of what does, and paired comparisons.

Axes: C clusters (independent units).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from solvent.core.intervals import CONFIDENCE, DIFFERENCE, of_values
from solvent.core.types import Prediction

RESAMPLES = 10_000  # the 2.5 % quantile then varies by 0.03 standard errors from seed to seed
SEED = 0
CHUNK = 500_000  # draws held in memory at a time
ENUMERATED = 16  # clusters that differ, up to which all flips of signs are looked at
ROUNDING = 1e-12  # of a sum, as a share of what was added


def resampled(
    table: Float[np.ndarray, "C K"], strata: Int[np.ndarray, " C"]
) -> Float[np.ndarray, "R K"]:
    """Column sums of R = `RESAMPLES` resamples of the lines of a table.

    Whole clusters are drawn with replacement inside their stratum, with a fixed seed. Source:
    Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 2.4 and 3.8.
    """
    generator = np.random.default_rng(SEED)
    totals = np.zeros((RESAMPLES, table.shape[1]))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        step = max(1, CHUNK // len(members))
        for start in range(0, RESAMPLES, step):
            rows = min(step, RESAMPLES - start)
            drawn = generator.integers(len(members), size=(rows, len(members)))
            flat = drawn + len(members) * np.arange(rows)[:, None]
            times = np.bincount(flat.ravel(), minlength=flat.size).reshape(flat.shape)
            totals[start : start + rows] += times @ table[members]
    return totals


def percentiles(values: Float[np.ndarray, " R"]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def connected(groups: Sequence[Mapping[str, str]]) -> list[int]:
    """The independent unit of every row, numbered by first appearance.

    Two rows are in one unit when they share a key of any group kind, directly or through other
    rows. Rows without groups are units of their own. Intervals resample these units, and a limit
    keeps or drops them whole.

    Args:
        groups: of every row, group kind -> key.
    """
    nodes: dict[tuple[str, str], int] = {}
    edges = [
        (row, nodes.setdefault(pair, len(nodes)))
        for row, keys in enumerate(groups)
        for pair in keys.items()
    ]
    if not edges:
        return list(range(len(groups)))
    rows, keys = np.array(edges).T
    size = len(groups) + len(nodes)
    graph = coo_array((np.ones(len(edges)), (rows, keys + len(groups))), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(groups)]
    order: dict[int, int] = {}
    return [order.setdefault(int(label), len(order)) for label in labels]


def sign_flips(sums: Float[np.ndarray, " C"]) -> tuple[float, float]:
    """One-sided p-values of a mean above 0 and of one below 0, where under the null hypothesis the
    sign of every cluster's sum is a coin.

    Exact up to 16 sums that are not 0, and where these are equally large, which makes it the exact
    McNemar (1947) test, https://doi.org/10.1007/BF02295996; else from as many random flips as
    `RESAMPLES`, the observed one among them. Source: Fisher's randomisation test of paired
    differences, on clusters.
    """
    sums = sums[sums != 0]
    ups = int((sums > 0).sum())
    if len(sums) == 0:
        return 1.0, 1.0
    if np.ptp(np.abs(sums)) <= ROUNDING * np.abs(sums).max():
        above, below = (
            binomtest(k, len(sums), alternative="greater") for k in (ups, len(sums) - ups)
        )
        return float(above.pvalue), float(below.pvalue)
    total, slack = sums.sum(), ROUNDING * np.abs(sums).sum()
    flipped = _flipped(sums)
    return float((flipped >= total - slack).mean()), float((flipped <= total + slack).mean())


def _flipped(sums: Float[np.ndarray, " C"]) -> Float[np.ndarray, " R"]:
    """The total under flips of signs, the observed one among them."""
    if len(sums) <= ENUMERATED:
        return np.array(list(itertools.product((1.0, -1.0), repeat=len(sums)))) @ sums
    generator = np.random.default_rng(SEED)
    step = max(1, CHUNK // len(sums))
    totals = [sums[None].sum(axis=1)]
    for start in range(1, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        totals.append((1.0 - 2.0 * generator.integers(2, size=(rows, len(sums)))) @ sums)
    return np.concatenate(totals)


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean credit of one cell minus that of another, over the same samples."""

    value: float  # in [-1, 1]
    low: float  # 95 % interval, over clusters; [-1, 1] where they are too few to say anything
    high: float
    n: int  # samples
    clusters: int  # independent units: samples that share an image or another group are one
    p: float  # two-sided test of equal accuracy: signs of the clusters' sums are flipped
    discordant: float  # share of samples whose credit differs, in [0, 1]


def paired_difference(
    treated: Sequence[Prediction], baseline: Sequence[Prediction]
) -> PairedDifference:
    """Compare two cells sample by sample: the interval of `solvent.core.intervals`, and the test of
    `sign_flips`, which is McNemar's exact test where every sample is a cluster of its own.

    Raises `ValueError` when the two cells did not answer the same samples.
    """
    ours, theirs = ({row.uid: row for row in rows} for rows in (treated, baseline))
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"cells can be paired only over the same samples; {len(ours.keys() ^ theirs.keys())} "
            f"of {len(ours.keys() | theirs.keys())} occur in one of them only"
        )
    uids = sorted(ours)
    differences = np.array([ours[uid].credit - theirs[uid].credit for uid in uids])
    units = np.array(connected([ours[uid].groups for uid in uids]))
    mean = of_values(differences, units, DIFFERENCE)
    low, high = mean.interval() or DIFFERENCE
    return PairedDifference(
        value=mean.mean,
        low=low,
        high=high,
        n=len(uids),
        clusters=len(mean.sizes),
        p=min(1.0, 2 * min(sign_flips(mean.sums))),
        discordant=float((differences != 0).mean()),
    )

"""Intervals of means over rows that may belong together, and paired comparisons. Pure functions.

Axes: C clusters (independent units), T cells (values of a tag; one for a plain mean).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtri
from scipy.stats import binomtest

from solvent.core.types import Prediction

CONFIDENCE = 0.95
RESAMPLES = 10_000  # the 2.5 % quantile then varies by 0.03 standard errors from seed to seed
SEED = 0
CHUNK = 500_000  # draws held in memory at a time


def wilson(successes: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion, in [0, 1].

    Successes may be shares of one: credits, or means of clusters. Source: Wilson (1927),
    https://doi.org/10.1080/01621459.1927.10502953. `scipy.stats.binomtest` (whole successes only)
    and statsmodels' `proportion_confint` have it too, and take a hundred times as long.
    """
    z = ndtri(0.5 + 0.5 * confidence)
    share = successes / trials
    middle = 2 * trials * share + z**2
    spread = z * math.sqrt(4 * trials * share * (1 - share) + z**2)
    low, high = ((middle + side * spread) / (2 * (trials + z**2)) for side in (-1, 1))
    return (0.0 if successes == 0 else float(low), 1.0 if successes == trials else float(high))


def bootstrap(
    sums: Float[np.ndarray, "C T"],
    counts: Float[np.ndarray, "C T"],
    weights: Float[np.ndarray, " T"],
    strata: Int[np.ndarray, " C"],
) -> tuple[float, float]:
    """Percentile interval of the weighted sum over T of (sum over C of sums) / (that of counts).

    Args:
        sums: credits of a cluster, added up, per cell.
        counts: number of credits in them.
        weights: of the cells.
        strata: clusters with an equal number have the same cells occupied, which keeps every cell
            occupied in every resample.
    """
    top, bottom = np.split(resampled(np.hstack([sums, counts]), strata), 2, axis=1)
    return percentiles((top / bottom) @ weights)


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


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean credit of one cell minus that of another, over the same samples."""

    value: float  # in [-1, 1]
    low: float  # 95 % interval, bootstrap over clusters
    high: float
    n: int  # samples
    clusters: int  # independent units: samples that share an image or another group are one
    p: float  # two-sided exact McNemar test of equal accuracy, samples taken as independent
    discordant: float  # share of samples whose credit differs, in [0, 1]


def paired_difference(
    treated: Sequence[Prediction], baseline: Sequence[Prediction]
) -> PairedDifference:
    """Compare two cells sample by sample.

    The interval is a percentile bootstrap that draws whole clusters; the test is McNemar's (1947),
    https://doi.org/10.1007/BF02295996, exact.

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
    sums, sizes = np.bincount(units, differences), np.bincount(units)
    low, high = bootstrap(sums[:, None], sizes[:, None], np.ones(1), np.zeros_like(sizes))
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedDifference(
        value=float(differences.mean()),
        low=low,
        high=high,
        n=len(uids),
        clusters=len(sizes),
        p=float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        discordant=(wins + losses) / len(uids),
    )

"""How much two sets of scores share beyond what their class explains. Pure functions of arrays.

GC-CMI is the part of the conditional mutual information that second moments see after every
component was made normal: exact for Gaussians, blind to purely nonlinear coupling (see `kernels`).
It is a property of the dimensions, the samples and the classes as much as of the model, so compare
it only where these are equal.

Axes: N samples, L layers, D components; R runs of the same samples; P permutations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

DEPENDENT = 1e-9  # share of the largest eigenvalue below which a direction carries nothing
ROUNDING = 1e-12  # equal sums in another order differ by less
PERFECT = 1 - 1e-12  # squared correlations above are cut: deterministic coupling has infinite bits


def bias_nats(samples: int, x_dims: int, z_dims: int) -> float:
    """What independent Gaussians show on average in `samples` samples, in nats.

    b = (g(x) + g(z) - g(x + z)) / 2 with g(d) = sum_{i=1..d} digamma((samples - i) / 2), for
    covariances around the sample mean. Source: Misra, Singh and Demchuk (2005),
    https://doi.org/10.1016/j.jmva.2003.10.003; Ince et al. (2017), https://doi.org/10.1002/hbm.23471.

    Raises `ValueError` unless samples > x_dims + z_dims + 1.
    """
    if samples <= x_dims + z_dims + 1:
        raise ValueError(
            f"{samples} samples are too few for {x_dims} + {z_dims} dimensions; at least "
            f"{x_dims + z_dims + 2} are needed"
        )
    terms = digamma((samples - np.arange(1, x_dims + z_dims + 1)) / 2)
    return float(terms[:x_dims].sum() + terms[:z_dims].sum() - terms.sum()) / 2


def normal_scores(values: Float[np.ndarray, "N ..."]) -> Float[np.ndarray, "N ..."]:
    """Every column's ranks as quantiles of the standard normal; ties share their mean rank."""
    return ndtri(rankdata(values, axis=0) / (len(values) + 1))


def conditional_information_bits(
    x: Float[np.ndarray, "N L D"],
    runs: Sequence[Float[np.ndarray, "N L D"]],
    strata: Int[np.ndarray, " N"],
) -> Float[np.ndarray, "R L"]:
    """GC-CMI between x and each run's z given the stratum, per layer, in bits.

    sum_y (n_y / n) [(ln|S_x| + ln|S_z| - ln|S_xz|) / 2 - b(n_y)] / ln 2, covariances of normal
    scores inside the stratum, never pooled. Unbiased for Gaussians, so it can be negative; it is
    not clipped. Linearly dependent components count once.

    Source: Ince et al. (2017), https://doi.org/10.1002/hbm.23471. Raises `ValueError` when a
    stratum is too small.
    """
    return _total(couplings(x, runs, strata))


def largest_correlations(
    x: Float[np.ndarray, "N L D"],
    runs: Sequence[Float[np.ndarray, "N L D"]],
    strata: Int[np.ndarray, " N"],
) -> Float[np.ndarray, "R L"]:
    """The largest canonical correlation of x and each run's z in any stratum, per layer.

    At 1 the states determine each other without noise: bits then depend on the number of samples
    and on rounding, not on the model.
    """
    return np.max([part.correlation() for part in couplings(x, runs, strata)], axis=0)


def permuted_information_bits(
    x: Float[np.ndarray, "N L D"],
    runs: Sequence[Float[np.ndarray, "N L D"]],
    strata: Int[np.ndarray, " N"],
    permutations: int,
    seed: int,
) -> Float[np.ndarray, "P R L"]:
    """GC-CMI when the runs' rows are permuted inside strata, the same way in all runs and layers.

    Under the null that z is exchangeable inside a stratum, observed and permuted values have one
    distribution; as all layers are permuted alike, so do their maxima over layers.
    """
    parts, generator = couplings(x, runs, strata), np.random.default_rng(seed)
    return np.stack(
        [
            _total(parts, [generator.permutation(part.samples) for part in parts])
            for _ in range(permutations)
        ]
    )


def p_value(observed: float, null: Float[np.ndarray, " P"]) -> float:
    """(1 + null values at least as large) / (1 + null values), in (0, 1]: valid at any P."""
    return float(1 + (null >= observed - ROUNDING).sum()) / (1 + len(null))


def halves(
    strata: Int[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], repeats: int, seed: int
) -> Iterator[Int[np.ndarray, " M"]]:
    """Rows of random halves of the clusters, drawn without replacement inside strata.

    The variance of an estimate over such halves is that of the estimate itself, without rescaling:
    Var(half - whole) = (2 / n - 1 / n) v. A bootstrap with replacement would repeat rows, which
    looks like coupling. Source: Politis and Romano (1994), https://doi.org/10.1214/aos/1176325770;
    Shao and Wu (1989), delete-d jackknife, https://doi.org/10.1214/aos/1176347263.

    A cluster that spans several strata is drawn with those of its first row.
    """
    _, first, unit = np.unique(clusters, return_index=True, return_inverse=True)
    home, generator = strata[first], np.random.default_rng(seed)
    for _ in range(repeats):
        order = generator.permutation(len(home))
        order = order[np.argsort(home[order], kind="stable")]  # strata one after the other
        chosen = np.zeros(len(home), dtype=bool)
        chosen[order[generator.integers(2) :: 2]] = True
        yield np.flatnonzero(chosen[unit])


@dataclass(frozen=True, kw_only=True, eq=False)
class Coupling:
    """One stratum, whitened: x and z have unit covariance, dependent directions are zero."""

    samples: int
    weight: float
    x: Float[np.ndarray, "L N D"]
    runs: Float[np.ndarray, "R L N D"]
    bias: Float[np.ndarray, "R L"]  # nats

    def nats(self, order: Int[np.ndarray, " N"] | slice = slice(None)) -> Float[np.ndarray, "R L"]:
        """-1/2 sum ln(1 - r^2) over the canonical correlations r, minus the bias."""
        squared = self._squared(order).clip(0, PERFECT)
        return -np.log1p(-squared).sum(axis=-1) / 2 - self.bias

    def correlation(self) -> Float[np.ndarray, "R L"]:
        """The largest canonical correlation, in [0, 1]."""
        return np.sqrt(self._squared(slice(None))[..., -1].clip(0, 1))

    def _squared(self, order: Int[np.ndarray, " N"] | slice) -> Float[np.ndarray, "R L D"]:
        cross = self.x.mT @ self.runs[:, :, order] / (self.samples - 1)
        return np.linalg.eigvalsh(cross.mT @ cross)


def couplings(
    x: Float[np.ndarray, "N L D"],
    runs: Sequence[Float[np.ndarray, "N L D"]],
    strata: Int[np.ndarray, " N"],
) -> list[Coupling]:
    """Every stratum as `Coupling`; a permutation of its rows then costs one product."""
    parts = []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        white, x_ranks = _whitened(x[rows])
        pairs = [_whitened(z[rows]) for z in runs]
        bias = [
            [bias_nats(len(rows), *dims) for dims in zip(x_ranks, ranks, strict=True)]
            for _, ranks in pairs
        ]
        part = Coupling(
            samples=len(rows),
            weight=len(rows) / len(strata),
            x=white,
            runs=np.stack([z for z, _ in pairs]),
            bias=np.array(bias),
        )
        parts.append(part)
    return parts


def _total(
    parts: Sequence[Coupling], orders: Sequence[Int[np.ndarray, " N"]] | None = None
) -> Float[np.ndarray, "R L"]:
    if orders is None:
        nats = [part.weight * part.nats() for part in parts]
    else:
        nats = [part.weight * part.nats(o) for part, o in zip(parts, orders, strict=True)]
    return np.sum(nats, axis=0) / np.log(2)


def _whitened(
    values: Float[np.ndarray, "N L D"],
) -> tuple[Float[np.ndarray, "L N D"], list[int]]:
    """Normal scores with unit covariance per layer, and how many directions are left of each."""
    scores = np.ascontiguousarray(np.moveaxis(normal_scores(values), 1, 0))
    scores = scores - scores.mean(axis=1, keepdims=True)
    size, vectors = np.linalg.eigh(scores.mT @ scores / (len(values) - 1))
    kept = size > np.maximum(DEPENDENT * size[:, -1:], np.finfo(float).tiny)
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, size, 1.0)), 0.0)
    return scores @ (vectors * scale[:, None, :]), kept.sum(axis=1).tolist()

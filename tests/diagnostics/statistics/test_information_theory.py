"""GC-CMI and HSIC against closed forms: Gaussians, and the traps that second moments fall into."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kstest

from solvent.diagnostics.statistics.information_theory import (
    bias_nats,
    conditional_information_bits,
    halves,
    normal_scores,
    p_value,
    permuted_information_bits,
)
from solvent.diagnostics.statistics.kernel_dependence import stratified_dependence

Pair = tuple[np.ndarray, np.ndarray]


def bits(x: np.ndarray, z: np.ndarray, strata: np.ndarray | None = None) -> float:
    strata = np.zeros(len(x), dtype=int) if strata is None else strata
    return float(conditional_information_bits(x[:, None], [z[:, None]], strata)[0, 0])


def two(samples: int) -> np.ndarray:
    return np.arange(samples) % 2


def gaussian(generator: np.random.Generator, samples: int, dims: int, rho: float) -> Pair:
    x, noise = generator.standard_normal((2, samples, dims))
    return x, rho * x + np.sqrt(1 - rho**2) * noise


def hsic_p(x: np.ndarray, z: np.ndarray, strata: np.ndarray, permutations: int = 99) -> float:
    return p_value(*stratified_dependence(x, z, strata, permutations, seed=0))


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        (5, {50: 0.2879, 100: 0.1337, 250: 0.0513, 1000: 0.0126}),
        (10, {50: 1.3133, 100: 0.5661, 250: 0.2097, 1000: 0.0506}),
    ],
)
def test_bias_of_independent_gaussians(dims: int, expected: dict[int, float]) -> None:
    for samples, nats in expected.items():
        assert bias_nats(samples, dims, dims) == pytest.approx(nats, abs=5e-5)


def test_bias_refuses_too_few_samples() -> None:
    assert bias_nats(12, 5, 5) > 0
    with pytest.raises(ValueError, match=r"11 samples are too few for 5 \+ 5 dimensions.*12"):
        bias_nats(11, 5, 5)


@pytest.mark.parametrize(
    ("dims", "rho", "samples"),
    [(1, 0.6, 500), (1, 0.8, 500), (5, 0.4, 500), (10, 0.3, 500), (20, 0.2, 500), (8, 0.0, 400)],
)
def test_gaussians_with_class_means(dims: int, rho: float, samples: int) -> None:
    generator, strata, found = np.random.default_rng(1), two(samples), []
    for _ in range(60):
        x, z = gaussian(generator, samples, dims, rho)
        found.append(bits(x + 3 * strata[:, None], z - 5 * strata[:, None], strata))
    truth = -dims / 2 * np.log2(1 - rho**2)
    # Normal scores cost a little: .430 of .436 nats at five dimensions.
    assert np.mean(found) == pytest.approx(truth, abs=0.015 * truth + 3 * np.std(found) / 60**0.5)
    exact = np.sqrt(dims * dims + 2 * samples * dims * rho**2 / 2) / samples / np.log(2)
    assert np.std(found) < 1.6 * exact


def test_spread_without_coupling_and_power() -> None:
    generator, strata, runs = np.random.default_rng(2), two(400), 200
    spread = np.sqrt(2 * 8 * 8 / 2) / 400 / np.log(2)  # of two strata, eight dimensions each side
    rho = np.sqrt(1 - np.exp(-0.050 * 2 / 8))  # 0.050 nats: found in 80 % of runs
    null = [bits(*gaussian(generator, 400, 8, 0.0), strata) for _ in range(runs)]
    weak = [bits(*gaussian(generator, 400, 8, rho), strata) for _ in range(runs)]
    assert np.std(null) == pytest.approx(spread, rel=0.12)
    assert np.mean(np.array(null) > 1.645 * spread) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert np.mean(np.array(weak) > 1.645 * spread) == pytest.approx(0.80, abs=0.1)


def test_p_values_are_uniform_under_the_null() -> None:
    generator, linear, kernel = np.random.default_rng(3), [], []
    strata = np.repeat([0, 1], [60, 40])
    for seed in range(150):
        x, z = np.exp(gaussian(generator, 100, 2, 0.0))  # skewed
        x, z = x + 2 * strata[:, None], z + 2 * strata[:, None]  # the class explains a lot
        null = permuted_information_bits(x[:, None], [z[:, None]], strata, 99, seed)[:, 0, 0]
        linear.append(p_value(bits(x, z, strata), null))
        if seed < 80:
            kernel.append(hsic_p(x, z, strata))
    for found in (linear, kernel):
        jittered = np.array(found) - generator.random(len(found)) / 100
        assert kstest(jittered, "uniform").pvalue > 0.01


def test_maxima_over_layers_share_their_permutations() -> None:
    x, z = gaussian(np.random.default_rng(4), 80, 2, 0.0)
    layers = np.stack([x, x, -x], axis=1), np.stack([z, z, z], axis=1)
    null = permuted_information_bits(layers[0], [layers[1]] * 2, two(80), 20, seed=0)
    assert null.shape == (20, 2, 3)
    assert np.allclose(null, null[:, :1, :1])
    assert null[:, 0, 0].std() > 0


def test_independent_given_the_class() -> None:
    generator, strata = np.random.default_rng(5), two(2000)
    x, z = gaussian(generator, 2000, 1, 0.0)
    x, z = x + 2 * strata[:, None], z + 2 * strata[:, None]
    assert bits(x, z, strata) == pytest.approx(0, abs=0.005)
    assert bits(x, z) > 0.15  # about that of correlation 1 / 2


def test_sign_xor_is_seen_only_given_the_class() -> None:
    x, z = gaussian(np.random.default_rng(6), 4000, 1, 0.0)
    strata = (x * z > 0)[:, 0].astype(int)
    assert bits(x, z) == pytest.approx(0, abs=0.005)
    assert bits(x, z, strata) == pytest.approx(0.3749, abs=0.025)  # correlation 2 / pi; truth 1 bit


def test_modular_sum_is_seen_only_given_the_class() -> None:
    a, b = np.random.default_rng(7).integers(4, size=(2, 400))
    x, z = np.eye(4)[a], np.eye(4)[b]
    assert bits(x, z) == pytest.approx(0, abs=0.03)
    assert bits(x, z, (a + b) % 4) > 2  # given the sum, one term is the other
    assert hsic_p(x, z, np.zeros(400, dtype=int)) > 0.05
    assert hsic_p(x, z, (a + b) % 4) == 0.01


def test_confounder_couples_both_runs_alike() -> None:
    generator, strata = np.random.default_rng(8), two(4000)
    topic, *noise = generator.standard_normal((4, 4000, 1))
    x, real, swap = (topic + each for each in noise)
    found = conditional_information_bits(x[:, None], [real[:, None], swap[:, None]], strata)[:, 0]
    assert found == pytest.approx([0.2075, 0.2075], abs=0.036)  # correlation 1 / 2; 3 sd
    assert found[0] - found[1] == pytest.approx(0, abs=0.036)


def test_shared_scale_couples_until_rows_are_normalised() -> None:
    generator, strata = np.random.default_rng(9), two(500)
    scale = np.exp(generator.standard_normal((500, 1)) / 2)
    x, z = 1 + 0.5 * generator.standard_normal((2, 500, 4))  # as means of tokens: not around 0
    assert bits(scale * x, scale * z, strata) > 0.15

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.sqrt((rows**2).mean(axis=1, keepdims=True))

    assert np.allclose(unit(scale * x), unit(x))  # exactly no shared scale
    assert bits(unit(scale * x), unit(scale * z), strata) == pytest.approx(0, abs=0.04)
    around = generator.standard_normal((2, 500, 2))
    assert hsic_p(*(scale * around), strata) == 0.01
    assert hsic_p(unit(scale * around[0]), unit(scale * around[1]), strata) > 0.05


def test_quadratic_coupling_is_seen_by_the_kernel_only() -> None:
    generator, strata, found = np.random.default_rng(10), two(500), []
    for _ in range(40):
        x, noise = generator.standard_normal((2, 500, 2))
        found.append(bits(x, x**2 + 0.3 * noise, strata))
    assert np.mean(found) == pytest.approx(0, abs=0.02)
    assert hsic_p(x, x**2 + 0.3 * noise, strata) == 0.01


def test_coupling_of_opposite_sign_cancels_only_when_pooled() -> None:
    generator, strata = np.random.default_rng(11), two(2000)
    x, z = gaussian(generator, 2000, 5, 0.4)
    z = z * (1 - 2 * strata[:, None])
    assert bits(x, z, strata) == pytest.approx(-2.5 * np.log2(1 - 0.16), abs=0.08)
    assert bits(x, z) == pytest.approx(0, abs=0.03)
    assert hsic_p(x[:500], z[:500], strata[:500]) == 0.01


def test_strata_are_weighted_by_their_share() -> None:
    generator = np.random.default_rng(12)
    sides = [gaussian(generator, size, 2, rho) for size, rho in ((300, 0.7), (100, 0.0))]
    x, z = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    expected = 0.75 * bits(*sides[0]) + 0.25 * bits(*sides[1])
    assert bits(x, z, np.repeat([0, 1], [300, 100])) == pytest.approx(expected, abs=1e-12)


def test_dependent_and_constant_components_count_once() -> None:
    x, z = gaussian(np.random.default_rng(13), 300, 2, 0.5)
    doubled = np.concatenate([x, x, np.zeros((300, 1))], axis=1)
    assert bits(doubled, z) == pytest.approx(bits(x, z), abs=1e-9)
    assert bits(np.zeros((300, 2)), z) == 0
    assert np.isfinite(bits(x, x))  # the truth is infinite
    constant = hsic_p(np.ones((40, 2)), z[:40], np.zeros(40, dtype=int))
    assert constant == 1


def test_monotone_changes_of_scale_do_not_matter() -> None:
    x, z = gaussian(np.random.default_rng(14), 200, 3, 0.5)
    assert bits(np.exp(x), z**3) == pytest.approx(bits(x, z), abs=1e-12)
    assert normal_scores(np.array([[2.0], [2.0], [7.0]]))[:2, 0] == pytest.approx(
        [-0.3186] * 2, 1e-3
    )


def test_halves_give_the_standard_error() -> None:
    """That of -ln(1 - r^2) / 2 in nats is r / sqrt(n) per component, by the delta method."""
    generator, strata = np.random.default_rng(15), two(400)
    spreads = []
    for seed in range(20):
        x, z = gaussian(generator, 400, 2, 0.6)
        drawn = [
            bits(x[rows], z[rows], strata[rows])
            for rows in halves(strata, np.arange(400), 16, seed)
        ]
        spreads.append(np.var(drawn))
    assert np.sqrt(np.mean(spreads)) == pytest.approx(0.6 * np.sqrt(2 / 400) / np.log(2), rel=0.15)


def test_halves_keep_clusters_whole_and_strata_balanced() -> None:
    strata, clusters = np.repeat([0, 1], [40, 60]), np.arange(100) // 2
    for rows in halves(strata, clusters, 10, seed=0):
        assert np.array_equal(rows[::2] + 1, rows[1::2])
        assert np.array_equal(clusters[rows[::2]], clusters[rows[1::2]])
        assert (strata[rows] == 0).sum() == 20
        assert (strata[rows] == 1).sum() == 30


def test_kernel_test_is_the_unbiased_estimator() -> None:
    """Against the sum over all quadruples that defines it (Song et al. 2012, theorem 2)."""
    x, z = np.random.default_rng(16).standard_normal((2, 6, 2))

    def kernel(values: np.ndarray) -> np.ndarray:
        distances = np.linalg.norm(values[:, None] - values[None], axis=-1)
        return np.exp(-((distances / np.median(distances[np.triu_indices(6, 1)])) ** 2) / 2)

    k, q = kernel(x), kernel(z)
    terms = [
        k[a, b] * (q[a, b] + q[c, d] - 2 * q[a, c]) for a, b, c, d in permutations(range(6), 4)
    ]
    observed, _ = stratified_dependence(x, z, np.zeros(6, dtype=int), 1, seed=0)
    assert observed == pytest.approx(np.mean(terms), abs=1e-12)
    with pytest.raises(ValueError, match="4 samples"):
        stratified_dependence(x[:3], z[:3], np.zeros(3, dtype=int), 1, seed=0)

"""Whether image and text states share anything: tests by permutation, linear and of any kind.

Axes: N samples, L layers, D components; R runs, the real one first; B random halves of the samples;
P permutations.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from solvent.diagnostics.coupling.gain import SELDOM
from solvent.diagnostics.coupling.sides import Sides
from solvent.diagnostics.statistics.information_theory import p_value
from solvent.diagnostics.statistics.kernel_dependence import stratified_dependence


def largest_p(observed: Float[np.ndarray, " L"], null: Float[np.ndarray, "P L"]) -> float:
    """p of the largest statistic over layers. Source: Westfall and Young (1993), chapter 2."""
    return p_value(float(observed.max()), null.max(axis=1))


def kernel_p(sides: Sides, most: int, permutations: int, seed: int) -> float:
    """p of HSIC between image and text of the real run, largest over layers.

    Every layer is standardised by its own permutations, as kernels differ in scale. At most `most`
    samples of a stratum are used: the cost grows with their square.
    """
    order, generator = [], np.random.default_rng(seed)
    for stratum in np.unique(sides.strata):
        order.extend(generator.permutation(np.flatnonzero(sides.strata == stratum))[:most])
    rows = np.sort(order)
    observed, null = [], []
    for layer in range(sides.image.shape[1]):
        value, values = stratified_dependence(
            sides.image[rows, layer],
            sides.runs[0][rows, layer],
            sides.strata[rows],
            permutations,
            seed,
        )
        scale = values.std() or 1.0
        observed.append((value - values.mean()) / scale)
        null.append((values - values.mean()) / scale)
    return largest_p(np.array(observed), np.stack(null, axis=1))


def coupling(*, information_p: float, kernel_p: float) -> str:
    """What the two tests say together; the kernel test sees any coupling, if strong enough."""
    linear, any_kind = information_p <= SELDOM, kernel_p <= SELDOM
    if linear:
        return "coupled" if any_kind else "weak linear"
    return "nonlinear" if any_kind else "none"

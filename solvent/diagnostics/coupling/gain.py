"""How much more image and text states share when the text could see this image: bits per layer.

    gain = min over controls of I(image; text of the real run | y) - I(image; text of a control | y)

The image states are always the real run's. In a control the text could not see that image: another
one was shown (swap), or attention to it was cut (knock). What the data set itself couples, a topic
of image and question, stays in the controls and cancels.

Axes: N samples, L layers, D components; R runs, the real one first; B random halves of the samples;
P permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from solvent.diagnostics.coupling.sides import Sides
from solvent.diagnostics.statistics.estimates import Estimate, of_ends

SELDOM = 0.05  # of a one-sided test or bound
LOSSLESS = 0.99  # canonical correlation above which states are copies, and bits say nothing


def gains(bits: Float[np.ndarray, "*draw R L"]) -> Float[np.ndarray, "*draw C L"]:
    """The real run minus every control."""
    return bits[..., :1, :] - bits[..., 1:, :]


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """Gain per layer with bounds; `layer` indexes the largest."""

    gain: Float[np.ndarray, " L"]
    low: Float[np.ndarray, " L"]  # 95 % intervals; the low end holds for all layers at once
    high: Float[np.ndarray, " L"]
    best: Estimate  # the largest gain over layers
    layer: int


def band(
    bits: Float[np.ndarray, "R L"],
    drawn: Float[np.ndarray, "B R L"],
    clusters: Int[np.ndarray, " N"],
) -> Band:
    """Bounds of the gain at its best layer, with the choice of the layer paid for.

    The lower bound of the maximum is the maximum of simultaneous lower bounds: gain - c se, with c
    a quantile of the largest (draw - gain) / se over layers. The upper bound is the maximum of
    pointwise ones. Over controls the smaller bound counts. Source: Romano and Wolf (2005),
    https://doi.org/10.1111/j.1468-0262.2005.00615.x; Berger (1982), intersection-union tests,
    https://doi.org/10.1080/00401706.1982.10487790.
    """
    found, error, worst = _spread(bits, drawn)

    def below(level: float) -> Float[np.ndarray, " L"]:
        factor = np.maximum(np.quantile(worst, 1 - level, axis=0), norm.isf(level))
        return (found - factor[:, None] * error).min(axis=0)

    def above(level: float) -> Float[np.ndarray, " L"]:
        return (found + norm.isf(level) * error).min(axis=0)

    gain, units = found.min(axis=0), len(np.unique(clusters))
    low, high = below(SELDOM / 2), above(SELDOM / 2)
    ends = (low.max(), high.max(), below(SELDOM).max(), above(SELDOM).max())
    best = of_ends(gain.max(), ends, len(clusters), units)
    return Band(gain=gain, low=low, high=high, best=best, layer=int(gain.argmax()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Gains of all layers, the first of which, what enters the decoder, is not judged."""

    bits: Float[np.ndarray, "R L"]
    drawn: Float[np.ndarray, "B R L"]
    correlations: Float[np.ndarray, "R L"]
    clusters: Int[np.ndarray, " N"]

    @property
    def lossless(self) -> Bool[np.ndarray, "R L"]:
        """Where one side is a copy of the other, so that there are no bits."""
        return self.correlations > LOSSLESS

    @property
    def copied(self) -> bool:
        """Whether the real run, and no control, copies the image at a layer."""
        real, *controls = self.lossless[:, 1:]
        return bool((real & ~np.any(controls, axis=0)).any())

    @property
    def known(self) -> Float[np.ndarray, "R L"]:
        """Bits where there are some; NaN elsewhere."""
        return np.where(self.lossless, np.nan, self.bits)

    @property
    def layers(self) -> Int[np.ndarray, " l"]:
        """The judged layers with bits in all runs."""
        return 1 + np.flatnonzero(~self.lossless[:, 1:].any(axis=0))

    @cached_property
    def band(self) -> Band | None:
        """Of these layers; None where the real run copies the image, or no layer has bits."""
        if self.copied or not len(self.layers):
            return None
        return band(self.bits[:, self.layers], self.drawn[:, :, self.layers], self.clusters)

    @property
    def best(self) -> Estimate | None:
        """The largest gain over layers; None where there are no bits."""
        return self.band.best if self.band else None

    @property
    def layer(self) -> int:
        """That of the largest gain, or of the largest correlation where there are no bits."""
        if self.band:
            return int(self.layers[self.band.layer])
        return 1 + int(self.correlations[0, 1:].argmax())

    @property
    def ends(self) -> dict[str, list[float]]:
        """95 % interval of the gain at every judged layer; NaN where there are no bits."""
        low, high = np.full((2, self.bits.shape[1]), np.nan)
        if self.band:
            low[self.layers], high[self.layers] = self.band.low, self.band.high
        return {"gain_low_bits": low[1:].tolist(), "gain_high_bits": high[1:].tolist()}

    def p_value(self, margin: float) -> float | None:
        """p of no gain above the margin at any layer; None where there are no bits."""
        if not self.band:
            return None
        return gain_p(self.bits[:, self.layers], self.drawn[:, :, self.layers], margin)


def judged(sides: Sides, repeats: int, seed: int) -> Judged:
    """Bits of all layers, in all samples and in random halves, and where there are none."""
    return Judged(
        bits=sides.bits(),
        drawn=sides.resampled(repeats, seed),
        correlations=sides.correlations(),
        clusters=sides.clusters,
    )


def gain_p(
    bits: Float[np.ndarray, "R L"], drawn: Float[np.ndarray, "B R L"], margin: float
) -> float:
    """p of gains that are at most the margin at all layers, by the spread that gives `band` its
    lower bound: of the layer with the smallest p, and there of the control with the largest.

    Permuted rows would test something else: they also break what a topic of image and question
    couples under the controls, and reject in more than a third of all sets without any gain.
    """
    found, error, worst = _spread(bits, drawn)
    sure = np.where(found > margin, np.inf, -np.inf)
    away = np.divide(found - margin, error, out=sure, where=error > 0)
    beyond = (worst[:, :, None] >= away).sum(axis=0)
    single = norm.sf(away)
    tail = np.where(beyond == 0, np.minimum(single * away.shape[1], 1.0), 1.0)  # few halves
    p_values = np.maximum(single, np.minimum((1 + beyond) / (1 + len(worst)), tail))
    return float(p_values.max(axis=0).min())


def _spread(
    bits: Float[np.ndarray, "R L"], drawn: Float[np.ndarray, "B R L"]
) -> tuple[Float[np.ndarray, "C L"], Float[np.ndarray, "C L"], Float[np.ndarray, "B C"]]:
    """Gains, their standard errors, and every draw's largest studentised deviation over layers."""
    found, spread = gains(bits), gains(drawn)
    error = np.sqrt(((spread - found) ** 2).mean(axis=0))
    away = np.divide(spread - found, error, out=np.zeros_like(spread), where=error > 0)
    return found, error, away.max(axis=2)


def pointwise(
    value: float, drawn: Float[np.ndarray, " B"], clusters: Int[np.ndarray, " N"]
) -> Estimate:
    """A number of one layer, with the spread that random halves show."""
    error, units = float(np.sqrt(((drawn - value) ** 2).mean())), len(np.unique(clusters))
    wide, narrow = norm.isf(SELDOM / 2) * error, norm.isf(SELDOM) * error
    ends = (value - wide, value + wide, value - narrow, value + narrow)
    return of_ends(value, ends, len(clusters), units)

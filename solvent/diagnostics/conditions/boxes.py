"""C2, the evidence weight: how much a nat of image evidence counts against a nat of text.

Axes: N samples in which image and text conflict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from jaxtyping import Float, Int

from solvent.diagnostics.statistics.estimates import Estimate
from solvent.diagnostics.statistics.ratios import coefficient, fieller


@dataclass(frozen=True, kw_only=True)
class Weight:
    """rho = b_i / b_t of M = b_0 + b_i E_img - b_t E_txt; None with a reason where unidentified."""

    rho: Estimate | None  # 1: evidence adds up; below 1: that of the image is discounted
    image: Estimate | None  # b_i, nats of margin per nat of evidence
    text: Estimate | None  # b_t
    offset_nats: Estimate | None  # b_0
    reason: str  # why rho is not identified; empty when it is


def evidence_weight(
    margin: Float[np.ndarray, " N"],
    image: Float[np.ndarray, " N"],
    text: Float[np.ndarray, " N"],
    clusters: Int[np.ndarray, " N"],
    least_spread: float,
) -> Weight:
    """Regress the margin under conflict on what each modality alone says.

    Ordinary least squares, covariances robust to clusters, ratio by Fieller's theorem (1954). A
    product of experts adds evidence, so that b_0 = 0 and b_i = b_t = 1. Errors in the evidence
    (option order, say) shrink both weights; average over orders first.

    rho is not identified when either evidence varies, beyond what the other explains, by less than
    `least_spread`, or when b_t may be 0 at 95 %.

    Args:
        margin: ln P(c_i) - ln P(c_t) under conflict, in nats.
        image: E_img = ln P(c_i) / P(c_t) from the image alone, in nats.
        text: E_txt = ln P(c_t) / P(c_i) from the text alone, in nats.
        least_spread: standard deviation in nats.

    Source of the covariance: Liang and Zeger (1986), https://doi.org/10.1093/biomet/73.1.13.
    """
    units = len(np.unique(clusters))
    if units < 4:  # as many as coefficients and one: below, the covariance is not full
        return _unidentified(f"{units} independent conflicts are too few for three weights")
    for name, spread in (("image", _own_spread(image, text)), ("text", _own_spread(text, image))):
        if spread < least_spread:
            return _unidentified(
                f"the evidence of the {name} varies by {spread:.2g} nats of its own, "
                f"{least_spread:g} are needed"
            )
    fit = sm.OLS(margin, sm.add_constant(np.column_stack([image, -text]))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
    )
    size, covariance = len(margin), fit.cov_params()
    offset, on_image, on_text = (
        coefficient(value, error, size, units)
        for value, error in zip(fit.params, fit.bse, strict=True)
    )
    rho = fieller(on_image.value, on_text.value, covariance[1:, 1:], size, units)
    return Weight(
        rho=rho,
        image=on_image,
        text=on_text,
        offset_nats=offset,
        reason="" if rho else "the weight of the text may be 0",
    )


def _own_spread(values: Float[np.ndarray, " N"], other: Float[np.ndarray, " N"]) -> float:
    """Standard deviation that a straight line through the other values does not explain."""
    design = np.column_stack([np.ones_like(other), other])
    return float((values - design @ np.linalg.lstsq(design, values)[0]).std())


def _unidentified(reason: str) -> Weight:
    return Weight(rho=None, image=None, text=None, offset_nats=None, reason=reason)

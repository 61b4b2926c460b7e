"""How far apart two answers are. Pure functions, one value per sample.

Axes: N samples, K options of the sample that has most, M answers to the same sample. Arrays of
probabilities are zero, arrays of log-probabilities -inf, beyond a sample's options.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import entr

TIE = 1e-6  # nats; log-probabilities this close share the top, whatever their order
FLOOR = 1e-12  # least probability that a divergence is taken against


def entropy_bits(p: Float[np.ndarray, "*M N K"]) -> Float[np.ndarray, "*M N"]:
    """H(p) = -sum p log2 p, in [0, log2 K] bits."""
    return entr(p).sum(axis=-1) / np.log(2)


def total_variation(
    p: Float[np.ndarray, "N K"], q: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """Half the sum of |p - q|, in [0, 1]: the largest difference in the probability of an event."""
    return np.abs(p - q).sum(axis=-1) / 2


def jensen_shannon_bits(
    p: Float[np.ndarray, "N K"], q: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """H((p + q) / 2) - (H(p) + H(q)) / 2, in [0, 1] bits; finite with zeros.

    Source: Lin (1991), https://doi.org/10.1109/18.61115.
    """
    return mutual_information_bits(np.stack([p, q]))


def mutual_information_bits(ps: Float[np.ndarray, "M N K"]) -> Float[np.ndarray, " N"]:
    """H(mean of M answers) - mean of their H, in [0, min(log2 K, log2 M)] bits.

    The generalised Jensen-Shannon divergence: how much the answer says about which of the M inputs
    was shown, when they are equally likely. It grows with M, so that M is always said with it.

    Source: Lin (1991), https://doi.org/10.1109/18.61115, section V.
    """
    return np.maximum(entropy_bits(ps.mean(axis=0)) - entropy_bits(ps).mean(axis=0), 0.0)


def kullback_leibler_bits(
    p: Float[np.ndarray, "N K"], q: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """KL(p || q) = sum p log2(p / q), at least 0 bits; q is taken as 1e-12 at least.

    Source: Kullback and Leibler (1951), https://doi.org/10.1214/aoms/1177729694.
    """
    crossed = (p * np.log2(np.maximum(q, FLOOR))).sum(axis=-1)
    return np.maximum(-entropy_bits(p) - crossed, 0.0)


def logit_distance_nats(
    log_p: Float[np.ndarray, "N K"],
    log_q: Float[np.ndarray, "N K"],
    sizes: Int[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """Root mean square over options of the difference of centred logits, at least 0 nats.

    Centring makes it blind to the constant that log-probabilities are only known up to. It does not
    saturate as the bounded distances do. NaN for a sample with an option of probability zero.

    Args:
        log_p, log_q: natural logarithms.
        sizes: number of options of every sample.
    """
    real = np.arange(log_p.shape[-1]) < sizes[:, None]
    with np.errstate(invalid="ignore"):
        gap = np.where(real, log_p - log_q, 0.0)
        centred = np.where(real, gap - (gap.sum(axis=-1) / sizes)[:, None], 0.0)
    distance = np.sqrt((centred**2).sum(axis=-1) / sizes)
    return np.where(np.isfinite(distance), distance, np.nan)


def top_set(log_p: Float[np.ndarray, "N K"]) -> Bool[np.ndarray, "N K"]:
    """The likeliest options: all within 1e-6 nats of the best, never the first of them alone."""
    return log_p >= log_p.max(axis=-1, keepdims=True) - TIE


def flips(
    log_p: Float[np.ndarray, "N K"], log_q: Float[np.ndarray, "N K"]
) -> Bool[np.ndarray, " N"]:
    """Whether the sets of likeliest options differ."""
    return (top_set(log_p) != top_set(log_q)).any(axis=-1)

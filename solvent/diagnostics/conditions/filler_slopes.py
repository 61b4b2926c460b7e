"""What changes per doubling of filler text, and the curves that are drawn of it.

Axes: N samples, T lengths.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.conditions.fillers import Curve
from solvent.diagnostics.statistics.estimates import Estimate, estimate
from solvent.diagnostics.statistics.head_attention import Metrics
from solvent.diagnostics.statistics.slopes import slope

SHOWN = ("visible", "mass", "lift", "dependency", "effect", "gain", "right", "text_right")


def slopes(
    answers: Answers,
    each: Curve,
    needs: Bool[np.ndarray, " N"],
    others: Bool[np.ndarray, " N"],
) -> Metrics:
    """Changes per doubling of the text, and the dilution exponent."""
    found: Metrics = {}
    most = float(np.log2(answers.sizes.max()))
    for name, values, rows, reach in (
        ("dependency_slope_bits", each.dependency, needs, most),
        ("gain_slope_bits", each.gain, needs, None),
        ("effect_slope_bits", each.effect, needs, 1.0),
        ("text_accuracy_slope", each.text_right, others, 1.0),
    ):
        found[f"{name}_{each.place}"] = slope(
            each.doublings[rows], values[rows], answers.clusters[rows], reach
        )
    dilution = slope(-each.crowding, each.log_odds, answers.clusters)
    return found | {f"dilution_{each.place}": dilution}


def told_right(answers: Answers, each: Curve) -> Metrics:
    """Accuracy from a text that says the right answer: above chance without filler, and its fall;
    nothing where it was not shown.
    """
    if np.isnan(each.told_right).all():
        return {}
    known = np.isfinite(each.told_right).all(axis=1)
    above = each.told_right[known, 0] - 1 / answers.sizes[known]
    return {
        f"told_above_chance_{each.place}": estimate(above, answers.clusters[known], DIFFERENCE),
        f"told_accuracy_slope_{each.place}": slope(
            each.doublings, each.told_right, answers.clusters, 1.0
        ),
    }


def attended(answers: Answers, each: Curve) -> Metrics:
    """What image and filler get of the attention at the longest filler, as shares and as multiples
    of what equal weights would give them, and how many tokens filler has per image token (an image
    shown again has one); nothing where nobody told the filler apart.
    """
    known = np.isfinite(each.filler[:, -1]) & (each.filler_uniform[:, -1] > 0)
    if not known.any():
        return {}
    found: Metrics = {}
    clusters = answers.clusters[known]
    for name, mass, equal in (
        ("image", each.mass, each.uniform),
        ("filler", each.filler, each.filler_uniform),
    ):
        share, count = mass[known, -1], equal[known, -1]
        seen = count > 0
        found[f"mass_{name}_{each.place}"] = estimate(share, clusters, SHARE)
        found[f"lift_{name}_{each.place}"] = estimate(share[seen] / count[seen], clusters[seen])
    image, filler = each.uniform[known, -1], each.filler_uniform[known, -1]
    if (image > 0).all():
        found[f"filler_per_image_token_{each.place}"] = float((filler / image).mean())
    return found


def attended_in_words(metrics: Metrics, place: str, words: int) -> str:
    """What `attended` found, as a sentence behind another; empty where it found nothing."""
    filler, image = (metrics.get(f"mass_{name}_{place}") for name in ("filler", "image"))
    if not (isinstance(filler, Estimate) and isinstance(image, Estimate)):
        return ""
    return (
        f" At {words} words filler gets {filler.value:.0%} of the answer's attention, the image "
        f"{image.value:.0%}."
    )


def drawn(answers: Answers, each: Curve, needs: Bool[np.ndarray, " N"]) -> dict[str, Any]:
    """A curve as plain lists: means and intervals over all samples, and over those that need the
    image.
    """
    found: dict[str, Any] = {"place": each.place, "words": list(each.words)}
    names = SHOWN if np.isnan(each.filler[:, -1]).all() else (*SHOWN, "filler")
    for suffix, rows in (("", np.ones(len(answers), dtype=bool)), ("_needing_image", needs)):
        for name in names:
            values = getattr(each, name)[rows]
            found[f"{name}{suffix}"] = [
                _told(column, answers.clusters[rows]) for column in values.T
            ]
    return found


def _told(values: Float[np.ndarray, " N"], clusters: np.ndarray) -> dict[str, Any] | None:
    known = np.isfinite(values)
    found = estimate(values[known], clusters[known])
    return None if found is None else asdict(found)

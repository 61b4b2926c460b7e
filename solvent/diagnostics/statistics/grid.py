"""Every image with every question: how much of the answer no sum of the two can explain.

Axes: I images and T questions of the same samples, K options that all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.core.statistics import connected
from solvent.core.types import Prediction, Sample
from solvent.diagnostics.measures import shared_credit
from solvent.diagnostics.statistics.distances import mutual_information_bits
from solvent.diagnostics.statistics.estimates import Estimate, estimate
from solvent.diagnostics.statistics.ratios import coefficient


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Answers to all pairs; sample j has image j and question j."""

    scores: Float[np.ndarray, "I T K"]  # natural log-probabilities, known up to a constant per pair
    gold: Int[np.ndarray, " T"]
    clusters: Int[np.ndarray, " T"]
    invalid: int  # samples left out, because some pair of theirs has no finite scores


@dataclass(frozen=True, kw_only=True)
class Emap:
    """What the best sum of an image and a question term keeps of the answers."""

    accuracy: Estimate | None  # of the model, in [0, 1]; ties are shared
    emap_accuracy: Estimate | None  # of the sum
    accuracy_of_interaction: Estimate | None  # the first minus the second
    image_share: Estimate | None  # of the variance of centred logits, in [0, 1]; the three add to 1
    text_share: Estimate | None
    interaction_share: Estimate | None
    information_bits: Estimate | None  # J: generalised Jensen-Shannon divergence over the images
    n: int
    invalid: int


def grid_samples(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """All N x N pairs: the pictures of sample i with everything else of sample j.

    Image by image; the uid is that of the question with "/image{i}", and `shown["donor"]` names
    the owner of the picture. Pictures keep their size; choose samples of one size where the number
    of image tokens depends on it.

    Raises:
        ValueError: fewer than two samples, or they differ in options or number of pictures.
    """
    if len(samples) < 2:
        raise ValueError(f"a grid needs at least two samples, got {len(samples)}")
    for what, values in (
        ("options", {sample.options for sample in samples}),
        ("number of pictures", {len(sample.images) for sample in samples}),
    ):
        if len(values) > 1:
            raise ValueError(
                f"all samples of a grid must share the {what}, found {len(values)} kinds; choose "
                "samples of one kind of question"
            )
    return tuple(
        replace(
            question,
            uid=f"{question.uid}/image{place}",
            images=owner.images,
            shown={**question.shown, "donor": owner.uid},
        )
        for place, owner in enumerate(samples)
        for question in samples
    )


def read_grid(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> Grid:
    """The answers to `grid_samples(samples)`, in any order.

    A sample with a pair that has no finite scores, as image or as question, is left out of both
    axes where its question has it, so that the grid stays full.

    Raises:
        ValueError: a pair is missing.
    """
    found = {prediction.uid: prediction for prediction in predictions}
    size, width = len(samples), len(samples[0].options)
    scores = np.full((size, size, width), np.nan)
    for place in range(size):
        for column, question in enumerate(samples):
            uid = f"{question.uid}/image{place}"
            if uid not in found:
                raise ValueError(f"the grid lacks {uid}; delete its folder and run it again")
            if found[uid].scores is not None:
                scores[place, column] = [each.log_probability for each in found[uid].scores]
    kept = np.flatnonzero(np.isfinite(scores).all(axis=(0, 2)))
    return Grid(
        scores=scores[np.ix_(kept, kept)],
        gold=np.array([samples[row].gold for row in kept], dtype=int),
        clusters=np.array(connected([samples[row].groups for row in kept]), dtype=int),
        invalid=size - len(kept),
    )


def emap(grid: Grid) -> Emap:
    """Empirical multimodally-additive projection: f_i. + f_.j - f.. of centred logits.

    Shares of variance come from the balanced two-way layout, with a jackknife over samples (image
    and question of a cluster leave together).

    Sources: Hessel and Lee (2020), https://aclanthology.org/2020.emnlp-main.62; Efron and Stein
    (1981), https://doi.org/10.1214/aos/1176345462, for the jackknife.
    """
    diagonal = np.arange(len(grid.gold))
    if not len(diagonal):
        nothing = dict.fromkeys(Emap.__dataclass_fields__)
        return Emap(**{**nothing, "n": 0, "invalid": grid.invalid})
    centred = _centred(grid.scores)
    own = shared_credit(centred[diagonal, diagonal], grid.gold)
    projected = shared_credit(additive(centred)[diagonal, diagonal], grid.gold)
    image, text, interaction = _jackknifed_shares(centred, grid.clusters)
    information = mutual_information_bits(softmax(grid.scores, axis=2))
    return Emap(
        accuracy=estimate(own, grid.clusters, SHARE),
        emap_accuracy=estimate(projected, grid.clusters, SHARE),
        accuracy_of_interaction=estimate(own - projected, grid.clusters, DIFFERENCE),
        image_share=image,
        text_share=text,
        interaction_share=interaction,
        information_bits=estimate(information, grid.clusters),
        n=len(diagonal),
        invalid=grid.invalid,
    )


def additive(centred: Float[np.ndarray, "I T K"]) -> Float[np.ndarray, "I T K"]:
    """The sum of an image and a question term that is closest in least squares."""
    image, text = centred.mean(axis=1, keepdims=True), centred.mean(axis=0, keepdims=True)
    return image + text - centred.mean(axis=(0, 1))


def variance_shares(centred: Float[np.ndarray, "I T K"]) -> Float[np.ndarray, " S"] | None:
    """Shares (S = 3) of image, text and their interaction in the variance; None without any."""
    grand = centred.mean(axis=(0, 1))
    parts = np.array(
        [
            ((centred.mean(axis=1) - grand) ** 2).sum(axis=1).mean(),
            ((centred.mean(axis=0) - grand) ** 2).sum(axis=1).mean(),
            ((centred - additive(centred)) ** 2).sum(axis=2).mean(),
        ]
    )
    return parts / parts.sum() if parts.sum() > 1e-18 else None  # rounding of equal logits


def _centred(scores: Float[np.ndarray, "I T K"]) -> Float[np.ndarray, "I T K"]:
    return scores - scores.mean(axis=2, keepdims=True)


def _jackknifed_shares(
    centred: Float[np.ndarray, "I T K"], clusters: Int[np.ndarray, " T"]
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    units, shares = np.unique(clusters), variance_shares(centred)
    without = []
    for unit in units if len(units) > 2 else ():
        kept = np.flatnonzero(clusters != unit)
        without.append(variance_shares(centred[np.ix_(kept, kept)]))
    if shares is None or not without or any(each is None for each in without):
        return None, None, None
    spread = np.stack(without)
    scale = (len(units) - 1) / len(units)
    errors = np.sqrt(scale * ((spread - spread.mean(axis=0)) ** 2).sum(axis=0))
    image, text, interaction = (
        coefficient(float(share), float(error), len(clusters), len(units))
        for share, error in zip(shares, errors, strict=True)
    )
    return image, text, interaction

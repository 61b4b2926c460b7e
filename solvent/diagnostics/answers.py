"""What a model answered to the same samples under several conditions: the input of every test.

Axes: N samples, K options of the sample that has most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from solvent.core.statistics import connected
from solvent.core.types import Prediction

SAME = 1e-6  # probability; a smaller difference is rounding
BLOCK = "block"  # key of what a condition showed: samples whose pictures stood in for each other
REPEATED = "repeated"  # key of what a condition showed: so many times the images, and more tokens
REFERENCE = "real"  # the condition whose samples, in their order, the others are paired with


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Candidates' log-probabilities of the same samples under every condition.

    Scores are natural logarithms, summed over an answer's tokens and not normalised over the
    options: -inf beyond a sample's options, NaN where a condition does not have the sample or the
    model failed on it.
    """

    uids: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    gold: Int[np.ndarray, " N"]  # index of the right option
    clusters: Int[np.ndarray, " N"]  # samples that share an image or another group are one
    tags: tuple[Mapping[str, str], ...]
    scores: Mapping[str, Float[np.ndarray, "N K"]]  # by condition
    shown: Mapping[str, tuple[Mapping[str, str], ...]]  # by condition: donor, asserted answer, ...
    image_tokens: Mapping[
        str, Int[np.ndarray, " N"]
    ]  # by condition; -1: unknown, or of repetitions

    @property
    def sizes(self) -> Int[np.ndarray, " N"]:
        """Number of options of every sample."""
        return np.array([len(options) for options in self.options])

    def __len__(self) -> int:
        return len(self.uids)

    def valid(self, *conditions: str) -> Bool[np.ndarray, " N"]:
        """Which samples have numbers under all of these conditions, and two options at least."""
        valid = self.sizes > 1
        for condition in conditions:
            scores = self.scores[condition]
            real = np.arange(scores.shape[1]) < self.sizes[:, None]
            bad = np.isnan(scores) | np.isposinf(scores)
            valid = valid & ~(bad & real).any(axis=1) & np.isfinite(scores).any(axis=1)
        return valid

    def log_probabilities(self, condition: str) -> Float[np.ndarray, "N K"]:
        """Natural logarithms of P(option | the answer is one of the options); -inf beyond them."""
        with np.errstate(invalid="ignore"):
            return log_softmax(self.scores[condition], axis=1)

    def probabilities(self, condition: str) -> Float[np.ndarray, "N K"]:
        """P(option | the answer is one of the options), in [0, 1]; 0 beyond a sample's options."""
        return np.exp(self.log_probabilities(condition))

    def validity_mass(self, condition: str) -> Float[np.ndarray, " N"]:
        """Probability that the answer is one of the options at all, in [0, 1]."""
        return np.exp(self.scores[condition]).sum(axis=1)

    def in_blocks(self, conditions: Iterable[str]) -> Answers:
        """The same with whole blocks as clusters, where these conditions showed the pictures of
        other samples of a block: then answers depend on each other inside of it.

        Cells whose donors came from all samples tell of no blocks, and keep their clusters; so does
        a model whose answers do not differ at all between pictures.
        """
        keys = [{"cluster": str(cluster)} for cluster in self.clusters]
        moved = False
        for name in conditions:
            blocks = [facts.get(BLOCK) for facts in self.shown.get(name, ())]
            for own, block in zip(keys, blocks, strict=False):
                if block is not None:
                    own[f"block of {name}"] = block
            moved = moved or (any(blocks) and self._differs(name))
        return replace(self, clusters=np.array(connected(keys))) if moved else self

    def _differs(self, condition: str) -> bool:
        """Whether any answer differs from that to the sample as it is, beyond rounding."""
        rows = self.valid(REFERENCE, condition)
        pair = (self.probabilities(name)[rows] for name in (REFERENCE, condition))
        return not np.allclose(*pair, rtol=0, atol=SAME)

    def take(self, rows: Bool[np.ndarray, " N"]) -> Answers:
        """The chosen samples only."""
        kept = np.flatnonzero(rows)
        pick = kept.tolist()
        return Answers(
            uids=tuple(self.uids[row] for row in pick),
            options=tuple(self.options[row] for row in pick),
            gold=self.gold[kept],
            clusters=self.clusters[kept],
            tags=tuple(self.tags[row] for row in pick),
            scores={name: scores[kept] for name, scores in self.scores.items()},
            shown={name: tuple(shown[row] for row in pick) for name, shown in self.shown.items()},
            image_tokens={name: counts[kept] for name, counts in self.image_tokens.items()},
        )


def collect(predictions: Mapping[str, Sequence[Prediction]]) -> Answers:
    """Pair the predictions of all conditions by sample, in the order of those of `real`.

    Raises `ValueError` when `real` is missing, a sample has no options, or a condition shows a
    sample that `real` does not have, or one with another number of image tokens: text would stand
    elsewhere, and answers move without any other content.
    """
    if REFERENCE not in predictions:
        raise ValueError(
            f"expected predictions under {REFERENCE!r}, with which all others are paired, found "
            f"{', '.join(sorted(predictions)) or 'none'}"
        )
    rows = predictions[REFERENCE]
    place = {row.uid: index for index, row in enumerate(rows)}
    if free := [row.uid for row in rows if not row.options]:
        raise ValueError(
            f"modality-usage tests need questions with options; {len(free)} have none, first "
            f"{free[0]}"
        )
    most = max(len(row.options) for row in rows)
    scores, shown, image_tokens = {}, {}, {}
    for condition, found in predictions.items():
        table = np.full((len(rows), most), np.nan)
        facts: list[Mapping[str, str]] = [{}] * len(rows)
        counts = np.full(len(rows), -1)
        for row in found:
            if row.uid not in place:
                raise ValueError(
                    f"{condition} shows {row.uid}, which {REFERENCE} does not have; delete the "
                    "cell's folder and run it again"
                )
            index = place[row.uid]
            facts[index] = row.shown or {}
            unknown = row.n_image_tokens is None or REPEATED in facts[index]
            counts[index] = -1 if unknown else row.n_image_tokens
            if row.scores is not None:
                table[index] = -np.inf
                table[index, : len(row.scores)] = [each.log_probability for each in row.scores]
        scores[condition], shown[condition] = table, tuple(facts)
        image_tokens[condition] = counts
    _check_image_tokens(image_tokens, list(place))
    return Answers(
        uids=tuple(place),
        options=tuple(row.options for row in rows),
        gold=np.array([row.gold for row in rows]),
        clusters=np.array(connected([row.groups for row in rows])),
        tags=tuple(row.tags for row in rows),
        scores=scores,
        shown=shown,
        image_tokens=image_tokens,
    )


def _check_image_tokens(counts: Mapping[str, Int[np.ndarray, " N"]], uids: Sequence[str]) -> None:
    real = counts[REFERENCE]
    for condition, found in counts.items():
        for row in np.flatnonzero((found > 0) & (real > 0) & (found != real))[:1]:
            raise ValueError(
                f"{condition} shows {uids[row]} in {found[row]} image tokens and {REFERENCE} in "
                f"{real[row]}: set model.min_pixels and model.max_pixels so that pictures of one "
                "size get one number of tokens"
            )

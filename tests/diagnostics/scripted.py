"""Models whose use of image and text is known, and what they answer in a world of 16 cells.

Image class a and text class b each take four values, all pairs equally often. A model is a rule
that turns what it sees of a and b into four logits, so that every reading of a test is known in
closed form. The cells are the whole population: each is repeated, every copy a cluster of its own,
only so that intervals are as narrow as verdicts need.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax, logsumexp

from solvent.diagnostics.answers import Answers

N9, N27 = np.log(9), np.log(27)  # softmax of (ln 9, 0, 0, 0) is (3/4, 1/12, 1/12, 1/12)
SEVERITIES = (10, 25, 50, 75, 100)  # percent of the image evidence that a perturbation takes away
REPEATS = 40

Logits = Float[np.ndarray, "N 4"]
Strength = float | None  # share of a modality's evidence that is there; None: the modality is not


def one(classes: np.ndarray, weight: float, strength: Strength) -> Logits:
    """Evidence for one class: weight x strength there, 0 elsewhere."""
    return weight * (strength or 0.0) * np.eye(4)[classes]


def uniform(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(a, 0.0, image)


def prior(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(b, N9, text)


def image_only(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(a, N9, image)


def additive(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(a, N27, image) + one(b, N9, text)


def equal(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(a, N9, image) + one(b, N9, text)


def synergy(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one((a + b) % 4, N9, 0.0 if image is None or text is None else image * text)


def noisy_presence(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    told = log_softmax(one(b, N9, text), axis=1)
    return told if image is None else logsumexp([told, np.full_like(told, np.log(1 / 4))], axis=0)


def presence_sharpening(a: np.ndarray, b: np.ndarray, image: Strength, text: Strength) -> Logits:
    return one(b, N9 if image is None else 2 * N9, text)


MODELS: dict[str, Callable[..., Logits]] = {
    "M0": uniform,
    "M1": prior,
    "M2": image_only,
    "M3": additive,
    "M3e": equal,
    "M4": synergy,
    "M5": noisy_presence,
    "M6": presence_sharpening,
}


def scripted(
    model: str,
    repeats: int = REPEATS,
    strengths: tuple[Strength, Strength] = (1, 1),
    spread: float = 0.0,
) -> Answers:
    """Answers of a model to all cells.

    The three other images stand under `swap`, `swap_2` and `swap_3` (also `swap_diff`: they have
    other right answers); reruns and placebos change nothing; mask, crop and colour leave a share of
    the image evidence, `blank`, `noise` and `shuffle` none; `knock` is blind; every text asserts b,
    so that `mislead` is the cell itself.

    Args:
        model: `M0` to `M6`.
        repeats: copies of every cell.
        strengths: of image and text evidence everywhere.
        spread: of the strengths over the copies of a cell, as a share of them.
    """
    a, b = np.array(list(product(range(4), repeat=2))).repeat(repeats, axis=0).T
    pictures, words = strengths
    sharpness = np.tile(1 + spread * np.linspace(-1, 1, repeats), 16)[:, None]

    def told(turn: int = 0, image: Strength = 1.0, text: Strength = 1.0) -> Logits:
        seen = None if image is None else image * pictures
        read = None if text is None else text * words
        return log_softmax(sharpness * MODELS[model]((a + turn) % 4, b, seen, read), axis=1)

    same = ("real", "rerun_1", "rerun_2", "rerun_3", "placebo_jpeg", "placebo_shift", "paraphrase")
    scores = dict.fromkeys((*same, "mislead", "mislead_after"), told())
    scores |= {"swap": told(1), "swap_2": told(2), "swap_3": told(3), "swap_diff": told(1)}
    scores |= dict.fromkeys(("text", "knock", "mislead_text"), told(image=None))
    scores |= dict.fromkeys(("blank", "noise", "shuffle"), told(image=0.0))
    scores |= {"image_only": told(text=None), "nothing": told(image=None, text=None)}
    for family, percent in product(("mask", "crop", "colour"), SEVERITIES):
        scores[f"{family}_{percent}"] = told(image=1 - percent / 100)
    asserted = tuple({"asserted": str(each)} for each in b)
    return Answers(
        uids=tuple(f"{model}/{row}" for row in range(len(a))),
        options=(("0", "1", "2", "3"),) * len(a),
        gold=(a + b) % 4 if model == "M4" else a,
        clusters=np.arange(len(a)),
        tags=tuple({"image": str(i), "text": str(j)} for i, j in zip(a, b, strict=True)),
        scores=scores,
        shown={name: asserted if name.startswith("mislead") else ({},) * len(a) for name in scores},
        image_tokens={
            name: np.full(len(a), 0 if name in ("text", "mislead_text", "nothing") else 16)
            for name in scores
        },
    )


def conflict(
    model: str, repeats: int = REPEATS, strengths: tuple[Strength, Strength] = (1, 1)
) -> Answers:
    """The cells whose text is wrong (a != b), as a test of misleading text sees them.

    `real` is the image with a text that asserts nothing (`image_only`), `mislead` the cell itself,
    `mislead_text` the text alone.
    """
    answers = scripted(model, repeats, strengths)
    kept = answers.take(np.array([tag["image"] != tag["text"] for tag in answers.tags]))
    reals = ("real", "rerun_1", "rerun_2", "rerun_3", "placebo_jpeg", "placebo_shift")
    scores = kept.scores | dict.fromkeys(reals, kept.scores["image_only"])
    return Answers(**{**vars(kept), "scores": scores})

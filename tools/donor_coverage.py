"""How often intervals of D and J cover the truth, by where donors come from.

python -m tools.donor_coverage            # prints the table of docs/statistics.md; some minutes
python -m tools.donor_coverage --runs 200 # less exact

Every picture speaks for one of four options with a strength of its own, and every question prefers
some; what is answered to a picture is the softmax of both. D is the mean divergence between the
answers to a question's own picture and to its four donors, J what an answer tells about which of
the five it was. The strengths are equal, or vary, or few are strong. What is judged is what a user
gets: donors as the conditions give them, and the interval of `estimate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import softmax

from solvent.core.intervals import SHARE
from solvent.core.types import Box, Condition, Sample
from solvent.diagnostics.answers import BLOCK
from solvent.diagnostics.conditions import BlockSwap, Swap
from solvent.diagnostics.statistics.distances import jensen_shannon_bits, mutual_information_bits
from solvent.diagnostics.statistics.estimates import estimate

OPTIONS, SHIFTS = 4, (1, 2, 3, 4)
STRENGTHS = ("equal", "varying", "few strong")
PREFERENCE = 1.0  # nats, standard deviation of what a question prefers without any picture
TRUTH, PART = 400_000, 5_000  # questions that the truth is taken over, and how many at once
TABLE = (100, 250, 500)


@dataclass(frozen=True)
class Dummy:
    """A picture that nobody looks at."""

    identity: str
    regions: tuple[Box, ...] = ()

    @property
    def content(self) -> str:
        return self.identity

    def load(self) -> Image.Image:
        return Image.new("RGB", (8, 8))


@dataclass(frozen=True)
class Donors:
    """The pictures that every question is asked about, its own first, and its cluster."""

    pictures: Int[np.ndarray, "N M"]
    clusters: Int[np.ndarray, " N"]


def donors(questions: int, blocks: bool) -> Donors:
    """As the conditions give them: in blocks of five, or from one cycle through all."""
    names = [f"{number:06}" for number in range(questions)]
    samples = [
        Sample(uid=name, images=(Dummy(name),), text="", options=("a", "b"), gold=0)
        for name in names
    ]
    shown = [_condition(shift, blocks).views(samples) for shift in SHIFTS]
    pictures = [[int(view.shown["donor"]) for view in views] for views in shown]
    clusters = [view.shown.get(BLOCK, view.uid) for view in shown[0]]
    return Donors(
        pictures=np.array([range(questions), *pictures]).T,
        clusters=np.unique(clusters, return_inverse=True)[1],
    )


def _condition(shift: int, blocks: bool) -> Condition:
    if blocks:
        return BlockSwap(name="swap", stratum=None, seed=0, shift=shift, block=5)
    return Swap(name="swap", stratum=None, seed=0, shift=shift, gold="any")


def measured(
    pictures: Int[np.ndarray, "N M"], strength: str, random: np.random.Generator
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """D and J of every question, for a new draw of pictures and questions."""
    count = len(pictures)
    spoken = (
        _strengths(strength, count, random)[:, None]
        * np.eye(OPTIONS)[random.integers(OPTIONS, size=count)]
    )
    preferred = PREFERENCE * random.normal(size=(count, OPTIONS))
    answers = softmax(spoken[pictures.T] + preferred, axis=-1)
    apart = [jensen_shannon_bits(answers[0], other) for other in answers[1:]]
    return np.mean(apart, axis=0), mutual_information_bits(answers)


def _strengths(kind: str, count: int, random: np.random.Generator) -> Float[np.ndarray, " N"]:
    """In nats."""
    if kind == "equal":
        return np.full(count, 2.0)
    if kind == "varying":
        return random.gamma(1.0, 2.0, count)
    return np.where(random.random(count) < 0.1, 6.0, 0.3)


def truth(strength: str) -> tuple[float, float]:
    """D and J over many questions."""
    drawn = donors(PART, blocks=True).pictures
    parts = [
        measured(drawn, strength, np.random.default_rng((seed, 1))) for seed in range(TRUTH // PART)
    ]
    d, j = (float(np.mean([part[which] for part in parts])) for which in (0, 1))
    return d, j


def coverage(
    drawn: Donors, strength: str, known: Sequence[float], runs: int
) -> tuple[float, float]:
    """Share of nominal 95 % intervals with the true D, and J, in them."""
    bounds = (SHARE, (0.0, float(np.log2(OPTIONS))))
    hits = np.zeros((runs, 2))
    for run in range(runs):
        values = measured(drawn.pictures, strength, np.random.default_rng((run, 7)))
        for which in (0, 1):
            found = estimate(values[which], drawn.clusters, bounds[which])
            if found is not None and found.low is not None and found.high is not None:
                hits[run, which] = found.low <= known[which] <= found.high
    d, j = hits.mean(axis=0)
    return float(d), float(j)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=2000, help="per number (default 2,000)")
    given = parser.parse_args()
    table = Table("strengths", "images", "D, cycle", "J, cycle", "D, blocks", "J, blocks")
    for strength in track(STRENGTHS, transient=True):
        known = truth(strength)
        for images in TABLE:
            found = [
                coverage(donors(images, blocks), strength, known, given.runs)
                for blocks in (False, True)
            ]
            table.add_row(
                strength, str(images), *(f"{100 * share:.1f}" for pair in found for share in pair)
            )
    Console().print(table)


if __name__ == "__main__":
    main()

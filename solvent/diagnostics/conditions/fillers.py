"""Names of the conditions with filler text, and what an answer loses by it.

Axes: N samples, T lengths of the filler (0, which is the sample as it is, first).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.conditions.composed import JOINT
from solvent.diagnostics.statistics.distances import jensen_shannon_bits, top_set
from solvent.diagnostics.stored_shares import ANSWER, FILLER, IMAGE, Shares

OTHERS = ("swap", "knock", "text")  # what the picture's influence is told by


@dataclass(frozen=True, kw_only=True)
class FillerCase:
    """Where filler text stands, how long it is, and which of several texts it is."""

    place: str
    words: int  # 0: none
    draw: int  # from 1

    @property
    def name(self) -> str:
        """Of its condition."""
        if not self.words:
            return REFERENCE
        return f"filler_{self.place}_{self.words}" + (f"_{self.draw}" if self.draw > 1 else "")

    def under(self, other: str) -> str:
        """Name of another condition with this filler: `swap+filler_after_64`."""
        return JOINT.join((other, self.name)) if self.words else other

    def informed(self, statement: str) -> str:
        """Name of the text without the image that says the right answer where the image stood."""
        if not self.words:
            return JOINT.join(("text", statement))
        parts = (statement, self.name) if self.place == "before_image" else (self.name, statement)
        return JOINT.join(("text", *parts))

    @property
    def needed(self) -> tuple[str, ...]:
        """All conditions that say what the picture does beside this filler."""
        return (self.name, *map(self.under, OTHERS))


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """What happens to every sample as the filler grows; means over draws, NaN where unknown."""

    place: str
    words: tuple[int, ...]
    mass: Float[np.ndarray, "N T"]  # of the image, answer's row, mean over layers and heads
    uniform: Float[np.ndarray, "N T"]  # the same under equal weights
    filler: Float[np.ndarray, "N T"]  # as `mass`, of the filler; NaN where nobody told it apart
    filler_uniform: Float[np.ndarray, "N T"]
    dependency: Float[np.ndarray, "N T"]  # J = JSD(real, swap), in bits
    effect: Float[np.ndarray, "N T"]  # E = JSD(real, knock), in bits
    gain: Float[np.ndarray, "N T"]  # LG = log2 P(gold | real) - log2 P(gold | text), in bits
    right: Float[np.ndarray, "N T"]  # whether the likeliest option is right; ties count in part
    text_right: Float[np.ndarray, "N T"]  # the same without the image
    text_gold: Float[np.ndarray, "N T"]  # P(gold | text)
    told_right: Float[np.ndarray, "N T"]  # as `text_right`, of a text that says the right answer

    @property
    def visible(self) -> Float[np.ndarray, "N T"]:
        """Visible tokens per image token."""
        return 1.0 / np.where(self.uniform > 0, self.uniform, np.nan)

    @property
    def lift(self) -> Float[np.ndarray, "N T"]:
        """Mass / mass under equal weights."""
        return self.mass * self.visible

    @property
    def crowding(self) -> Float[np.ndarray, "N T"]:
        """ln(other visible tokens / image tokens)."""
        with np.errstate(divide="ignore"):
            return -_logit(self.uniform)

    @property
    def log_odds(self) -> Float[np.ndarray, "N T"]:
        """ln(m / (1 - m)) of the image's mass m, in nats."""
        with np.errstate(divide="ignore"):
            return _logit(self.mass)

    @property
    def doublings(self) -> Float[np.ndarray, "N T"]:
        """log2(1 + words), the same for every sample."""
        return np.broadcast_to(np.log2(1.0 + np.array(self.words)), self.mass.shape)


def curve(
    answers: Answers,
    shares: Mapping[str, Shares],
    place: str,
    words: Sequence[int],
    draws: int,
    statement: str | None,
) -> Curve:
    """The curve of one place.

    Args:
        shares: of the conditions with the sample's own image.
        statement: condition that says the right answer; None: it was not shown.
    """
    lengths = (0, *words)
    texts = [
        [
            FillerCase(place=place, words=length, draw=draw)
            for draw in range(1, 1 + (draws if length else 1))
        ]
        for length in lengths
    ]

    def over(measure: Callable[[FillerCase], Float[np.ndarray, " N"]]) -> Float[np.ndarray, "N T"]:
        return np.stack([np.mean([measure(one) for one in some], axis=0) for some in texts], axis=1)

    return Curve(
        place=place,
        words=lengths,
        mass=over(lambda one: _attended(answers, shares, one.name, IMAGE)[0]),
        uniform=over(lambda one: _attended(answers, shares, one.name, IMAGE)[1]),
        filler=over(lambda one: _on_filler(answers, shares, one)[0]),
        filler_uniform=over(lambda one: _on_filler(answers, shares, one)[1]),
        dependency=over(partial(_distance, answers, other="swap")),
        effect=over(partial(_distance, answers, other="knock")),
        gain=over(
            lambda one: _gold(answers, one.name) - _gold(answers, one.under("text")),
        ),
        right=over(lambda one: _right(answers, one.name)),
        text_right=over(lambda one: _right(answers, one.under("text"))),
        text_gold=over(lambda one: np.exp2(_gold(answers, one.under("text")))),
        told_right=np.full((len(answers), len(lengths)), np.nan)
        if statement is None
        else over(lambda one: _right(answers, one.informed(statement))),
    )


def _on_filler(
    answers: Answers, shares: Mapping[str, Shares], one: FillerCase
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """As `_attended`; 0 where there is no filler."""
    if not one.words:
        return np.zeros(len(answers)), np.zeros(len(answers))
    return _attended(answers, shares, one.name, FILLER)


def _attended(
    answers: Answers, shares: Mapping[str, Shares], name: str, group: int
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Mass on a group and its share of the visible tokens, over layers and heads."""
    if name not in shares or group >= shares[name].mass.shape[-1]:
        nothing = np.full(len(answers), np.nan)
        return nothing, nothing
    found = shares[name].at(answers.uids)
    mass, uniform = found.mass[..., ANSWER, group], found.uniform[..., ANSWER, group]
    layers = ~np.isnan(found.uniform[..., ANSWER, IMAGE]).all(axis=0)  # that have attention
    mass, uniform = mass[:, layers], uniform[:, layers]
    return mass.mean(axis=(1, 2), dtype=float), uniform.mean(axis=1, dtype=float)


def _distance(answers: Answers, one: FillerCase, other: str) -> Float[np.ndarray, " N"]:
    pair = (one.name, one.under(other))
    bits = jensen_shannon_bits(*(answers.probabilities(name) for name in pair))
    return np.where(answers.valid(*pair), bits, np.nan)


def _gold(answers: Answers, name: str) -> Float[np.ndarray, " N"]:
    """log2 P(gold), NaN for invalid samples."""
    found = answers.log_probabilities(name)[np.arange(len(answers)), answers.gold] / np.log(2)
    return np.where(answers.valid(name), found, np.nan)


def _right(answers: Answers, name: str) -> Float[np.ndarray, " N"]:
    top = top_set(answers.log_probabilities(name))
    share = top[np.arange(len(answers)), answers.gold] / np.maximum(top.sum(axis=1), 1)
    return np.where(answers.valid(name), share, np.nan)


def _logit(share: Float[np.ndarray, "N T"]) -> Float[np.ndarray, "N T"]:
    return np.log(share) - np.log1p(-share)

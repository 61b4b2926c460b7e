"""A sentence beside the question: one that asserts an answer, right or wrong, or says nothing.

The benchmark's own words are taken where `Sample.meta["statement"]` has a template for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from solvent.core.types import Sample
from solvent.diagnostics.conditions.filler import SENTENCES
from solvent.diagnostics.conditions.keys import (
    generator,
    options_show_images,
    question_key,
    without_images,
)

ANSWER = "{answer}"  # in templates
SIDES = ("before", "after")


@dataclass(frozen=True, kw_only=True)
class Mislead:
    """The question with a sentence that asserts a wrong answer, c_t.

    c_t is drawn by seed, question and wording: it is the same for every variant of this condition
    and for every order of the options. Questions without a wrong option, and those whose options
    are images, are left out. `shown["asserted"]` is the index of c_t, `shown["dose"]` the number of
    assertions and `shown["side"]` their place.

    Raises:
        ValueError: `template` has no {answer}, `place` is unknown, or `times` is below 1.
    """

    name: str
    template: str  # sentence with {answer}
    place: Literal["before", "after"]  # the question's wording; options that are listed come last
    times: int  # the sentence is said so often
    image: bool  # False: without the image
    seed: int

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check(self.name, self.template, self.place)
        if self.times < 1:
            raise ValueError(f"{self.name}: times must be at least 1, got {self.times}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample that has a wrong option, with the sentence."""
        views = []
        for sample in samples:
            wrong = wrong_option(sample, self.seed)
            if wrong is None or options_show_images(sample):
                continue
            shown = sample if self.image else without_images(sample)
            said = " ".join([_asserted(sample, self.template, wrong)] * self.times)
            facts = {"asserted": str(wrong), "dose": str(self.times), "side": self.place}
            views.append(_beside(shown, said, self.place, facts))
        return views


@dataclass(frozen=True, kw_only=True)
class Congruent:
    """The question with a sentence that asserts the right answer, c_i: a control of `Mislead`.

    Raises:
        ValueError: `template` has no {answer}, or `place` is unknown.
    """

    name: str
    template: str  # sentence with {answer}
    place: Literal["before", "after"]  # the question's wording

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check(self.name, self.template, self.place)

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample whose right answer is an option in words, with the sentence."""
        return [
            _beside(
                sample,
                _asserted(sample, self.template, sample.gold),
                self.place,
                {"asserted": str(sample.gold), "side": self.place},
            )
            for sample in samples
            if isinstance(sample.gold, int) and not options_show_images(sample)
        ]


@dataclass(frozen=True, kw_only=True)
class Irrelevant:
    """The question with a sentence about something else: a control of `Mislead`.

    The sentence has about as many words as the one that asserts the right answer.

    Raises:
        ValueError: `template` has no {answer}, or `place` is unknown.
    """

    name: str
    template: str  # sentence with {answer}, whose length is matched
    place: Literal["before", "after"]  # the question's wording
    seed: int  # of the choice among sentences, together with the question

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check(self.name, self.template, self.place)

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample for which the assertion exists, with the other sentence."""
        return [
            _beside(sample, self._sentence(sample), self.place, {"side": self.place})
            for sample in samples
            if isinstance(sample.gold, int) and not options_show_images(sample)
        ]

    def _sentence(self, sample: Sample) -> str:
        wanted = len(_asserted(sample, self.template, sample.gold).split())
        distance = {each: abs(len(each.split()) - wanted) for each in SENTENCES}
        nearest = [each for each in SENTENCES if distance[each] == min(distance.values())]
        random = generator("irrelevant", self.seed, question_key(sample))
        return nearest[random.integers(len(nearest))]


def wrong_option(sample: Sample, seed: int) -> int | None:
    """Index of a wrong option: a draw that does not depend on the order of the options.

    None where the answer is free or every option reads like the right one.
    """
    if not isinstance(sample.gold, int):
        return None
    right = sample.options[sample.gold]
    wrong = [index for index, option in enumerate(sample.options) if option != right]
    return min(wrong, key=lambda index: _draw(seed, sample, index), default=None)


def _draw(seed: int, sample: Sample, option: int) -> bytes:
    name = f"{seed}/{question_key(sample)}/{sample.options[option]}"
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def _asserted(sample: Sample, template: str, option: int) -> str:
    """The sentence, in the benchmark's own words where it has some."""
    return sample.meta.get("statement", template).replace(ANSWER, sample.options[option])


def _beside(sample: Sample, said: str, place: str, facts: dict[str, str]) -> Sample:
    text = f"{said} {sample.text}" if place == "before" else f"{sample.text} {said}"
    return replace(sample, text=text, shown={**sample.shown, **facts})


def _check(name: str, template: str, place: str) -> None:
    if ANSWER not in template:
        raise ValueError(f"{name}: the template must contain {ANSWER}, got {template!r}")
    if place not in SIDES:
        raise ValueError(f"{name}: place must be before or after, got {place!r}")

"""Plain sentences about something else: how attention to the image fares as the text grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import ClassVar, Literal

from solvent.core.image_places import image_place, mentioned_images
from solvent.core.types import Sample
from solvent.diagnostics.answers import REPEATED
from solvent.diagnostics.conditions.keys import generator

PLACES = ("before_image", "between", "after")
SENTENCES = (  # short words: a small vocabulary spells every other word letter by letter
    "It was late in the day.",
    "The shop opens at nine.",
    "We had tea and then we sat down.",
    "He went home on the last bus of the day.",
    "The rain came and went.",
    "She has read the letter three times.",
    "The train to the coast was late again.",
    "They met at the station in the morning.",
    "My sister plays the piano after lunch.",
    "The lesson starts at ten and ends at noon.",
    "He lost his keys on the way to work.",
    "The soup needs a little more salt.",
    "Nobody had seen the film that they talked about last week.",
    "The bread was still warm when the guests came to the house.",
    "It took her four days to write the long letter to her old friend.",
    "In the end the meeting was put off until the first week of the next month.",
)


@dataclass(frozen=True, kw_only=True)
class Filler:
    """The question with an exact number of words that have nothing to do with it.

    `Sample.filler` keeps them, so that attention to them is told from that to the question.
    Sentences of a fixed list in an order drawn by `draw`, over and over; the last one is cut. Every
    sample has the same text, and a longer filler begins like a shorter one. Where a text says
    itself where its images stand, nothing stands between image and question: such samples are left
    out of `between`.

    Raises:
        ValueError: `words` is negative or `place` is unknown.
    """

    name: str
    words: int  # 0 changes nothing
    place: Literal["before_image", "between", "after"]  # between image and question; after them
    draw: int  # another number, another order of sentences

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(
                f"{self.name}: place must be one of {', '.join(PLACES)}, got {self.place!r}"
            )
        if self.words < 0:
            raise ValueError(f"{self.name}: words must be 0 or above, got {self.words}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with the filler."""
        if self.words == 0:
            return list(samples)
        filler = self.text()
        told = [replace(sample, filler=(*sample.filler, filler)) for sample in samples]
        if self.place == "before_image":
            return [_before_images(sample, filler) for sample in told]
        if self.place == "after":
            return [replace(sample, text=f"{sample.text} {filler}") for sample in told]
        return [_opened(sample, f"{filler} ") for sample in told if not _mentioned(sample)]

    def text(self) -> str:
        """The filler alone."""
        order = generator("filler", self.draw).permutation(len(SENTENCES))
        words = [word for index in order for word in SENTENCES[index].split()]
        return " ".join(islice(cycle(words), self.words)).rstrip(".") + "."


@dataclass(frozen=True, kw_only=True)
class RepeatedImage:
    """All images of the question several times, one showing after the other.

    A control of `Filler`: the prompt grows as it does with text, and nothing but the image is in
    it. Where a text says itself where its images stand, none can be added: such samples are left
    out. `shown["repeated"]` says how often they are shown.

    Raises:
        ValueError: `times` is below 1.
    """

    name: str
    times: int  # 1 changes nothing

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"{self.name}: times must be at least 1, got {self.times}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample whose images can be shown again."""
        return [
            replace(
                sample,
                images=sample.images * self.times,
                shown={**sample.shown, REPEATED: str(self.times)},
            )
            for sample in samples
            if sample.images and not _mentioned(sample)
        ]


def _before_images(sample: Sample, filler: str) -> Sample:
    """The filler and then the images that the text does not place itself, in their order."""
    mentioned = _mentioned(sample)
    numbers = range(1, len(sample.images) + 1)
    leading = "".join(image_place(number) for number in numbers if number not in mentioned)
    return _opened(sample, f"{filler} {leading}")


def _opened(sample: Sample, opening: str) -> Sample:
    """The sample whose first text, its context or its question, begins with `opening`."""
    if sample.context is not None:
        return replace(sample, context=f"{opening}{sample.context}")
    return replace(sample, text=f"{opening}{sample.text}")


def _mentioned(sample: Sample) -> set[int]:
    """Numbers of the images that the sample's texts mention."""
    texts = (sample.context or "", sample.text, *sample.options)
    return {number for text in texts for number in mentioned_images(text)}

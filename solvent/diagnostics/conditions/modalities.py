"""Which inputs are there: both, the picture alone, the text alone, neither; or both, asked again.

`Told` says beside the question what is there, and `Caption` puts words in the picture's place.

"Without the image" can mean three things, and they answer different questions: `Text` removes it
(positions shift, the prompt is unusual for the model), `Blank` removes its content, `Knock` cuts
the flow from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from solvent.core.types import Sample
from solvent.diagnostics.conditions.keys import (
    generator,
    options_show_images,
    question_key,
    without_images,
)

CAPTION = "{caption}"  # in templates


@dataclass(frozen=True, kw_only=True)
class Real:
    """The sample as it is."""

    name: ClassVar[str] = "real"
    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The same samples."""
        return list(samples)


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """Some of the samples as they are, once more: how much answers move by themselves.

    Four fifths of them are the same under every number, so that their answers can be compared among
    all reruns however many samples there are. The others differ, and at least a fifth of the
    questions is missing, so that those that stay meet other neighbours, places in the batch and
    paddings. All rotations of a question stay together.

    Raises:
        ValueError: `at_most` is below 1.
    """

    name: str
    repeat: int  # another number, other samples beside the common ones
    at_most: int  # samples

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.at_most < 1:
            raise ValueError(f"{self.name}: at_most must be at least 1 sample, got {self.at_most}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The chosen samples, unchanged, in their order."""
        limit = min(self.at_most, len(samples) - len(samples) // 5)
        sizes = Counter(question_key(sample) for sample in samples)
        questions = sorted(sizes)
        generator("rerun").shuffle(questions)
        common = _within(limit - limit // 5, questions, sizes)
        others = [question for question in questions if question not in common]
        generator("rerun", self.repeat).shuffle(others)
        left = limit - sum(sizes[question] for question in common)
        chosen = common | _within(left, others, sizes)
        return [sample for sample in samples if question_key(sample) in chosen]


def _within(limit: int, questions: Sequence[str], sizes: Mapping[str, int]) -> set[str]:
    """The first questions that together have so many samples at most."""
    chosen, count = set(), 0
    for question in questions:
        if count + sizes[question] <= limit:
            chosen.add(question)
            count += sizes[question]
    return chosen


@dataclass(frozen=True, kw_only=True)
class Text:
    """The question without any image: no placeholder, no image token.

    Questions whose options are images do not exist without them and are left out.
    """

    name: ClassVar[str] = "text"
    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample without its images."""
        return [without_images(sample) for sample in samples if not options_show_images(sample)]


@dataclass(frozen=True, kw_only=True)
class Knock:
    """The sample as it is, to a model whose text cannot attend to the image."""

    name: str
    intervention: Any  # the knockout: every row after the image, in all layers

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The same samples."""
        return list(samples)


@dataclass(frozen=True, kw_only=True)
class Intervened:
    """The sample as it is, to a model under an intervention of the condition's own."""

    name: str
    intervention: Any  # in the place of the cell's

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The same samples."""
        return list(samples)


@dataclass(frozen=True, kw_only=True)
class ImageOnly:
    """The image and the options, with a neutral instruction in the place of the question."""

    name: str
    instruction: str

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with the instruction; its context goes with its question."""
        return [replace(sample, text=self.instruction, context=None) for sample in samples]


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """The options alone, with a neutral instruction: neither image nor question."""

    name: str
    instruction: str

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with the instruction and without its images."""
        return [
            replace(without_images(sample), text=self.instruction, context=None)
            for sample in samples
            if not options_show_images(sample)
        ]


@dataclass(frozen=True, kw_only=True)
class Told:
    """The question behind an instruction: that there is no image and one must guess, say.

    Without the image, questions whose options are images do not exist and are left out.
    """

    name: str
    instruction: str  # in front of the question
    image: bool  # False: without the image

    intervention: ClassVar[None] = None

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample with the instruction."""
        there = [each for each in samples if self.image or not options_show_images(each)]
        shown = there if self.image else [without_images(sample) for sample in there]
        return [replace(view, text=f"{self.instruction} {view.text}") for view in shown]


@dataclass(frozen=True, kw_only=True)
class Caption:
    """The question with words about its image in the place of the image.

    They are what `Sample.meta` holds under `column`, a text; samples without one are left out, and
    so are questions whose options are images.

    Raises:
        ValueError: `template` has no {caption}, or no sample has that column.
    """

    name: str
    column: str  # of the sample's meta
    template: str  # with {caption}, in front of the question

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if CAPTION not in self.template:
            raise ValueError(
                f"{self.name}: the template must contain {CAPTION}, got {self.template!r}"
            )

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample whose image has a caption, with the caption."""
        if samples and not any(self.column in sample.meta for sample in samples):
            raise ValueError(
                f"{self.name}: no sample has words about its image under {self.column!r} of its "
                f"meta; write meta: {{{self.column}: {{from: COLUMN}}}} in the benchmark's YAML"
            )
        views = []
        for sample in samples:
            caption = sample.meta.get(self.column)
            if caption and not options_show_images(sample):
                view = without_images(sample)
                said = self.template.replace(CAPTION, str(caption))
                views.append(replace(view, text=f"{said} {view.text}"))
        return views

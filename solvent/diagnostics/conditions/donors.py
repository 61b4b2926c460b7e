"""The question with the pictures of another sample, its donor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import ClassVar, Literal

from PIL import Image

from solvent.core.types import Box, LazyImage, Sample, in_words

GOLD = ("any", "same", "different")


@dataclass(frozen=True, kw_only=True)
class Swap:
    """The question with the pictures of another sample of the same stratum.

    Donors follow one seeded cycle per stratum: no sample keeps any of its own pictures, and every
    picture is used as often as before (with `gold: different`, as evenly as the numbers of right
    answers allow). Samples that show the same pictures count once and get the same donor. A donor
    has as many pictures as its recipient, and they are resized to the recipient's, so that both
    fill the same number of image tokens.

    Samples without a fitting donor are left out; `shown["donor"]` is the donor's uid.

    With `gold: different` and `stratum: text`, the donor answers the same question otherwise: what
    it shows contradicts the recipient's right answer.

    Raises:
        ValueError: `gold` is unknown, or `shift` is below 1.
    """

    name: str
    stratum: str | None  # tag, group kind or `text` that donor and recipient share; None = nothing
    seed: int  # of the cycle
    shift: int  # 1: the next pictures of the cycle; 2: those after them; ...
    gold: Literal["any", "same", "different"]  # right answer of the donor beside the recipient's

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.gold not in GOLD:
            raise ValueError(f"{self.name}: gold must be any, same or different, got {self.gold!r}")
        if self.shift < 1:
            raise ValueError(f"{self.name}: shift must be at least 1, got {self.shift}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample that has a donor, with the donor's pictures.

        Raises `ValueError` when any right answer would do and still no sample has a donor.
        """
        strata: dict[tuple[object, ...], dict[str, list[Sample]]] = defaultdict(dict)
        for sample in samples:
            label = in_words(sample.gold, sample.options) if self.gold == "different" else ""
            strata[self._stratum(sample)].setdefault(str(label), []).append(sample)
        donors: dict[str, Sample] = {}
        for stratum, by_label in strata.items():
            donors |= self._donors(stratum, by_label)
        if samples and not donors and self.gold == "any":
            raise without_donors(self.name, self.shift, self.stratum, samples)
        return [_seeing(s, donors[s.uid]) for s in samples if s.uid in donors]

    def _stratum(self, sample: Sample) -> tuple[object, ...]:
        """What donor and recipient share; samples without the tag form a stratum of their own."""
        if self.stratum == "text":
            value = sample.text
        else:
            value = {**sample.groups, **sample.tags}.get(self.stratum or "", "")
        answer = in_words(sample.gold, sample.options) if self.gold == "same" else ""
        return value, len(sample.images), answer

    def _donors(
        self, stratum: tuple[object, ...], by_label: dict[str, list[Sample]]
    ) -> dict[str, Sample]:
        """Donors of one stratum's samples, by uid."""
        cycles: dict[str, list[tuple[str, ...]]] = {}
        owners: dict[tuple[str, tuple[str, ...]], list[Sample]] = defaultdict(list)
        labels = sorted(by_label)
        for label in labels:
            for sample in by_label[label]:
                owners[label, _pictures(sample)].append(sample)
            cycles[label] = sorted({pictures for name, pictures in owners if name == label})
            Random(f"{self.seed}/{stratum}/{label}").shuffle(cycles[label])
        Random(f"{self.seed}/{stratum}").shuffle(labels)
        found = {}
        for label, cycle in cycles.items():
            for place, own in enumerate(cycle):
                candidates = (
                    _among_others(labels, cycles, label, place)
                    if self.gold == "different"
                    else ((label, each) for each in _after(cycle, place))
                )
                fitting = (each for each in candidates if not set(own) & set(each[1]))
                donor = next(islice(fitting, self.shift - 1, None), None)
                if donor is not None:
                    found |= {sample.uid: owners[donor][0] for sample in owners[label, own]}
        return found


def without_donors(
    name: str, shift: int, stratum: str | None, samples: Sequence[Sample]
) -> ValueError:
    """Why no sample can be shown the pictures of another, and what helps."""
    shown = {_pictures(sample) for sample in samples if sample.images}
    if not shown:
        return ValueError(
            f"{name} shows the pictures of another question, and none of {len(samples):,} "
            "questions has a picture"
        )
    enough = stratum and len(shown) > shift
    helps = f", or set stratum: null of {name} in conf/conditions.yaml" if enough else ""
    return ValueError(
        f"{name} needs at least {shift + 1} different pictures among samples that share "
        f"{stratum or 'the number of pictures'}, which these do not have ({len(samples):,} "
        f"questions, {len(shown):,} different pictures in all): ask more questions{helps}"
    )


@dataclass(frozen=True, kw_only=True)
class _Resized:
    """A picture in the size of another one; itself where the sizes are equal."""

    original: LazyImage
    like: LazyImage

    @property
    def identity(self) -> str:
        return f"{self.original.identity} in the size of {self.like.identity}"

    @property
    def regions(self) -> tuple[Box, ...]:
        return self.original.regions

    def load(self) -> Image.Image:
        picture, size = self.original.load(), self.like.load().size
        return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def _seeing(sample: Sample, donor: Sample) -> Sample:
    images = zip(donor.images, sample.images, strict=True)
    return replace(
        sample,
        images=tuple(_Resized(original=theirs, like=own) for theirs, own in images),
        shown={**sample.shown, "donor": donor.uid},
    )


def _after(cycle: Sequence[tuple[str, ...]], place: int) -> Iterator[tuple[str, ...]]:
    """The others of a cycle, from the next one on."""
    return (cycle[(place + step) % len(cycle)] for step in range(1, len(cycle)))


def _among_others(
    labels: Sequence[str],
    cycles: dict[str, list[tuple[str, ...]]],
    label: str,
    place: int,
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pictures of all other labels, in turns; of labels of equal size, every picture comes first
    for exactly one recipient.
    """
    start = labels.index(label)
    others = [*labels[start + 1 :], *labels[:start]]
    for step in range(max((len(cycles[other]) for other in others), default=0)):
        for turn in range(len(others)):
            other = others[(place + turn) % len(others)]
            if step < len(cycles[other]):
                yield other, cycles[other][(place + step) % len(cycles[other])]


def _pictures(sample: Sample) -> tuple[str, ...]:
    return tuple(image.identity for image in sample.images)

"""The question with the pictures of another sample of its block."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

from solvent.core.types import Sample
from solvent.diagnostics.answers import BLOCK
from solvent.diagnostics.conditions.donors import Swap, without_donors
from solvent.diagnostics.conditions.swapping.donor_pictures import Fitted
from solvent.diagnostics.conditions.swapping.partition import Place, Unit, blocks

Owners = dict[tuple[str, ...], Sample]  # one sample for each of the pictures of a place


@dataclass(frozen=True, kw_only=True)
class BlockSwap:
    """The question with the pictures of another sample of the same stratum and block.

    Blocks hold `block` independent images (units of samples that share one), so that with five of
    them `shift` 1 to 4 show every picture of the block once beside every question. Samples depend
    on each other inside a block and nowhere else: `shown["block"]` names it, and what is averaged
    over swaps has blocks for clusters. Donors drawn from all samples would make all of them
    dependent: a nominal 95 % interval then covers the mean divergence to four donors in 72 to
    81 % (`python -m tools.donor_coverage`).

    Blocks are made of pictures of similar shapes, as far as there are enough. A donor's picture is
    never stretched: its middle in the shape of the recipient's is resized, so that both fill the
    same number of image tokens; `shown["fit"]` says what was done, `shown["donor"]` is the donor's
    uid. Samples that show the same pictures get the same donor, of as many pictures. Those without
    a fitting donor in their block are left out.

    Raises:
        ValueError: `shift` is below 1, or `block` below 2.
    """

    name: str
    stratum: str | None  # tag, group kind or `text` that donor and recipient share; None = nothing
    seed: int  # of the blocks
    shift: int  # 1: the next image of the block; 2: the one after it; ...
    block: int  # images

    intervention: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.shift < 1:
            raise ValueError(f"{self.name}: shift must be at least 1, got {self.shift}")
        if self.block < 2:
            raise ValueError(f"{self.name}: block must be at least 2 images, got {self.block}")

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample that has a donor, with the donor's pictures.

        Raises `ValueError` when no sample has a donor.
        """
        shown: dict[str, Sample] = {}
        for block in blocks(samples, self._stratum, self.seed, self.block):
            for number in range(len(block)):
                shown |= self._unit(block, number)
        if samples and not shown:
            raise without_donors(self.name, self.shift, self.stratum, samples)
        return [shown[sample.uid] for sample in samples if sample.uid in shown]

    def _stratum(self, sample: Sample) -> Hashable:
        """Samples without the tag form a stratum of their own."""
        if self.stratum == "text":
            return sample.text
        return {**sample.groups, **sample.tags}.get(self.stratum or "", "")

    def _unit(self, block: Sequence[Unit], number: int) -> dict[str, Sample]:
        """Samples of one unit of a block with pictures of others, by uid."""
        unit, found = block[number], {}
        others = [*block[number + 1 :], *block[:number]]
        for place in unit.places:
            own = self._owners(unit, place)
            theirs = [self._owners(other, place) for other in others]
            for turn, pictures in enumerate(own):
                candidates = _candidates(theirs, own, turn)
                fitting = (each for each in candidates if not set(pictures) & set(_named(each)))
                donor = next(islice(fitting, self.shift - 1, None), None)
                if donor is not None:
                    found |= {
                        sample.uid: _seeing(sample, donor, {BLOCK: block[0].name})
                        for sample in unit.samples
                        if _named(sample) == pictures and self._place(sample) == place
                    }
        return found

    def _owners(self, unit: Unit, place: Place) -> Owners:
        owners: Owners = {}
        for sample in unit.samples:
            if self._place(sample) == place:
                owners.setdefault(_named(sample), sample)
        return owners

    def _place(self, sample: Sample) -> Place:
        return self._stratum(sample), len(sample.images)


@dataclass(frozen=True, kw_only=True)
class FittedSwap(Swap):
    """`Swap` whose donors' pictures are cut to the recipient's shape instead of stretched."""

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Every sample that has a donor, with the donor's pictures."""
        by_uid = {sample.uid: sample for sample in samples}
        views = super().views(samples)
        return [_seeing(by_uid[view.uid], by_uid[view.shown["donor"]], {}) for view in views]


def _candidates(theirs: Sequence[Owners], own: Owners, turn: int) -> Iterator[Sample]:
    """One sample of every other unit in turns, as long as one has more pictures; then the unit's
    own others, which depend on it in any case.
    """
    for step in range(max(map(len, theirs), default=0)):
        for owners in theirs:
            if step < len(owners):
                yield list(owners.values())[(turn + step) % len(owners)]
    others = list(own.values())
    yield from [*others[turn + 1 :], *others[:turn]]


def _seeing(sample: Sample, donor: Sample, facts: Mapping[str, str]) -> Sample:
    images = tuple(
        Fitted(original=theirs, like=own)
        for theirs, own in zip(donor.images, sample.images, strict=True)
    )
    shown = {**sample.shown, "donor": donor.uid, **facts, "fit": _fit(images)}
    return replace(sample, images=images, shown=shown)


def _fit(images: Sequence[Fitted]) -> str:
    """What was done to the pictures, one after the other where it differs."""
    try:
        return ", ".join(dict.fromkeys(image.said for image in images))
    except OSError:  # that sample is a recorded error of its own
        return "unreadable"


def _named(sample: Sample) -> tuple[str, ...]:
    return tuple(image.identity for image in sample.images)

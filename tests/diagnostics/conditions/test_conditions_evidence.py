"""What matters painted over, and as much elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from solvent.core.types import Sample
from solvent.diagnostics.conditions import MaskEvidence
from solvent.diagnostics.conditions.evidence import joined
from tests.diagnostics.pixels import pixels, question, random

RED = (255, 0, 0)


def red(sample: Sample) -> np.ndarray:
    return (pixels(sample) == RED).all(axis=2)


def evidence(*, relevant: bool) -> MaskEvidence:
    return MaskEvidence(name="e", relevant=relevant, colour=RED, seed=0)


def test_evidence_and_as_much_elsewhere() -> None:
    boxes = ((0.0, 0.0, 0.25, 0.25), (0.5, 0.5, 0.75, 1.0))
    samples = [question(uid, random("p", (64, 32), boxes)) for uid in "abcdef"]
    own = np.zeros((32, 64), bool)
    own[:8, :16] = own[16:, 32:48] = True
    places = set()
    pairs = zip(
        evidence(relevant=True).views(samples), evidence(relevant=False).views(samples), strict=True
    )
    for relevant, irrelevant in pairs:
        assert (red(relevant) == own).all()
        assert red(irrelevant).sum() == own.sum()
        assert not (red(irrelevant) & own).any()
        places.add(red(irrelevant).tobytes())
    assert len(places) > 1


@pytest.mark.parametrize(
    "boxes",
    [(), ((0.0, 0.0, 1.0, 1.0),), ((0.2, 0.0, 0.8, 1.0),), ((0.0, 0.0, 1.0, 0.6),)],
    ids=["none", "all", "middle", "upper"],
)
def test_without_boxes_or_room_there_is_no_variant(boxes: tuple) -> None:
    samples = [question("a", random("p", (16, 16), boxes)), question("b")]
    assert evidence(relevant=True).views(samples) == []
    assert evidence(relevant=False).views(samples) == []


def test_room_that_fits_exactly_is_found() -> None:
    sample = question("a", random("p", (30, 30), ((0.0, 0.0, 0.5, 1.0),)))
    (view,) = evidence(relevant=False).views([sample])
    assert red(view)[:, 15:].all()
    assert not red(view)[:, :15].any()


def test_room_between_boxes_is_found() -> None:
    """Of two slots one fits exactly, and the other holds one box only."""
    boxes = ((0.0, 0.0, 0.21, 1.0), (0.42, 0.0, 0.63, 1.0))
    samples = [question(str(k), random("p", (100, 10), boxes)) for k in range(20)]
    views = evidence(relevant=False).views(samples)
    assert len(views) == 20
    assert all(red(view)[:, 21:42].all() for view in views)


def test_overlapping_boxes_cover_as_much_elsewhere() -> None:
    boxes = ((0.0, 0.0, 0.25, 0.25), (0.125, 0.125, 0.375, 0.25))
    samples = [question(uid, random("p", (32, 32), boxes)) for uid in "abcd"]
    for relevant in (True, False):
        for view in evidence(relevant=relevant).views(samples):
            assert red(view).sum() == 12 * 8


def test_overlapping_boxes_are_joined() -> None:
    assert joined([(0.0, 0.0, 0.2, 0.2), (0.1, 0.1, 0.3, 0.2), (0.3, 0.0, 0.4, 0.2)]) == (
        (0.0, 0.0, 0.3, 0.2),
        (0.3, 0.0, 0.4, 0.2),
    )


def test_pictures_without_boxes_stay_as_they_are() -> None:
    sample = question("a", random("one", (48, 32), ((0.0, 0.0, 0.25, 0.5),)), random("two", (9, 9)))
    (view,) = evidence(relevant=True).views([sample])
    assert red(view)[:16, :12].all()
    assert view.images[1] == sample.images[1]

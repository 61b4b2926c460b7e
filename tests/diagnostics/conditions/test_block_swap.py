"""Donors inside blocks: who exchanges pictures with whom, and what becomes of their shapes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from solvent.benchmarks.rotations import rotated
from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.types import Sample
from solvent.diagnostics.conditions import BlockSwap, FittedSwap
from tests.diagnostics.pixels import flat, picture, pixels, question, random

SAMPLES = Shapes(law="balanced", kinds=["colour", "where"], questions=23, seed=0)()


def swap(**changes: object) -> BlockSwap:
    fields = {"name": "swap", "stratum": "kind", "seed": 0, "shift": 1, "block": 5}
    return BlockSwap(**(fields | changes))


def told(views: list[Sample], key: str) -> dict[str, str]:
    return {view.uid: view.shown[key] for view in views}


def test_every_picture_of_a_block_once_beside_every_question() -> None:
    """23 pictures of a kind make blocks of 5 or 6; nobody meets a picture twice or of another."""
    by_uid = {sample.uid: sample for sample in SAMPLES}
    shifts = [swap(shift=shift).views(SAMPLES) for shift in (1, 2, 3, 4)]
    block = told(shifts[0], "block")
    assert sorted(Counter(block.values()).values()) == [5, 5, 6, 6, 6, 6, 6, 6]
    met = defaultdict(set)
    for views in shifts:
        donors = told(views, "donor")
        assert told(views, "block") == block
        assert sorted(donors.values()) == sorted(by_uid)  # each picture once
        for view in views:
            donor = by_uid[donors[view.uid]]
            assert block[donor.uid] == block[view.uid]
            assert donor.tags["kind"] == view.tags["kind"]
            assert (pixels(view) == pixels(donor)).all()
            met[view.uid].add(donor.uid)
    assert all(len(donors) == 4 and uid not in donors for uid, donors in met.items())
    assert told(swap().views(SAMPLES[::-1]), "donor") == told(shifts[0], "donor")
    assert told(swap(seed=1).views(SAMPLES), "block") != block


def test_an_image_has_one_block_whatever_is_asked_about_it() -> None:
    """Three questions of two kinds about each picture: blocks of whole pictures, donors by kind."""
    samples = [
        replace(
            question(f"{k:02}/{q}", flat(str(k)), groups={"image": str(k)}), tags={"kind": q[0]}
        )
        for k in range(20)
        for q in ("a", "b1", "b2")
    ]
    views = swap().views(samples)
    blocks, donors = told(views, "block"), told(views, "donor")
    assert len(views) == 60
    assert set(Counter(blocks.values()).values()) == {15}
    for sample in samples:
        k, q = sample.uid.split("/")
        assert blocks[sample.uid] == blocks[f"{k}/a"]
        assert donors[sample.uid].split("/")[1][0] == q[0]
        assert donors[sample.uid].split("/")[0] == donors[f"{k}/a"].split("/")[0] != k


def test_rare_strata_join_others_and_nothing_is_lost() -> None:
    """Seven pictures, of which two are also asked about otherwise: one block, all kinds served."""
    samples = [replace(question(str(k), flat(str(k))), tags={"kind": "a"}) for k in range(7)]
    samples += [replace(question(f"{k}/b", flat(str(k))), tags={"kind": "b"}) for k in (0, 1)]
    views = swap().views(samples)
    blocks = told(views, "block")
    assert len(views) == 9
    assert blocks["0/b"] == blocks["0"] == blocks["1/b"]
    assert len(set(blocks.values())) == 1
    donors = told(views, "donor")
    assert (donors["0/b"], donors["1/b"]) == ("1/b", "0/b")


def test_orders_of_options_share_their_donor() -> None:
    some = [question(str(k), flat(str(k))) for k in range(6)]
    views = swap().views(rotated(some))
    assert len(views) == 12
    assert all(one.shown == two.shown for one, two in zip(views[::2], views[1::2], strict=True))


def test_shapes_are_kept_apart_and_never_stretched() -> None:
    """Wide and tall pictures in two blocks; a ramp keeps its slope where an edge is cut off."""
    ramp = np.repeat(np.repeat(np.arange(0, 240, 2)[None, :, None], 60, axis=0), 3, axis=2)
    wide = [
        picture(f"w{k}", ramp + k, ((0.0, 0.0, 0.1, 1.0), (0.5, 0.0, 0.75, 1.0))) for k in range(5)
    ]
    tall = [random(f"t{k}", (60, 120)) for k in range(5)]
    samples = [question(image.identity, image) for image in (*wide, *tall)]
    views = swap(stratum=None).views(samples)
    assert all(view.uid[0] == view.shown["donor"][0] for view in views)
    assert {view.shown["fit"] for view in views} == {"as it is"}
    square = question("s", flat("s", (60, 60)))
    views = swap(stratum=None, block=2).views([samples[0], square])
    assert views[1].shown["fit"] == "cut to 50% of its area"
    row = pixels(views[1])[30, 2:-2, 0]
    assert set(np.diff(row)) == {2}  # stretched: steps of 4
    assert row[0] == 60 + 2 * 2
    assert views[1].images[0].regions == ((0.5, 0.0, 1.0, 1.0),)  # the box at the edge is gone
    assert pixels(views[0]).shape == (60, 120, 3)
    assert views[0].shown["fit"] == "cut to 50% of its area"
    other = FittedSwap(name="x", stratum=None, seed=0, shift=1, gold="any")
    assert (pixels(other.views([samples[0], square])[1]) == pixels(views[1])).all()


def test_what_cannot_be() -> None:
    alone = [question(str(k), flat("one")) for k in range(4)]
    with pytest.raises(ValueError, match="at least 2 different pictures"):
        swap().views(alone)
    with pytest.raises(ValueError, match="none of 4 questions has a picture"):
        swap().views([replace(sample, images=()) for sample in alone])
    with pytest.raises(ValueError, match="shift must be at least 1, got 0"):
        swap(shift=0)
    with pytest.raises(ValueError, match="block must be at least 2 images, got 1"):
        swap(block=1)


def test_pictures_of_one_unit_serve_each_other_last() -> None:
    """Two units of two pictures each: the other unit's first, then the own other picture."""
    samples = [question(f"{u}{k}", flat(f"{u}{k}"), groups={"row": u}) for u in "ab" for k in "01"]
    donors = [told(swap(shift=shift).views(samples), "donor") for shift in (1, 2, 3)]
    assert donors[0] == {"a0": "b0", "a1": "b1", "b0": "a0", "b1": "a1"}
    assert donors[1] == {"a0": "b1", "a1": "b0", "b0": "a1", "b1": "a0"}
    assert donors[2] == {"a0": "a1", "a1": "a0", "b0": "b1", "b1": "b0"}
    assert all(
        one.shown["block"] == two.shown["block"]
        for one, two in combinations(swap().views(samples), 2)
    )

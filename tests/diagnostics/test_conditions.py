"""Conditions change the pictures and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.shapes.source import Shapes
from diagnostics.conditions import Blank, Real, Swap, Text
from evaluation.types import Sample

SAMPLES = Shapes(law="balanced", kinds=["colour", "where"], questions=12, seed=0)()
CONDITIONS = (Real(), Text(), Swap(stratum="kind", seed=0), Blank(colour=(128, 128, 128)))


def picture(sample: Sample) -> str:
    return sample.images[0].identity


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_everything_but_the_pictures_stays(condition: object) -> None:
    views = condition.views(SAMPLES)
    assert [replace(view, images=()) for view in views] == [replace(s, images=()) for s in SAMPLES]


def test_real_is_the_identity_and_text_has_no_picture() -> None:
    assert Real().views(SAMPLES) == SAMPLES
    assert all(view.images == () for view in Text().views(SAMPLES))


def test_swap_is_a_derangement_within_its_stratum() -> None:
    views = Swap(stratum="kind", seed=0).views(SAMPLES)
    kinds = {picture(sample): sample.tags["kind"] for sample in SAMPLES}
    for sample, view in zip(SAMPLES, views, strict=True):
        assert picture(view) != picture(sample)
        assert kinds[picture(view)] == sample.tags["kind"]
    assert sorted(map(picture, views)) == sorted(map(picture, SAMPLES))
    assert Swap(stratum="kind", seed=1).views(SAMPLES) != views


def test_swap_never_pairs_questions_about_one_picture() -> None:
    shared = [
        replace(sample, images=SAMPLES[index // 4].images) for index, sample in enumerate(SAMPLES)
    ]
    views = Swap(stratum=None, seed=0).views(shared)
    assert all(picture(v) != picture(s) for v, s in zip(views, shared, strict=True))
    alone = [replace(sample, images=SAMPLES[0].images) for sample in SAMPLES]
    with pytest.raises(ValueError, match="at least two different pictures"):
        Swap(stratum=None, seed=0).views(alone)


def test_blank_keeps_the_size() -> None:
    original = SAMPLES[0].images[0].load()
    image = Blank(colour=(1, 2, 3)).views(SAMPLES)[0].images[0].load()
    assert image.size == original.size
    assert np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist() == [[1, 2, 3]]

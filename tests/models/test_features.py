"""Features that are kept are those that the model computes, and are used only where they may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import interventions
from solvent.core.types import Prompt
from solvent.models.refusals import ModelError
from solvent.models.vlm import VLM, load
from tests.models.test_vlm import CANDIDATES, numbers, picture
from tests.random_models import FAMILIES

CLOSE = {"abs": 1e-5, "rel": 1e-5}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(
    request: pytest.FixtureRequest, checkpoints: dict[str, Path], settings: dict[str, Any]
) -> tuple[VLM, VLM]:
    """The same model without and with a cache."""
    folder = str(checkpoints[request.param])
    return tuple(
        load(checkpoint=folder, **{**settings, "feature_cache_mb": size}) for size in (0, 8)
    )


@pytest.fixture
def prompts(pair: tuple[VLM, VLM]) -> list[Prompt]:
    """One picture is asked about twice, once alone and once beside another."""
    family = pair[0].family
    one, two = picture(family, 1), picture(family, 2)
    return [
        Prompt(uid="one", images=(one,), text="Is there a red square in the picture?"),
        Prompt(uid="none", images=(), text="How many?"),
        Prompt(uid="two", images=(two, one), text="Same colour?"),
    ]


def test_scores_and_answers_are_those_without_a_cache(
    pair: tuple[VLM, VLM], prompts: list[Prompt]
) -> None:
    plain, keeping = pair
    expected = numbers(plain.rank(plain.encode(prompts), CANDIDATES))
    assert plain.features.encoded == 0
    first = numbers(keeping.rank(keeping.encode(prompts), CANDIDATES))
    for row, values in zip(first, expected, strict=True):
        assert row == pytest.approx(values, **CLOSE)
    tiles = keeping.family == "llava_onevision"  # depend on being the only picture
    assert keeping.features.encoded == (3 if tiles else 2)
    assert numbers(keeping.rank(keeping.encode(prompts), CANDIDATES)) == first
    assert keeping.generate(keeping.encode(prompts), 4) == plain.generate(plain.encode(prompts), 4)
    assert keeping.features.encoded == (3 if tiles else 2)


def test_what_was_seen_before_changes_no_bit(pair: tuple[VLM, VLM], prompts: list[Prompt]) -> None:
    """Features found in the cache equal those computed now, whatever they came with."""
    _, keeping = pair
    first = numbers(keeping.rank(keeping.encode(prompts), CANDIDATES))
    keeping.features._kept.clear()
    keeping.features.size = 0
    keeping.rank(keeping.encode(prompts[2:]), CANDIDATES[2:])
    assert numbers(keeping.rank(keeping.encode(prompts), CANDIDATES)) == first


def test_interventions_meet_the_same_features(pair: tuple[VLM, VLM], prompts: list[Prompt]) -> None:
    for name in ("uniform", "gaussian", "adapt_vis"):
        found = []
        for vlm in pair:
            with vlm.intervene(interventions.load(name)) as log:
                found.append(numbers(vlm.rank(vlm.encode(prompts), CANDIDATES)))
                assert log.take().entries_edited[0] > 0
        for row, values in zip(*found, strict=True):
            assert row == pytest.approx(values, **CLOSE)


def test_an_intervention_that_looks_into_the_encoder_runs_it(
    pair: tuple[VLM, VLM], prompts: list[Prompt]
) -> None:
    _, keeping = pair
    if keeping.family == "llava_onevision":
        pytest.skip("the grid behind its tokens is unknown")
    keeping.rank(keeping.encode(prompts), CANDIDATES)
    encoded = keeping.features.encoded
    for name in ("fixed_encoder", "fixed_complexity"):
        found = []
        for vlm in pair:
            with vlm.intervene(interventions.load(name)):
                found.append(numbers(vlm.rank(vlm.encode(prompts), CANDIDATES)))
        assert found[0] == found[1]
    assert keeping.features.encoded == encoded


def test_the_budget_keeps_what_was_seen_last(pair: tuple[VLM, VLM]) -> None:
    _, vlm = pair
    family = vlm.family
    features = vlm.features
    features._kept.clear()
    features.size = 0
    shown = [Prompt(uid=str(k), images=(picture(family, k),), text="?") for k in range(3)]
    room = features._room
    try:
        vlm.generate(vlm.encode(shown[:1]), 1)
        features._room = 2 * features.size
        for index, encodes in ((1, 1), (0, 0), (2, 1), (0, 0), (1, 1)):
            before = features.encoded
            vlm.generate(vlm.encode([shown[index]]), 1)
            assert features.encoded - before == encodes, index
        assert features.size <= features._room
    finally:
        features._room = room


def test_pictures_are_told_apart_by_size_and_pixels(pair: tuple[VLM, VLM]) -> None:
    _, vlm = pair
    black = [Image.new("RGB", size) for size in ((16, 32), (32, 16), (16, 32))]
    dotted = Image.fromarray(np.eye(16, 16, dtype=np.uint8)[..., None].repeat(3, axis=2))
    shown = [Prompt(uid=str(k), images=(p,), text="?") for k, p in enumerate([*black, dotted])]
    (a,), (b,), (c,), (d,) = vlm.encode(shown).names
    assert a == c
    assert len({a, b, d}) == 3


def test_features_may_be_differentiated_through(
    pair: tuple[VLM, VLM], prompts: list[Prompt]
) -> None:
    _, vlm = pair
    vlm.rank(vlm.encode(prompts[:1]), CANDIDATES[:1])
    with torch.enable_grad():
        inputs = vlm.features.fill(vlm.encode(prompts[:1])).inputs
    features = inputs["mm_encoder_outputs"]["image"].pooler_output
    assert not any(part.is_inference() for part in features)


def test_less_than_nothing_is_refused(
    checkpoints: dict[str, Path], settings: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"feature_cache_mb to be 0 \(off\) or more, but -1 came"):
        load(checkpoint=str(checkpoints["llava"]), **{**settings, "feature_cache_mb": -1})

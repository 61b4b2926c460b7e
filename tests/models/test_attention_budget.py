"""The attention budget through the VLM interface, in the forwards that score the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from interventions import load
from interventions.looking.shares import ALL_GROUPS, GROUPS, PLACES
from solvent.core.types import Prompt
from solvent.diagnostics import stored_shares as shares
from solvent.diagnostics.conditions import Filler
from solvent.models.vlm import VLM
from tests.models.test_tiny_interventions import SAMPLES, prompt, ranked, tiny

__all__ = ["tiny"]  # a fixture
NAMES = ("learned", "uniform", "knockout", "dirichlet")


def test_diagnostics_and_models_mean_the_same_axes() -> None:
    assert (shares.GROUPS, shares.PLACES) == (GROUPS, PLACES)
    assert shares.ALL_GROUPS == ALL_GROUPS


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_without_measuring(tiny: VLM, name: str) -> None:
    with tiny.intervene(load(name)) as log:
        plain = ranked(tiny)
        usual = log.take()
    with tiny.watch_shares(load(name)) as seen:
        assert ranked(tiny) == plain
        measured = seen.log.take()
    np.testing.assert_array_equal(measured.layer_mass_after, usual.layer_mass_after)
    found = shares.stack(seen.take())
    assert found.uids == tuple(sample.uid for sample in SAMPLES) == usual.uids
    np.testing.assert_allclose(found.mass.sum(axis=-1), 1.0, atol=1e-5)
    if name == "knockout":
        assert not found.mass[..., shares.IMAGE].any()


def test_the_mean_over_question_rows_is_that_of_the_log(tiny: VLM) -> None:
    """Every sample has one image, so the rows after it are those that the log measures."""
    with tiny.watch_shares(load("uniform")) as seen:
        tiny.generate(tiny.encode([prompt(sample) for sample in SAMPLES]), 1)  # the prompt alone
        usual = seen.log.take()
    found = shares.stack(seen.take())
    mean = found.mass[..., PLACES.index("question"), shares.IMAGE].mean(axis=2)
    np.testing.assert_allclose(mean, usual.layer_mass_after, atol=1e-5)


def test_batches_and_padding_do_not_matter(tiny: VLM) -> None:
    with tiny.watch_shares(load("uniform")) as seen:
        ranked(tiny)
        together = shares.stack(seen.take())
        for sample in SAMPLES:
            ranked(tiny, [sample])
        alone = shares.stack(seen.take())
    np.testing.assert_allclose(alone.mass, together.mass, atol=1e-5)
    np.testing.assert_allclose(alone.effective, together.effective, atol=1e-5)


def test_without_an_image_all_is_question(tiny: VLM) -> None:
    blind = [Prompt(uid=sample.uid, images=(), text=sample.text) for sample in SAMPLES]
    with tiny.watch_shares(load("learned")) as seen:
        tiny.generate(tiny.encode(blind), 2)
    found = shares.stack(seen.take())
    used = found.mass[..., [GROUPS.index("first"), GROUPS.index("question")]].sum(axis=-1)
    np.testing.assert_allclose(used, 1.0, atol=1e-5)
    assert np.isnan(found.lift).all()


def test_a_prompt_that_broke_off_is_left_out(tiny: VLM) -> None:
    layer = tiny.model.get_decoder().layers[3]

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    hook = layer.register_forward_pre_hook(fail)
    with tiny.watch_shares(load("learned")) as seen:
        with pytest.raises(torch.OutOfMemoryError):
            ranked(tiny)
        hook.remove()
        assert seen.take() == []
        ranked(tiny)
        assert len(seen.take()) == len(SAMPLES)


def test_a_pass_that_is_not_measured_takes_nothing_away(tiny: VLM) -> None:
    with tiny.watch_shares(load("uniform")) as seen:
        ranked(tiny)
        with seen.log.paused():
            ranked(tiny)
        found = shares.stack(seen.take())
        ranked(tiny)
        once = shares.stack(seen.take())
    np.testing.assert_array_equal(found.mass, once.mass)


@pytest.mark.parametrize("place", ["before_image", "between", "after"])
def test_attention_to_filler_is_told_from_that_to_the_question(tiny: VLM, place: str) -> None:
    """Its tokens spell its words, and all that moves is between groups of text."""
    condition = Filler(name="filler", words=16, place=place, draw=1)
    asked = [sample for sample in SAMPLES if sample.context is None]
    shown = condition.views(asked)
    batch = tiny.encode([replace(prompt(sample), filler=sample.filler) for sample in shown])
    rows = [
        ids[mask.bool()]
        for ids, mask in zip(batch.inputs["input_ids"], batch.inputs["attention_mask"], strict=True)
    ]
    for spans, ids in zip(tiny._filler(batch), rows, strict=True):
        ((start, stop),) = spans
        assert tiny.chat.text_of(ids[start:stop].tolist()).strip() == condition.text()
        assert len(spans) == 1
    with tiny.watch_shares(load("learned")) as seen:
        tiny.generate(batch, 1)
        told = shares.stack(seen.take())
        tiny.generate(replace(batch, filler=()), 1)
        untold = shares.stack(seen.take())
    assert (told.mass.shape[-1], untold.mass.shape[-1]) == (len(ALL_GROUPS), len(GROUPS))
    answer = told.mass[..., shares.ANSWER, :], untold.mass[..., shares.ANSWER, :]
    apart, before = answer
    text = GROUPS.index("system" if place == "before_image" else "question")
    np.testing.assert_allclose(
        apart[..., text] + apart[..., shares.FILLER], before[..., text], atol=1e-5
    )
    assert (apart[..., shares.FILLER] > 0).all()
    others = [group for group in range(len(GROUPS)) if group != text]
    np.testing.assert_allclose(apart[..., others], before[..., others], atol=1e-5)
    counts = [
        (stop - start) / len(ids)
        for ((start, stop),), ids in zip(tiny._filler(batch), rows, strict=True)
    ]
    np.testing.assert_allclose(told.uniform[:, 0, 0, shares.FILLER], counts, atol=1e-6)


def test_old_files_without_filler_are_read_beside_new_ones(tmp_path: Path) -> None:
    """Of a run that went on under a version that tells filler apart: nobody knows of the others."""
    old, new = (np.full((1, 2, 3, 2, count), 1 / count) for count in (4, 6))
    parts = [
        shares.Shares(
            uids=(uid,),
            mass=mass,
            effective=mass,
            uniform=mass[:, :, 0],
            image_tokens=np.array([4]),
        )
        for uid, mass in (("a", old), ("b", new))
    ]
    for number, part in enumerate(parts):
        part.save(tmp_path / f"{number}.npz")
    shares.gather([tmp_path / "0.npz", tmp_path / "1.npz"], ["a", "b"], tmp_path / "all")
    found = shares.Shares.load(tmp_path / "all.npz")
    np.testing.assert_array_equal(found.mass[0, ..., :4], 0.25)
    assert not found.mass[0, ..., 4].any()
    assert np.isnan(found.mass[0, ..., shares.FILLER]).all()
    np.testing.assert_array_equal(found.mass[1], 1 / 6)
    np.testing.assert_array_equal(shares.Shares.load(tmp_path / "0.npz").mass, old)

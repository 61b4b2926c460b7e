"""The attention budget through the VLM interface, in the forwards that score the answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interventions import load
from interventions.looking.shares import GROUPS, PLACES
from solvent.core.types import Prompt
from solvent.diagnostics import stored_shares as shares
from solvent.models.vlm import VLM
from tests.models.test_tiny_interventions import SAMPLES, prompt, ranked, tiny

__all__ = ["tiny"]  # a fixture
NAMES = ("learned", "uniform", "knockout", "dirichlet")


def test_diagnostics_and_models_mean_the_same_axes() -> None:
    assert (shares.GROUPS, shares.PLACES) == (GROUPS, PLACES)


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

"""The log: visual mass and edited cells, recomputed from the weights eager attention returns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from interventions import AttentionLog, InterventionError, intervene, load
from tests.random_models import CACHE, random_inputs


@pytest.fixture
def eager(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    model.set_attn_implementation("eager")
    yield model
    model.set_attn_implementation("sdpa")


def rows_after_image(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[list[int]]:
    """Columns of the text after the first image of every sample (none without an image)."""
    columns = []
    for ids, mask in zip(inputs["input_ids"].tolist(), inputs["attention_mask"], strict=True):
        image = [j for j, token in enumerate(ids) if token == model.config.image_token_id]
        first = image[0] if image else len(ids)
        columns.append([j for j in range(first, len(ids)) if mask[j] and j not in image])
    return columns


def mass_of(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], attentions: tuple[torch.Tensor, ...]
) -> np.ndarray:
    """(sample, layer) means over heads and the rows after the image."""
    image = inputs["input_ids"] == model.config.image_token_id
    result = np.full((len(image), len(attentions)), np.nan)
    for sample, rows in enumerate(rows_after_image(model, inputs)):
        for layer, weights in enumerate(attentions):
            if rows:
                share = weights[sample][:, rows][:, :, image[sample]].sum(dim=-1)
                result[sample, layer] = share.mean().item()
    return result


@pytest.mark.parametrize("name", ["learned", "reweight", "knockout", "uniform"])
def test_visual_mass_equals_the_returned_weights(eager: PreTrainedModel, name: str) -> None:
    inputs = random_inputs(eager, (9, 5, 6), images=(1, 0, 2))
    with intervene(eager, load(name, layers=[0, 2])) as log:
        log.expect(["a", "b", "c"])
        after = mass_of(eager, inputs, eager(**inputs, output_attentions=True).attentions)
        total = log.visual_mass
        measurement = log.take()
        assert log.visual_mass == pytest.approx(total)
    assert measurement.uids == ("a", "b", "c")
    np.testing.assert_allclose(measurement.layer_mass_after, after, atol=1e-6)
    np.testing.assert_allclose(measurement.visual_mass_after, after.mean(axis=1), atol=1e-6)
    assert np.isnan(measurement.visual_mass_before[1])
    assert total[1] == pytest.approx(np.nanmean(after.mean(axis=1)), abs=1e-6)
    if name == "learned":
        assert (measurement.entries_edited == 0).all()
        np.testing.assert_array_equal(measurement.layer_mass_before, measurement.layer_mass_after)
    else:
        image = (inputs["input_ids"] == eager.config.image_token_id).int()
        expected = [
            sum(2 * 4 * int(image[sample, :row].sum()) for row in rows)  # two layers, four heads
            for sample, rows in enumerate(rows_after_image(eager, inputs))
        ]
        assert measurement.entries_edited.tolist() == expected
        assert log.entries_edited == sum(expected) > 0


@pytest.mark.parametrize("name", ["uniform", "gaussian", "dirichlet"])
def test_kept_mass_is_kept_and_a_shift_obeys_its_formula(llava: PreTrainedModel, name: str) -> None:
    inputs = random_inputs(llava, (9,))
    with intervene(llava, load(name)) as log:
        llava(**inputs)
        kept = log.take()
    np.testing.assert_allclose(kept.layer_mass_before, kept.layer_mass_after, atol=1e-6)


def test_before_is_what_the_same_call_would_have_given(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9,))
    with intervene(llava, load("learned")) as log:
        llava(**inputs)
        learned = log.take()
    with intervene(llava, load("knockout", layers=[1])) as log:
        llava(**inputs)
        edited = log.take()
    np.testing.assert_array_equal(learned.layer_mass_after[0, :2], edited.layer_mass_before[0, :2])
    assert edited.layer_mass_after[0, 1] == 0.0
    assert learned.layer_mass_after[0, 2] != edited.layer_mass_before[0, 2]


def test_take_forgets_and_totals_stay(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 6))
    with intervene(llava, load("knockout")) as log:
        assert log.take().uids == ()
        assert all(map(math.isnan, log.visual_mass))
        cache = llava(**inputs, use_cache=True)[CACHE]
        first = log.take()
        mask = torch.cat([inputs["attention_mask"], torch.ones(2, 1, dtype=torch.long)], dim=1)
        new = torch.full((2, 1), 50)
        llava(input_ids=new, attention_mask=mask, **{CACHE: cache})
        second = log.take()
        assert log.take().uids == ()
    assert first.uids == second.uids
    assert len(set(first.uids)) == 2
    assert second.entries_edited.tolist() == [3 * 4 * 4] * 2  # one new row of each sample
    assert log.entries_edited == first.entries_edited.sum() + second.entries_edited.sum()
    assert log.forwards == 2


def test_samples_are_named_and_the_name_decides_the_noise(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9,))
    logits = {}
    with intervene(llava, load("gaussian")) as log:
        for name in ("a", "b"):
            log.expect([name])
            logits[name] = llava(**inputs).logits
        log.expect(["a"])
        assert torch.equal(logits["a"], llava(**inputs).logits)
        assert not torch.equal(logits["a"], logits["b"])
        assert log.take().uids == ("a", "b", "a")
    with intervene(llava, load("gaussian", seed=1)) as log:
        log.expect(["a"])
        assert not torch.equal(logits["a"], llava(**inputs).logits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abc",), "list with one name per row"),
        ((["a"], [1, 2]), "Expected 1 prompt_lengths, one per sample, got 2"),
        ((["a", "b"], None, [np.ones(4)]), "Expected 2 priors, one per sample, got 1"),
    ],
)
def test_expectations_are_checked(
    llava: PreTrainedModel, arguments: tuple[object, ...], message: str
) -> None:
    with intervene(llava, load("uniform")) as log, pytest.raises(ValueError, match=message):
        log.expect(*arguments)


def run_with_prior(log: AttentionLog, model: PreTrainedModel, prior: np.ndarray) -> None:
    log.expect(["a"], None, [prior])
    model(**random_inputs(model, (9,)))


def test_priors_of_the_wrong_length_are_refused(llava: PreTrainedModel) -> None:
    with (
        pytest.raises(InterventionError, match="4 image tokens but its fixed pattern has 3"),
        intervene(llava, load("fixed_center")) as log,
    ):
        run_with_prior(log, llava, np.ones(3))

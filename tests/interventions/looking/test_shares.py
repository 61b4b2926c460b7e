"""What `shares` measures is what the model's own eager attention says, edited or not."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from interventions import InterventionError, capture, intervene, load, shares
from interventions.looking.shares import ALL_GROUPS, FILLER, GROUPS, Budget
from tests.interventions.engine.test_fused import Inputs, gemma3, gemma3_inputs
from tests.interventions.looking.test_capture import eager_attention
from tests.random_models import HEADS, HIDDEN, random_inputs

IMAGE = GROUPS.index("image")
NAMES = ("a", "b")
WINDOW = 5  # of gemma3's first layer
EDITED = ("uniform", "uniform_row", "knockout", "reweight", "permuted", "gaussian", "spin", "pai")


def spent(
    model: PreTrainedModel, inputs: Inputs, name: str, execution: str = "fused"
) -> tuple[list[Budget], torch.Tensor]:
    with shares(model, load(name), execution) as seen:
        seen.expect(NAMES)
        logits = model(**inputs).logits
    found = seen.take()
    assert [sample.uid for sample in found] == list(NAMES)
    assert seen.take() == []
    return found, logits


def groups_of(model: PreTrainedModel, inputs: Inputs, row: int) -> np.ndarray:
    """Group of every token of one unpadded prompt, spelt out token by token."""
    ids = inputs["input_ids"][row, inputs["attention_mask"][row].bool()]
    image, found, seen = ids == model.config.image_token_id, [], 0
    for place, visual in enumerate(image.tolist()):
        seen += visual
        text = "question" if seen == image.sum() else "system"
        found.append("image" if visual else "first" if place == 0 else text)
    return np.array(found)


def unpadded(weights: torch.Tensor, inputs: Inputs, row: int) -> np.ndarray:
    """(layer, head, query, key) of one prompt, from those of the batch."""
    real = inputs["attention_mask"][row].bool()
    return weights[:, row][:, :, real][..., real].detach().numpy()


def shared_out(weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(layer, head, place, group) from all weights of one prompt."""
    names = ALL_GROUPS if FILLER in groups else GROUPS
    shares = np.stack([weights[..., groups == name].sum(axis=-1) for name in names], axis=-1)
    rows = np.arange(len(groups)) > np.flatnonzero(groups == "image").max()
    rows &= (groups != FILLER) | (np.arange(len(groups)) == len(groups) - 1)
    return np.stack([shares[:, :, -1], shares[:, :, rows].mean(axis=2)], axis=2)


@pytest.mark.parametrize(("images", "padding"), [((1, 1), "left"), ((2, 1), "right")])
def test_shares_are_those_of_the_model(
    model: PreTrainedModel, images: tuple[int, int], padding: str
) -> None:
    inputs = random_inputs(model, (9, 12), images=images, padding=padding)
    weights = eager_attention(model, inputs)
    found, logits = spent(model, inputs, "learned")
    assert torch.equal(logits, model(**inputs).logits)
    for row, sample in enumerate(found):
        groups, alone = groups_of(model, inputs, row), unpadded(weights, inputs, row)
        np.testing.assert_allclose(sample.mass, shared_out(alone, groups), atol=1e-5)
        np.testing.assert_allclose(sample.mass.sum(axis=-1), 1.0, atol=1e-5)
        np.testing.assert_allclose(sample.effective.sum(axis=-1), 1.0, atol=1e-5)
        equal = np.tril(np.ones(alone.shape)) / np.arange(1, len(groups) + 1)[:, None]
        expected = shared_out(equal, groups)[:, 0]
        np.testing.assert_allclose(sample.uniform, expected, atol=1e-6)
        assert sample.image_tokens == (groups == "image").sum()


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("place", ["all", "behind", "last"])
def test_filler_is_a_group_of_its_own(model: PreTrainedModel, place: str, padding: str) -> None:
    """Of the sample that has some; the other has the groups that it had."""
    inputs = random_inputs(model, (12, 9), padding=padding)
    weights = eager_attention(model, inputs)
    groups = groups_of(model, inputs, 0)
    image, end = np.flatnonzero(groups == "image"), len(groups)
    starts = {"all": (0, end), "behind": (image[-1] + 2, end - 1), "last": (end - 2, end)}
    start, stop = starts[place]
    with shares(model, load("learned")) as seen:
        seen.expect(NAMES, filler=[[(start, stop)], []])
        model(**inputs)
    first, second = seen.take()
    here = np.arange(end)  # what is no text of the prompt, and its first token, are their own
    groups[(here >= max(start, 1)) & (here < stop) & (groups != "image")] = FILLER
    expected = shared_out(unpadded(weights, inputs, 0), groups)
    np.testing.assert_allclose(first.mass, expected, atol=1e-5)
    np.testing.assert_allclose(first.mass.sum(axis=-1), 1.0, atol=1e-5)
    count = (groups == FILLER).sum() / len(groups)
    np.testing.assert_allclose(first.uniform[:, 0, -1], count, atol=1e-6)
    other = shared_out(unpadded(weights, inputs, 1), groups_of(model, inputs, 1))
    np.testing.assert_allclose(second.mass, other, atol=1e-5)


def test_wrong_places_of_filler_are_named(model: PreTrainedModel) -> None:
    with shares(model, load("learned")) as seen:
        with pytest.raises(ValueError, match="first token, token after the last"):
            seen.expect(NAMES, filler=[[(3, 3)], []])
        with pytest.raises(ValueError, match="Expected 2 filler, one per sample, got 1"):
            seen.expect(NAMES, filler=[[(3, 4)]])


def test_a_sliding_window_counts_only_what_it_shows() -> None:
    model, inputs = gemma3(), gemma3_inputs()
    weights = eager_attention(model, inputs)
    for row, sample in enumerate(spent(model, inputs, "learned")[0]):
        groups = groups_of(model, inputs, row)
        expected = shared_out(unpadded(weights, inputs, row), groups)
        np.testing.assert_allclose(sample.mass, expected, atol=1e-5)
        for layer, seen in ((0, groups[-WINDOW:]), (1, groups)):
            equal = [(seen == name).mean() for name in GROUPS]
            np.testing.assert_allclose(sample.uniform[layer, 0], equal, atol=1e-6)


@pytest.mark.parametrize("name", EDITED)
def test_edited_attention_is_what_is_measured(model: PreTrainedModel, name: str) -> None:
    """Eager attention under an intervention returns the weights that made the output."""
    inputs = random_inputs(model, (9, 12))
    model.set_attn_implementation({"text_config": "eager"})
    try:
        with intervene(model, load(name), "reference") as log:
            log.expect(NAMES)
            weights = torch.stack(model(**inputs, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})
    with intervene(model, load(name)) as log:
        log.expect(NAMES)
        plain = model(**inputs).logits
    found, logits = spent(model, inputs, name)
    assert torch.equal(logits, plain)
    for row, (sample, other) in enumerate(
        zip(found, spent(model, inputs, name, "reference")[0], strict=True)
    ):
        expected = shared_out(unpadded(weights, inputs, row), groups_of(model, inputs, row))
        np.testing.assert_allclose(sample.mass, expected, atol=1e-5)
        np.testing.assert_allclose(other.mass, expected, atol=1e-5)
        if name == "knockout":
            assert not sample.mass[..., IMAGE].any()
            assert not sample.effective[..., IMAGE].any()
        if name == "uniform_row":
            share = np.broadcast_to(sample.uniform[:, None], sample.mass.shape)
            np.testing.assert_allclose(sample.mass, share, atol=1e-6)


@torch.no_grad()
def test_equal_scores_and_uniform_give_the_image_its_count(llava: PreTrainedModel) -> None:
    inputs, layer = random_inputs(llava, (9, 12)), llava.get_decoder().layers[0].self_attn
    before = layer.q_proj.weight.clone()
    layer.q_proj.weight.zero_()
    try:
        found, _ = spent(llava, inputs, "uniform")
    finally:
        layer.q_proj.weight.copy_(before)
    for sample, visible in zip(found, (9 + 4, 12 + 4), strict=True):
        np.testing.assert_allclose(sample.mass[0, :, 0, IMAGE], 4 / visible, rtol=1e-6)


@torch.no_grad()
def test_effective_shares_are_lengths_of_what_reaches_the_residual_stream(
    llava: PreTrainedModel,
) -> None:
    inputs, layer = random_inputs(llava, (9, 12)), llava.get_decoder().layers[1].self_attn
    values: list[torch.Tensor] = []
    hook = layer.v_proj.register_forward_hook(lambda _, args, out: values.append(out))
    weights = eager_attention(llava, inputs)[1]
    hook.remove()
    found, _ = spent(llava, inputs, "learned")
    width = HIDDEN // HEADS
    for row, sample in enumerate(found):
        real, groups = inputs["attention_mask"][row].bool(), groups_of(llava, inputs, row)
        value = values[0][row][real].double().reshape(len(groups), -1, width)
        for head in range(HEADS):
            slice_ = layer.o_proj.weight[:, head * width : (head + 1) * width].double()
            added = value[:, head // 2] @ slice_.T  # key, model: two heads share values
            alone = weights[row, head][real][:, real].double()
            lengths = torch.stack(
                [(alone[:, groups == name] @ added[groups == name]).norm(dim=-1) for name in GROUPS]
            )
            shares = (lengths / lengths.sum(dim=0)).T.numpy()
            after = np.flatnonzero(groups == "image").max() + 1
            expected = np.stack([shares[-1], shares[after:].mean(axis=0)])
            np.testing.assert_allclose(sample.effective[1, head], expected, atol=1e-4)


def test_chunks_of_rows_and_of_prompts_change_nothing(
    llava: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = random_inputs(llava, (9, 12))
    whole, _ = spent(llava, inputs, "uniform")
    monkeypatch.setattr(sys.modules[Budget.__module__], "CHUNK", 1)
    rows, _ = spent(llava, inputs, "uniform")
    with shares(llava, load("uniform")) as seen:
        seen.expect(NAMES)
        llava.generate(**inputs, max_new_tokens=2, do_sample=False, prefill_chunk_size=5)
    for one, two, three in zip(whole, rows, seen.take(), strict=True):
        for other in (two, three):
            for name in ("mass", "effective", "uniform"):
                np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-5)


def test_a_prompt_without_image_has_no_visual_share(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 12), images=(0, 0))
    for sample in spent(llava, inputs, "learned")[0]:
        assert sample.image_tokens == 0
        assert not sample.mass[..., IMAGE].any()
        np.testing.assert_allclose(sample.mass.sum(axis=-1), 1.0, atol=1e-5)


def test_what_was_seen_of_a_prompt_that_runs_again_is_forgotten(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 12))
    once, _ = spent(llava, inputs, "learned")
    with shares(llava, load("learned")) as seen:
        for _ in range(2):
            seen.expect(NAMES)
            llava(**inputs)
    for sample, expected in zip(seen.take(), once, strict=True):
        np.testing.assert_array_equal(sample.mass, expected.mass)


def test_a_model_without_a_readable_projection_is_refused(
    llava: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = random_inputs(llava, (9, 12))
    monkeypatch.setattr("interventions.patching.output_projection.nn.Linear", torch.nn.Conv1d)
    with (
        pytest.raises(InterventionError, match="no readable output projection"),
        shares(llava, load("learned")),
    ):
        llava(**inputs)
    with capture(llava) as seen:  # and the model is as it was
        llava(**inputs)
    assert len(seen.take()) == 2

"""Roles as a model meets them: videos, earlier answers and text before the image, by hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from interventions import InterventionError, intervene, load, shares
from interventions.looking.shares import GROUPS, OTHER
from tests.random_models import CACHE, HEADS, IDS, LAYERS, random_inputs, random_model

TURNS = [[("user", 1, 2), ("assistant", 7, 9)], [("assistant", 6, 7)]]


@pytest.fixture
def onevision() -> PreTrainedModel:
    return random_model("llava_onevision")


def with_video(model: PreTrainedModel, count: int = 3) -> dict[str, Any]:
    """One prompt with an image, whose tokens before the last are a video's."""
    inputs = random_inputs(model, (12,))
    inputs["input_ids"][0, -1 - count : -1] = IDS["<video>"]
    return inputs


def weights_under(model: PreTrainedModel, inputs: Any, turns: Any, **named: Any) -> Any:
    """(layer, head, query, key) of the first row, as eager attention gives them."""
    model.set_attn_implementation({"text_config": "eager"})
    try:
        with intervene(model, load("knockout", **named), "reference") as log:
            if turns is not None:
                log.expect(["a", "b"], turns=turns)
            attentions = model(**inputs, output_attentions=True).attentions
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})
    return torch.stack(attentions)[:, 0].detach()


def test_an_image_is_no_video_and_the_user_is_told(onevision: PreTrainedModel) -> None:
    inputs = with_video(onevision)
    ids = inputs["input_ids"][0]
    image, video = ids == onevision.config.image_token_id, ids == IDS["<video>"]
    with pytest.warns(UserWarning, match=r"role 'video', and the keys .* name 'image' without it"):
        last = weights_under(onevision, inputs, None)[..., -1, :]
    assert not last[..., image].any()
    assert last[..., video].sum(-1).mean() > 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = weights_under(onevision, inputs, None, keys=["image", "video"])[..., -1, :]
        only = weights_under(onevision, inputs, None, keys=["video"])
        weights_under(onevision, random_inputs(onevision, (12,)), None)
    assert not both[..., image | video].any()
    assert not only[..., -1, video].any()
    assert only[..., -1, image].all()
    plain = weights_under(onevision, inputs, None, keys=["video"], mix=0.0)
    assert torch.equal(only[0, :, video], plain[0, :, video])  # rows of a video are no question's
    assert torch.isfinite(plain).all()


def test_the_user_is_told_once(onevision: PreTrainedModel) -> None:
    inputs = with_video(onevision)
    with intervene(onevision, load("uniform")):
        with pytest.warns(UserWarning, match="'video'"):
            onevision(**inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            onevision.generate(**inputs, max_new_tokens=2, do_sample=False)


def test_shares_book_a_video_apart(onevision: PreTrainedModel) -> None:
    inputs = with_video(onevision)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is edited
        last = weights_under(onevision, inputs, None, mix=0.0)[..., -1, :]
    with shares(onevision, load("learned")) as seen:
        onevision(**inputs)
        onevision(**random_inputs(onevision, (9,)))
    first, second = seen.take()
    video = last[..., inputs["input_ids"][0] == IDS["<video>"]].sum(dim=-1).numpy()
    assert first.mass.shape[-1] == len((*GROUPS, OTHER))
    np.testing.assert_allclose(first.mass[:, :, 0, -1], video, atol=1e-5)
    np.testing.assert_allclose(first.mass.sum(axis=-1), 1.0, atol=1e-5)
    assert second.mass.shape[-1] == len(GROUPS)


@pytest.mark.parametrize("padding", ["left", "right"])
def test_turns_are_told_apart(llava: PreTrainedModel, padding: str) -> None:
    """Knocked out keys are those that were said to be an answer, or text before the image."""
    inputs = random_inputs(llava, (6, 9), padding=padding)
    start = 3 if padding == "left" else 0  # the first prompt's: two tokens, the image, four more
    ids = inputs["input_ids"][0, start : start + 10]
    ids[:] = ids[[0, 5, 1, 2, 3, 4, 6, 7, 8, 9]].clone()
    answer = weights_under(llava, inputs, TURNS, keys=["answer"], rows=["last"])
    preface = weights_under(llava, inputs, TURNS, keys=["preface"], rows=["last"])
    with pytest.warns(UserWarning, match="'preface', and the keys of .* name 'system' without it"):
        told = weights_under(llava, inputs, TURNS, keys=["system"], rows=["last"])
    for weights, expected in ((answer, {7, 8}), (preface, {1}), (told, {0})):
        seen = weights[:, :, start + 9, start : start + 10]
        assert {*range(10)} - {*seen.sum(dim=(0, 1)).nonzero()[:, 0].tolist()} == expected
    rows = weights_under(llava, inputs, TURNS, keys=["image"], rows=["answer"])
    seeing = rows[:, :, start + 2 : start + 10, start + 2 : start + 6].sum(dim=(0, 1, 3))
    assert {*range(2, 10)} - {*(2 + seeing.nonzero()[:, 0]).tolist()} == {7, 8}


def test_turns_stay_with_their_rows_in_beams(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 6))
    counts = []
    for turns in (TURNS, TURNS[::-1]):
        with intervene(llava, load("knockout", keys=["answer"], rows=["last"])) as log:
            log.expect(["a", "b"], turns=turns)
            llava.generate(**inputs, num_beams=2, max_new_tokens=2, do_sample=False)
        counts.append(log.take().entries_edited.tolist())
    assert counts[0][0] > counts[0][1]
    assert counts[1][0] < counts[1][1]


def test_turns_stay_with_their_rows_when_a_cache_grows(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (6, 6))
    with intervene(llava, load("knockout", keys=["answer"], rows=["generated"])) as log:
        log.expect(["a", "b"], turns=[[("assistant", 6, 8)], []])
        cache = getattr(llava(**inputs, use_cache=True), CACHE)
        cache.batch_repeat_interleave(2)
        mask = torch.ones(4, inputs["input_ids"].shape[1] + 1, dtype=torch.long)
        llava(input_ids=torch.full((4, 1), 40), attention_mask=mask, **{CACHE: cache})
        counts = log.take().entries_edited_decode.tolist()
    assert counts == [2 * 2 * LAYERS * HEADS, 0]  # rows, keys


def test_an_intervention_says_whether_it_needs_turns() -> None:
    assert not any(load(name).needs_turns for name in ("uniform", "vaf", "spin", "sap_llava"))
    assert load("uniform", keys=["answer"]).needs_turns
    assert load("vaf", **{"pattern.factors": {"preface": 0.5}}).needs_turns


def test_who_was_not_told_is_told_how(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9,))
    with (
        pytest.raises(InterventionError, match=r"Only log.expect\(turns=...\) says"),
        intervene(llava, load("knockout", keys=["answer"])),
    ):
        llava(**inputs)


@pytest.mark.parametrize("turns", [[[("tool", 0, 1)]], [[("user", 3, 3)]], [["user"]]])
def test_turns_that_say_nothing(llava: PreTrainedModel, turns: Any) -> None:
    with (
        intervene(llava, load("uniform")) as log,
        pytest.raises(ValueError, match=r"interventions\.turns finds them"),
    ):
        log.expect(["a"], turns=turns)

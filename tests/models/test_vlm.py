"""Scores and texts of a loaded model against the plain computation in `reference.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import interventions
from solvent.core.types import Prompt
from solvent.models.reading import PER_TOKEN
from solvent.models.refusals import ModelError, PromptError
from solvent.models.vlm import VLM, load
from tests.models.plain_answers import IMAGE_TOKENS, PLACEHOLDERS, PROMPTS, Reference
from tests.random_models import FIRST_TEXT_ID, IDS

SIZE = {"llava": (20, 30), "llava_onevision": (16, 16), "qwen2_5_vl": (16, 24)}


def picture(family: str, seed: int) -> Image.Image:
    width, height = SIZE[family]
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def reference(vlm: VLM, checkpoints: dict[str, Path]) -> Reference:
    return Reference(vlm.family, checkpoints[vlm.family])


@pytest.fixture
def prompts(vlm: VLM) -> list[Prompt]:
    """With one image, with none, and with two; of different lengths."""
    one, two, three = (picture(vlm.family, seed) for seed in range(3))
    return [
        Prompt(uid="one", images=(one,), text="Is there a red square in the picture?"),
        Prompt(uid="none", images=(), text="How many?"),
        Prompt(uid="two", images=(two, three), text="Same colour?"),
    ]


CANDIDATES = [["yes", "no"], ["one two three", "four", "five"], ["The cat sat on the mat."]]


def written(vlm: VLM, prompt: Prompt) -> str:
    """The user's text as the template of each family puts it, images first."""
    family = vlm.family
    break_before_text = "\n" if family == "llava_onevision" else ""
    return PLACEHOLDERS[family] * len(prompt.images) + break_before_text + prompt.text


def numbers(scores: list) -> list[list[float]]:
    return [[score.log_probability for score in row] for row in scores]


def test_rank_equals_one_sequence_at_a_time(
    vlm: VLM, reference: Reference, prompts: list[Prompt]
) -> None:
    ranked = vlm.rank(vlm.encode(prompts), CANDIDATES)
    for prompt, answers, scores in zip(prompts, CANDIDATES, ranked, strict=True):
        text = written(vlm, prompt)
        expected = [reference.score(text, list(prompt.images), answer) for answer in answers]
        assert [score.tokens for score in scores] == [tokens for _, tokens in expected]
        came = [score.log_probability for score in scores]
        assert came == pytest.approx([value for value, _ in expected], abs=2e-5, rel=1e-6)


def test_rank_of_one_prompt_does_not_depend_on_the_batch(vlm: VLM, prompts: list[Prompt]) -> None:
    together = numbers(vlm.rank(vlm.encode(prompts), CANDIDATES))
    reversed_ = numbers(vlm.rank(vlm.encode(prompts[::-1]), CANDIDATES[::-1]))[::-1]
    for row, (prompt, answers) in enumerate(zip(prompts, CANDIDATES, strict=True)):
        alone = numbers(vlm.rank(vlm.encode([prompt]), [answers]))[0]
        assert together[row] == pytest.approx(alone, abs=2e-5, rel=1e-6)
        assert reversed_[row] == pytest.approx(alone, abs=2e-5, rel=1e-6)


def test_rank_leaves_nothing_behind(vlm: VLM, prompts: list[Prompt]) -> None:
    batch = vlm.encode(prompts)
    first = numbers(vlm.rank(batch, CANDIDATES))
    vlm.generate(batch, 3)
    assert numbers(vlm.rank(batch, CANDIDATES)) == first
    backwards = numbers(vlm.rank(batch, [row[::-1] for row in CANDIDATES]))
    assert [row[::-1] for row in backwards] == [
        pytest.approx(row, abs=2e-5, rel=1e-6) for row in first
    ]


def test_empty_answer_is_the_terminator_alone(vlm: VLM, prompts: list[Prompt]) -> None:
    ranked = vlm.rank(vlm.encode(prompts), [[""], ["", "no"], []])
    expected = 2 if vlm.chat.separator else 1  # the template's space is a token of its own here
    assert ranked[0][0].tokens == ranked[1][0].tokens == expected
    assert ranked[2] == []


def test_generate_equals_repeated_argmax(
    vlm: VLM, reference: Reference, prompts: list[Prompt]
) -> None:
    answers = vlm.generate(vlm.encode(prompts), 6)
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = reference.greedy(written(vlm, prompt), list(prompt.images), 6)
        assert len(ids) > 0
        assert answer == reference.tokenizer.decode(ids, skip_special_tokens=True)


def test_generate_stops_each_row_at_its_own_end(
    vlm: VLM, reference: Reference, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [written(vlm, prompt) for prompt in prompts]
    pictures = [list(prompt.images) for prompt in prompts]
    stop = reference.greedy(texts[0], pictures[0], 6)[2]
    monkeypatch.setattr(vlm.model.generation_config, "eos_token_id", [stop])
    answers = vlm.generate(vlm.encode(prompts), 6)
    expected = [
        reference.greedy(text, images, 6, stops=(stop,))
        for text, images in zip(texts, pictures, strict=True)
    ]
    assert len(expected[0]) <= 2 < max(len(ids) for ids in expected)
    decode = reference.tokenizer.decode
    assert answers == [decode(ids, skip_special_tokens=True) for ids in expected]


def test_text_only_prompts_show_no_image(vlm: VLM, reference: Reference) -> None:
    batch = vlm.encode([Prompt(uid="none", images=(), text="How many?")])
    assert {"input_ids", "attention_mask"} <= set(batch.inputs) <= set(PER_TOKEN)
    assert not {IDS["<image>"], IDS["<|image_pad|>"], IDS["<|vision_start|>"]} & set(
        batch.inputs["input_ids"][0].tolist()
    )
    assert batch.image_tokens == (0,)


def test_encoding_counts_and_pads_on_the_left(
    vlm: VLM, reference: Reference, prompts: list[Prompt]
) -> None:
    batch = vlm.encode(prompts)
    family = vlm.family
    assert batch.uids == ("one", "none", "two")
    assert batch.picture_counts == (1, 0, 2)
    assert (
        batch.image_tokens
        == {
            "llava": (4, 0, 8),
            "llava_onevision": (10, 0, 10),
            "qwen2_5_vl": (6, 0, 12),
        }[family]
    )
    for row, prompt in enumerate(prompts):
        text = PROMPTS[family].format(written(vlm, prompt))
        ids = reference.ids(text, list(prompt.images))
        assert batch.inputs["input_ids"][row, -len(ids) :].tolist() == ids
        assert batch.inputs["attention_mask"][row].sum() == len(ids) == batch.prompt_tokens[row]


def test_markers_place_images_in_the_text(vlm: VLM, reference: Reference) -> None:
    family = vlm.family
    one, two = picture(family, 1), picture(family, 2)
    prompt = Prompt(uid="mixed", images=(one, two), text="See <image:2>, then <image:1>: same?")
    holder = PLACEHOLDERS[family]
    text = f"See {holder}, then {holder}: same?"
    text = "\n" + text if family == "llava_onevision" else text
    score = vlm.rank(vlm.encode([prompt]), [["no"]])[0][0].log_probability
    assert score == pytest.approx(reference.score(text, [two, one], "no")[0], abs=2e-5)
    assert score != pytest.approx(reference.score(text, [one, two], "no")[0], abs=1e-3)


def test_unmentioned_images_still_come_first(vlm: VLM, reference: Reference) -> None:
    family = vlm.family
    one, two = picture(family, 1), picture(family, 2)
    prompt = Prompt(uid="mixed", images=(one, two), text="See <image:1>.")
    between = "\n" if family == "llava_onevision" else ""
    text = f"{PLACEHOLDERS[family]}{between}See {PLACEHOLDERS[family]}."
    score = vlm.rank(vlm.encode([prompt]), [["no"]])[0][0].log_probability
    assert score == pytest.approx(reference.score(text, [two, one], "no")[0], abs=2e-5)


def test_regions_stand_in_the_order_of_their_pictures(vlm: VLM) -> None:
    images = tuple(picture(vlm.family, seed) for seed in range(3))
    first, third = ((0.0, 0.0, 0.5, 0.5),), ((0.5, 0.5, 1.0, 1.0),)
    prompt = Prompt(uid="one", images=images, text="Is <image:3> as <image:1>, or <image:3>?")
    known = replace(prompt, regions=(first, (), third))
    assert vlm.encode([known]).regions == (((), third, first, third),)
    assert vlm.encode([replace(known, regions=(first,))]).regions == (((), (), first, ()),)


def test_grey_and_transparent_images_are_made_rgb(vlm: VLM) -> None:
    image = picture(vlm.family, 0).convert("L")
    images = tuple(image.convert(mode) for mode in ("L", "RGBA", "1"))
    _, shown = vlm.chat.render(Prompt(uid="grey", images=images, text="?"))
    assert [picture.mode for picture in shown] == ["RGB"] * 3
    assert shown[0].getpixel((3, 3)) == (image.getpixel((3, 3)),) * 3


def test_prompts_that_cannot_be_asked_say_why(vlm: VLM) -> None:
    reserved = IMAGE_TOKENS[vlm.family]
    with pytest.raises(ModelError, match="'bad', but it contains the reserved token"):
        vlm.encode([Prompt(uid="bad", images=(), text=f"A {reserved} here")])
    with pytest.raises(ModelError, match=r"k from 1 to 0 in the text of 'bad', but \[2\]"):
        vlm.encode([Prompt(uid="bad", images=(), text="A <image:2> here")])


def test_answers_that_change_the_prompt_are_refused(vlm: VLM) -> None:
    ids = [*vlm.chat.tokens(["th"])[0][:-1], FIRST_TEXT_ID]
    with pytest.raises(PromptError, match=r"'one' to stay.*tokenizer merges across the border"):
        vlm.chat.answer_tokens("one", "the", ids, "e cat")


def test_bfloat16_scores_are_close_and_unrounded(
    checkpoints: dict[str, Path], loaded: dict[str, VLM], settings: dict
) -> None:
    half = load(checkpoint=str(checkpoints["llava"]), **{**settings, "dtype": "bfloat16"})
    prompt = Prompt(uid="one", images=(picture("llava", 0),), text="Is there a cat?")
    (low,) = numbers(half.rank(half.encode([prompt]), [["yes", "no"]]))
    (full,) = numbers(loaded["llava"].rank(loaded["llava"].encode([prompt]), [["yes", "no"]]))
    assert half.provenance()["dtype"] == "bfloat16"
    assert low == pytest.approx(full, rel=0.05)
    assert all(value != torch.tensor(value).bfloat16().item() for value in low)


def test_interventions_reach_scores_and_know_the_samples(vlm: VLM, prompts: list[Prompt]) -> None:
    plain = numbers(vlm.rank(vlm.encode(prompts), CANDIDATES))
    with vlm.intervene(interventions.load("learned")) as log:
        assert numbers(vlm.rank(vlm.encode(prompts), CANDIDATES)) == plain
        assert log.take().uids == ("one", "none", "two")
    noise = interventions.load("gaussian", seed=3)
    with vlm.intervene(noise) as log:
        noisy = numbers(vlm.rank(vlm.encode(prompts), CANDIDATES))
        assert (log.take().entries_edited > 0).tolist() == [True, False, True]
        alone = numbers(vlm.rank(vlm.encode(prompts[2:]), CANDIDATES[2:]))
        vlm.generate(vlm.encode(prompts[:1]), 3)
        assert log.take().uids[-1] == "one"
    assert noisy[0] != pytest.approx(plain[0], abs=1e-3)
    assert noisy[1] == pytest.approx(plain[1], abs=2e-5)
    assert noisy[2] == pytest.approx(alone[0], abs=2e-5)
    assert numbers(vlm.rank(vlm.encode(prompts), CANDIDATES)) == plain


def test_what_is_easily_done_wrong_is_answered_with_the_line_that_works(vlm: VLM) -> None:
    for open_block in (vlm.intervene, vlm.watch_shares):
        with (
            pytest.raises(interventions.InterventionError, match=r"write intervene\(model, load"),
            open_block("uniform"),
        ):
            pass
    forgotten = vlm.intervene(interventions.load("learned"))
    with pytest.warns(RuntimeWarning, match=r"write `with vlm.intervene\(...\) as log:`"):
        forgotten.__del__()
    forgotten._used = True  # said once is enough


def test_two_interventions_at_once_are_refused(vlm: VLM) -> None:
    learned = interventions.load("learned")
    with (
        vlm.intervene(learned),
        pytest.raises(ModelError, match="one intervention at a time"),
        vlm.intervene(learned),
    ):
        pass
    with vlm.intervene(learned):
        pass

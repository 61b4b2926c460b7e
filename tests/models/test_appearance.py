"""What a processor makes of a prompt is the prompt: its pictures, and its text around them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from interventions import load
from solvent.core.types import Prompt
from solvent.models.reading import same_text
from solvent.models.vlm import VLM
from tests.random_models import HEADS

SIZES = {"llava": (16, 16), "llava_onevision": (16, 16), "qwen2_5_vl": (16, 24)}  # none is resized


def picture(size: tuple[int, int], seed: int) -> Image.Image:
    width, height = size
    pixels = np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_pictures_arrive_as_they_were(vlm: VLM) -> None:
    size = SIZES[vlm.family]
    images = (picture(size, 0), picture(size, 1))
    prompt = Prompt(uid="a", images=images, text="Are <image:1> and <image:2> alike?")
    seen = vlm.appearance(vlm.encode([prompt])).pictures
    wanted = [np.asarray(image, dtype=int) for image in images]
    came = [np.asarray(image, dtype=int) for image in seen if image.size == size]
    for image in wanted:  # OneVision shows an image whole and in tiles
        assert any(np.abs(image - other).max() <= 1 for other in came)
    assert len(seen) % 2 == 0


def test_spans_tell_what_every_token_is(vlm: VLM) -> None:
    size = SIZES[vlm.family]
    batch = vlm.encode([Prompt(uid="a", images=(picture(size, 0),), text="What is it?")])
    seen = vlm.appearance(batch)
    roles = [role for role, _, _ in seen.spans]
    assert sum(count for _, _, count in seen.spans) == batch.prompt_tokens[0]
    assert seen.image_tokens == batch.image_tokens[0] > 0
    assert roles[-1] == "last"
    assert seen.spans[-1][2] == 1
    assert all(one != other for one, other in pairwise(roles))
    question = next(text for role, text, _ in seen.spans if role == "question")
    assert "What is it?" in question


def test_text_before_the_image_is_the_users_and_can_be_named(vlm: VLM) -> None:
    image = picture(SIZES[vlm.family], 0)
    prompts = [
        Prompt(uid="a", images=(image,), text="Zebras graze. <image:1> Is it so?"),
        Prompt(uid="b", images=(image,), text="Is it so?"),
    ]
    spans = vlm.appearance(vlm.encode(prompts[:1])).spans
    ((text, count),) = [span[1:] for span in spans if span[0] == "preface"]
    assert text.strip() == "Zebras graze."
    named = load("knockout", keys=["preface"], rows=["last"], layers=[0])
    with vlm.intervene(named) as log:
        vlm.generate(vlm.encode(prompts), 1)
        edited = log.take().entries_edited.tolist()
    assert edited == [count * HEADS, 0]
    with vlm.intervene(load("knockout", keys=["system"], rows=["last"], layers=[0])) as log:
        vlm.generate(vlm.encode(prompts), 1)  # no role of turns is named: as ever
        before, without = (entries // HEADS for entries in log.take().entries_edited.tolist())
    assert before >= without + count


def test_without_an_image_there_is_no_picture(vlm: VLM) -> None:
    seen = vlm.appearance(vlm.encode([Prompt(uid="a", images=(), text="What is it?")]))
    assert (seen.pictures, seen.image_tokens) == ((), 0)


def test_several_prompts_are_refused(vlm: VLM) -> None:
    prompts = [Prompt(uid=uid, images=(), text="What is it?") for uid in "ab"]
    with pytest.raises(ValueError, match="one prompt at a time"):
        vlm.appearance(vlm.encode(prompts))


BEGIN, MARK, END = 90, 91, 92  # marks of a prompt
IMAGE, ROW = 99, 80  # what is read in their place
PICTURE = [BEGIN, MARK, END]
SHOWN = [BEGIN, IMAGE, IMAGE, ROW, IMAGE, IMAGE, END]


def is_same(read: list[int], expected: list[int]) -> bool:
    def text_of(tokens: object) -> str:
        raise AssertionError(f"no space is written here, but {tokens} are read as text")

    return same_text(read, expected, None, {BEGIN, MARK, END}, IMAGE, text_of)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, *SHOWN, 2, 3], [1, *PICTURE, 2, 3]),
        ([1, IMAGE, 2, IMAGE, 3], [1, *PICTURE, 2, *PICTURE, 3]),  # marks need not stay
        ([*SHOWN, *SHOWN, 2], [*PICTURE, *PICTURE, 2]),
    ],
)
def test_pictures_in_the_place_of_their_marks(read: list[int], expected: list[int]) -> None:
    assert is_same(read, expected)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ([*SHOWN, 2, 3], [1, *PICTURE, 2, 3]),  # text is lost
        ([1, 4, *SHOWN, 2, 3], [4, 1, *PICTURE, 2, 3]),  # or turned round
        ([1, 2, 3], [1, *PICTURE, 2, 3]),  # the picture is lost
        ([*SHOWN, 1, 2, 3], [1, *PICTURE, 2, 3]),  # or moved to the front
        ([*SHOWN, *SHOWN, 2, 3], [*PICTURE, 2, *PICTURE, 3]),
    ],
)
def test_another_text_and_another_place_are_noticed(read: list[int], expected: list[int]) -> None:
    assert not same_text(read, expected, None, {BEGIN, MARK, END}, IMAGE, lambda _: "")

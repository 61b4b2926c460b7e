"""Answers that go on to another picture, against greedy decoding of one plain sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interventions
from solvent.core.types import Prompt
from solvent.models.speaking import Speaker, Thinking
from solvent.models.vlm import VLM
from tests.models.plain_answers import PROMPTS, Reference
from tests.models.test_tiny_interventions import tiny
from tests.models.test_vlm import picture, written

__all__ = ["tiny"]  # a fixture
LIMIT = 6


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("It is red. It is big.", "It is red."),
        ("Is it red? Yes.", "Is it red?"),
        ('It says "go!" in red. Then no.', 'It says "go!"'),
        ("It is 3.5 times as big as a. is. No.", "It is 3.5 times as big as a."),
        ("1. A red dot. 2. A blue dot.", "1. A red dot."),
        ("a red dot\nand a line", "a red dot"),
        ("red", "red"),
        ("It is red.", "It is red."),
        ("", ""),
    ],
)
def test_the_first_sentence_of_an_answer(tiny: VLM, said: str, first: str) -> None:
    tokens = tiny.processor.tokenizer(said, add_special_tokens=False)["input_ids"]
    (whole,) = tiny.chat.decode([tokens])
    assert whole.split() == said.split()
    begun = tiny.chat.first_sentence(Speaker(9, (), None, answer=tokens, opening=[5]))
    assert begun[0] == 5
    assert begun[1:] == tokens[: len(begun) - 1]
    assert tiny.chat.decode([begun[1:]])[0].split() == first.split()


def test_what_was_said_is_read_to_another_picture_and_gone_on_with(
    vlm: VLM, checkpoints: dict[str, Path]
) -> None:
    """Rows that were begun differently are padded and stop apart, as they would alone."""
    family = vlm.family
    reference = Reference(family, checkpoints[family])
    own = [
        Prompt(uid="a", images=(picture(family, 1),), text="Is there a red square in it?"),
        Prompt(uid="b", images=(picture(family, 2),), text="How many?"),
    ]
    later = [replace(one, images=(picture(family, 5 + place),)) for place, one in enumerate(own)]
    said = [
        reference.greedy(written(vlm, one), list(one.images), LIMIT, tuple(vlm._stop_tokens()))
        for one in own
    ]
    begun = [said[0][:3], said[1][:1]]
    responses = vlm.respond(vlm.encode(later), LIMIT, begun)
    for prompt, first, response in zip(later, begun, responses, strict=True):
        ids = reference.ids(PROMPTS[family].format(written(vlm, prompt)), list(prompt.images))
        new = list(first)
        while len(new) < LIMIT:
            token = reference.logits(ids + new, list(prompt.images))[-1].argmax().item()
            if token in vlm._stop_tokens():
                break
            new.append(token)
        assert [response.answer] == vlm.chat.decode([new])
        assert [response.begun] == vlm.chat.decode([first])
    assert vlm.respond(vlm.encode(own), LIMIT, [[], []]) == [
        replace(one, begun="") for one in vlm.respond(vlm.encode(own), LIMIT)
    ]


def test_the_whole_answer_again_is_the_answer(vlm: VLM) -> None:
    """Random answers have no sentence, so that all of it is begun with, edits or not."""
    batch = vlm.encode([Prompt(uid="a", images=(picture(vlm.family, 1),), text="How many?")])
    for name in ("learned", "uniform"):
        with vlm.intervene(interventions.load(name)):
            (whole,) = vlm.respond(batch, LIMIT)
            begun = vlm.begin(batch, LIMIT)
            (again,) = vlm.respond(batch, LIMIT, begun)
        assert (again.answer, again.cut) == (whole.answer, whole.cut)
        assert again.begun == whole.answer


def test_a_thought_is_read_again_before_the_answer() -> None:
    """Tokens that end a spent thought are forced on both passes, and none is lost or doubled."""
    settings: dict[str, Any] = {"budget": 2, "opened": True, "begin": (1,), "end": (2,)}
    thinking = Thinking(**settings, ends=lambda tokens: tokens == [2], cut=(8, 2))

    def spoken(tokens: list[int]) -> tuple[Speaker, list[int]]:
        speaker = Speaker(limit=4, stops=(3,), thinking=thinking)
        return speaker, [speaker.says(token) for token in tokens]

    first, read = spoken([7, 7, 9, 9, 5, 6, 3])
    assert (first.opening, first.answer) == ([7, 7, 8, 2], [5, 6])
    again, same = spoken([*first.opening, *first.answer[:1], 4, 3])
    assert same[:5] == read[:5]
    assert (again.opening, again.answer, again.thought) == (first.opening, [5, 4], first.thought)

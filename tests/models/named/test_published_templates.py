"""Prompts are what the makers of a family publish, on fixtures of their chat templates."""

from __future__ import annotations

from functools import cache

import pytest
from PIL import Image

from solvent.core.types import Prompt
from solvent.models.chat import Chat
from tests.models.named.published_templates import (
    ONE,
    SEVERAL,
    Published,
    Words,
    conversation,
    load_published,
)

PUBLISHED = load_published()
THINKING = [name for name, entry in PUBLISHED.items() if entry.thinking]
WITH_TURNS = [name for name, entry in PUBLISHED.items() if entry.turns]


@pytest.fixture(params=PUBLISHED)
def published(request: pytest.FixtureRequest) -> Published:
    return PUBLISHED[request.param]


@cache
def processor_of(name: str) -> Words:
    return PUBLISHED[name].processor()


def chat_of(published: Published, thinking: int = 0) -> Chat:
    plain = "plain" if published.template is None else None
    return Chat(processor_of(published.name), chat_template=plain, thinking=thinking)


def prompt(text: str, images: int) -> Prompt:
    pictures = tuple(Image.new("RGB", (4 + k, 4)) for k in range(images))
    return Prompt(uid="q", images=pictures, text=text)


def test_prompts_are_the_published_ones(published: Published) -> None:
    chat = chat_of(published)
    assert chat.render(prompt(ONE, 1))[0] == published.one
    text, images = chat.render(prompt(SEVERAL, 2))
    assert text == published.several
    assert [image.size for image in images] == [(4, 4), (5, 4)]


@pytest.mark.parametrize("name", THINKING)
def test_a_model_that_is_to_think_is_asked_as_published(name: str) -> None:
    assert chat_of(PUBLISHED[name], 64).render(prompt(ONE, 1))[0] == PUBLISHED[name].thinking


@pytest.mark.parametrize("name", WITH_TURNS)
def test_several_turns_are_the_published_ones(name: str) -> None:
    """What a fixture's own template says of earlier turns: roles of tokens are tried on it."""
    told = processor_of(name).apply_chat_template(
        conversation(), add_generation_prompt=True, enable_thinking=False
    )
    assert told == PUBLISHED[name].turns


def test_a_prompt_is_opened_once_and_an_answer_is_ended(published: Published) -> None:
    chat, tokenizer = chat_of(published), processor_of(published.name).tokenizer
    (ids,) = chat.tokens([published.one])
    assert ids.count(tokenizer.convert_tokens_to_ids(published.image)) == 1
    if published.bos is not None:
        assert [ids[0], ids.count(ids[0])] == [tokenizer.bos_token_id, 1]
    assert tokenizer.decode([chat.terminator]) == published.ends
    chat.refuse_reserved(prompt(ONE, 1), ids)


def test_an_image_stands_where_the_text_says(published: Published) -> None:
    text, images = chat_of(published).render(prompt("Is <image:2> like <image:1>?", 2))
    assert [image.size for image in images] == [(5, 4), (4, 4)]
    before, between, after = text.split(published.image)
    assert before.count("Is ") == between.count(" like ") == after.count("?") == 1

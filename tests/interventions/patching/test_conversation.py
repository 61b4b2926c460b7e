"""Who wrote which tokens, on published chat templates, against words looked for in the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from interventions import turns
from interventions.methods.selectors import ROLES, token_roles
from tests.models.named.published_templates import Published, Words, load_published

HEAD = """
{%- macro joined(parts) -%}
  {%- for part in parts -%}
    {{- '<|vision_start|><|image_pad|><|vision_end|>' if part.type == 'image' else part.text -}}
  {%- endfor -%}
{%- endmacro -%}
"""
PICTURES_FIRST = """
{%- for m in messages -%} {%- for part in m.content if part.type == 'image' -%}
  {{- '<|image_pad|>' -}}
{%- endfor -%} {%- endfor -%}
{%- for m in messages -%}
  {{- '\n' + m.role + ': ' -}}
  {%- for part in m.content if part.type == 'text' -%} {{- part.text | trim + ' ' -}} {%- endfor -%}
{%- endfor -%}
{{- '\nassistant:' -}}
"""
FORGETS = """
{%- for m in messages -%}
  {%- set text = joined(m.content) -%}
  {%- set text = text.split('</think>')[-1].lstrip('\n') -%}
  {{- '<|im_start|>' + m.role + '\n' + text.strip() + '<|im_end|>\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\n' -}}
"""
RETELLS = """
{%- for m in messages -%}
  {%- set text = joined(m.content) -%}
  {{- '<|im_start|>' + m.role + '\n' -}}
  {%- if '</think>' in text -%}
    {%- set thought = text.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') -%}
    {{- '<think>\n' + thought + '\n</think>\n\n' + text.split('</think>')[-1].lstrip('\n') -}}
  {%- else -%} {{- text -}} {%- endif -%}
  {{- '<|im_end|>\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' -}}
"""
ODD = {"pictures first": PICTURES_FIRST, "forgets": HEAD + FORGETS, "retells": HEAD + RETELLS}
"""What templates do with texts, and no fixture does."""

PUBLISHED = {name: each for name, each in load_published().items() if each.template}
PUBLISHED |= {name: replace(PUBLISHED["qwen3_vl"], template=ODD[name]) for name in ODD}
EARLY = "Zebras graze, mostly."  # texts: none is part of another, or of a template
WORDS = {
    "user": ("Quokkas?", "Narwhals <b>swim</b>?", "Ocelots."),
    "assistant": ("Yaks <i>do</i>!", "7"),
}
THOUGHT = "Vultures think"


@cache
def processor_of(name: str) -> Words:
    return PUBLISHED[name].processor()


@pytest.fixture(params=PUBLISHED)
def published(request: pytest.FixtureRequest) -> Published:
    return PUBLISHED[request.param]


def turn(role: str, *parts: str | None) -> dict[str, Any]:
    """A message; None is an image."""
    content = [{"type": "image"} if p is None else {"type": "text", "text": p} for p in parts]
    return {"role": role, "content": content}


def otherwise(message: dict[str, Any]) -> dict[str, Any]:
    """As some templates want it: an answer is one text, and a part's text is its `content`."""
    if message["role"] == "assistant":
        return {"role": "assistant", "content": message["content"][0]["text"]}
    parts = [{**part, "content": part.get("text")} for part in message["content"]]
    return {"role": "user", "content": parts}


CONVERSATIONS = {
    "one turn": [turn("user", None, WORDS["user"][0])],
    "text first": [turn("user", EARLY, None, WORDS["user"][0])],
    "only text": [turn("user", WORDS["user"][0])],
    "two images": [turn("user", None, EARLY, None, WORDS["user"][0])],
    "three turns": [
        turn("user", None, f"  {WORDS['user'][0]}\n"),
        turn("assistant", f"{WORDS['assistant'][0]} "),
        turn("user", WORDS["user"][1]),
        turn("assistant", WORDS["assistant"][1]),
        turn("user", WORDS["user"][2]),
    ],
    "an image in every turn": [
        turn("user", EARLY, None),
        turn("assistant", WORDS["assistant"][0]),
        turn("user", None, WORDS["user"][1]),
        turn("assistant", WORDS["assistant"][1]),
        turn("user", None, WORDS["user"][2]),
    ],
    "a thought": [
        turn("user", None, WORDS["user"][0]),
        turn("assistant", f"<think>\n{THOUGHT}\n</think>\n\n{WORDS['assistant'][0]}"),
        turn("user", WORDS["user"][2]),
    ],
}


def expanded(ids: Sequence[int], image: int, mark: Sequence[int]) -> list[int]:
    """The ids as a processor would give them: two tiles for every image, with text round them."""
    found: list[int] = []
    for token in ids:
        tiles = [*mark, *[image] * 3, *mark, image, *mark]
        found += tiles if token == image else [token]
    return found


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_roles_are_right_token_by_token(published: Published, name: str) -> None:
    """One token is one byte, so texts are found in the bytes of the prompt."""
    processor, conversation = processor_of(published.name), CONVERSATIONS[name]
    if published.name == "pixtral_at_first":
        conversation = [otherwise(message) for message in conversation]
    tokenizer = processor.tokenizer
    ids = tokens_of(published.name, conversation)
    image = tokenizer.convert_tokens_to_ids(published.image)
    padded = {
        "input_ids": torch.tensor([[image, image, *ids]]),
        "attention_mask": torch.tensor([[0, 0, *[1] * len(ids)]]),
    }
    spans = turns(processor, conversation, padded)
    found = token_roles(
        padded["input_ids"], padded["attention_mask"].bool(), torch.tensor([len(ids)]), image,
        turns=spans,
    )  # fmt: skip
    expected = by_words(tokenizer.convert_ids_to_tokens(ids), published.image)
    assert [ROLES[role] for role in found[0, 2:].tolist()] == expected


def test_thoughts_are_kept_and_dropped_and_pictures_are_moved() -> None:
    thought, told = CONVERSATIONS["a thought"], CONVERSATIONS["text first"]
    kept = {name: THOUGHT in processor_of(name).apply_chat_template(thought) for name in ODD}
    assert kept == {"pictures first": True, "forgets": False, "retells": True}
    (spans,) = turns(processor_of("forgets"), thought, as_inputs(tokens_of("forgets", thought)))
    assert [stop - start for who, start, stop in spans if who == "assistant"] == [
        len(WORDS["assistant"][0])
    ]
    assert processor_of("pictures first").apply_chat_template(told).startswith("<|image_pad|>\n")


def test_equal_answers_between_images_are_each_found() -> None:
    processor, name = processor_of("qwen2_vl"), "qwen2_vl"
    turns_of = [turn("user", None, "Red?"), turn("assistant", "Yes."), turn("user", None, "Blue?")]
    talk = [*turns_of, turn("assistant", "Yes."), turn("user", None, "Why?")]
    ids = tokens_of(name, talk)
    spelt_out = "".join(processor.tokenizer.convert_ids_to_tokens(ids))
    assert spelt_out.count("Yes.") == 2
    (spans,) = turns(processor, talk, {"input_ids": [ids]})
    answers = [ids[start:stop] for who, start, stop in spans if who == "assistant"]
    assert [processor.tokenizer.decode(each) for each in answers] == ["Yes.", "Yes."]


@pytest.mark.parametrize(
    ("name", "opening"), [("qwen2_vl", "<|im_start|>assistant\n"), ("llava_1_5", "ASSISTANT: ")]
)
def test_texts_of_one_letter_are_found(name: str, opening: str) -> None:
    """A letter that stands in all other texts too."""
    processor = processor_of(name)
    talk = [turn("user", "e", None), turn("assistant", "e"), turn("user", None, "Is there one?")]
    talk += [turn("assistant", "e"), turn("user", "None there?", None, "e")]
    ids, decode = tokens_of(name, talk), processor.tokenizer.decode
    (spans,) = turns(processor, talk, as_inputs(ids))
    for who, start, stop in spans:
        if who == "assistant":
            assert decode(ids[start:stop]) == "e"
            assert decode(ids[:start]).endswith(opening)
    image = processor.tokenizer.convert_tokens_to_ids(PUBLISHED[name].image)
    early = [span for span in spans if span[1] < ids.index(image)]
    assert [decode(ids[start:stop]) for _, start, stop in early] == ["e"] * (name == "qwen2_vl")
    assert len([who for who, *_ in spans if who == "assistant"]) == 2


def test_an_image_within_a_text_is_the_templates() -> None:
    """As a program writes it that puts images where a question mentions them."""
    written = "<|vision_start|><|image_pad|><|vision_end|>"
    talk = [turn("user", f"{EARLY}{written}{WORDS['user'][0]}")]
    ids = tokens_of("qwen2_vl", talk)
    (spans,) = turns(processor_of("qwen2_vl"), talk, as_inputs(ids))
    decode = processor_of("qwen2_vl").tokenizer.decode
    assert [decode(ids[start:stop]) for _, start, stop in spans] == [EARLY, WORDS["user"][0]]


def test_several_rows_and_a_tokenizer_alone() -> None:
    processor = processor_of("llava_next_mistral")
    talks = [CONVERSATIONS["three turns"], CONVERSATIONS["one turn"]]
    rows = [tokens_of("llava_next_mistral", talk) for talk in talks]
    apart = [turns(processor, *pair)[0] for pair in zip(talks, map(as_inputs, rows), strict=True)]
    assert turns(processor, talks, {"input_ids": rows}) == tuple(apart)
    assert turns(processor, talks, {"input_ids": rows}, add_generation_prompt=False) == tuple(apart)
    tokenizer = processor.tokenizer
    tokenizer.chat_template = processor.chat_template
    assert turns(tokenizer, talks[0], as_inputs(rows[0])) == (apart[0],)
    with pytest.raises(ValueError, match="a conversation for each of 2 rows, got 1"):
        turns(processor, talks[:1], {"input_ids": rows})


def test_a_token_that_holds_a_letter_of_a_text_belongs_to_it() -> None:
    """Where a tokenizer joins the end of an answer and what the template writes behind it."""
    known = {each: place for place, each in enumerate((*"AQab?.: ĊĠ", ".Ċ", ":Ġ"))}
    made = Tokenizer(models.BPE(vocab=known, merges=[(".", "Ċ"), (":", "Ġ")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    template = "{% for m in messages %}{{ 'A: ' if m.role == 'assistant' else 'Q: ' }}"
    template += "{{ m.content | trim }}\n{% endfor %}"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template)
    talk = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": " b.\n"}]
    ids = tokenizer("Q: a?\nA: b.\n")["input_ids"]
    assert len(ids) == 9  # Q ": " a ? newline A ": " b ".newline"
    assert turns(tokenizer, talk, {"input_ids": [ids]}) == ((("user", 2, 4), ("assistant", 7, 9)),)


def test_what_cannot_be_followed_is_refused() -> None:
    processor, talk = processor_of("qwen2_vl"), CONVERSATIONS["an image in every turn"]
    inputs = as_inputs(tokens_of("qwen2_vl", talk))
    cut = "{% for m in messages %}{{ m.content[0].text[:9] }}{% endfor %}"
    spoken = [turn("user", EARLY), turn("assistant", EARLY)]
    with pytest.raises(ValueError, match="a chat template that writes texts"):
        turns(processor, spoken, inputs, chat_template=cut)
    with pytest.raises(ValueError, match="each in one place, but"):
        turns(processor, [*talk[:3], turn("assistant", "Other."), *talk[4:]], inputs)
    with pytest.raises(ValueError, match="without characters of Unicode's private plane"):
        turns(processor, [turn("user", "\U000f0001")], inputs)
    with pytest.raises(ValueError, match="a fast tokenizer"):
        turns(Slow(), [turn("user", "a")], inputs)


class Slow:
    def apply_chat_template(self, messages: Any, **settings: Any) -> str:
        return "".join(part["text"] for message in messages for part in message["content"])


def tokens_of(name: str, talk: Any) -> list[int]:
    """A prompt's tokens, images grown."""
    processor, published = processor_of(name), PUBLISHED[name]
    tokenizer = processor.tokenizer
    text = processor.apply_chat_template(talk, add_generation_prompt=True)
    opened = published.bos is None or not text.startswith(published.bos)
    ids = tokenizer(text, add_special_tokens=opened)["input_ids"]
    mark = tokenizer("TILE\n", add_special_tokens=False)["input_ids"]
    return expanded(ids, tokenizer.convert_tokens_to_ids(published.image), mark)


def as_inputs(ids: list[int]) -> dict[str, Any]:
    return {"input_ids": [ids]}


def by_words(tokens: Sequence[str], image: str) -> list[str]:
    """The role of every token, from the words alone. A token of several letters is special."""
    letters = "".join(token if len(token) == 1 else "\0" for token in tokens)
    first = next((place for place, token in enumerate(tokens) if token == image), -1)
    roles = ["system" if place < first else "question" for place in range(len(tokens))]
    for word in (EARLY, *WORDS["user"]):
        if -1 < (start := letters.find(spelt(word))) < first:
            roles[start : start + len(word)] = ["preface"] * len(word)
    answer = WORDS["assistant"][0]
    ends = (f"\n</think>\n\n{answer}", f"\n\0\n\n{answer}", "")
    thoughts = [THOUGHT + end for end in ends]
    thoughts = [start + word for start in ("<think>\n", "\0\n", "") for word in thoughts]
    known = next((word for word in thoughts if spelt(word) in letters), None)
    for word in (*WORDS["assistant"], *filter(None, [known])):
        if (start := letters.find(spelt(word))) > -1:
            roles[start : start + len(word)] = ["answer"] * len(word)
    roles = ["image" if token == image else role for token, role in zip(tokens, roles, strict=True)]
    return [*roles[:-1], "last"]


def spelt(word: str) -> str:
    return word.replace(" ", "Ġ").replace("\n", "Ċ")

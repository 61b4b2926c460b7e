"""What a processor makes of rendered prompts and their pictures, as the model's forward takes it.

Nothing here knows families: what a processor wants and adds is found out by trying it.

Axes: B batch, T tokens of the longest row (left-padded).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from interventions.patching.upstream import image_token, parameters
from solvent.models.chat import Chat

PER_TOKEN = (  # what has an entry per token; everything else that a model takes is of pictures
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "mm_token_type_ids",
    "moe_mm_token_type_ids",
)
OFFSETS = "text_replacement_offsets"  # where a processor put what in the place of a picture
PROBE = Image.new("RGB", (64, 48), "gray")
WORD = 8  # tokens of a word at most
REFUSALS = (ValueError, TypeError, IndexError, AttributeError)  # what processors raise
Pictures = Sequence[Image.Image]


@dataclass(frozen=True, kw_only=True)
class Read:
    """A batch as the processor reads it."""

    inputs: Mapping[str, Tensor]  # arguments of the model's forward, on the CPU
    expanded: tuple[str | None, ...]  # texts with what stands for pictures, None where not told


class Reader:
    """A processor, called as it wants to be. One thread at a time."""

    def __init__(self, processor: Any, chat: Chat, model: PreTrainedModel) -> None:
        self._processor, self._chat = processor, chat
        self._accepted = frozenset(parameters(model))
        self._image_token = image_token(model)
        self._per_prompt: bool | None = None  # how pictures are handed over, once that is known

    def read(self, texts: Sequence[str], pictures: Sequence[Pictures]) -> Read:
        """Rendered prompts, and the pictures of each in the order of its text.

        Raises what the processor raises, in most cases a `ValueError`.
        """
        shown = any(pictures)
        if shown and not all(pictures) and not self._reads_text:
            encoded = self._mixed(texts, pictures)
        else:
            encoded = self._called(list(texts), pictures) if shown else self._text(list(texts))
        inputs = {
            name: torch.as_tensor(value)
            for name, value in encoded.items()
            if name in self._accepted and name != "labels" and (shown or name in PER_TOKEN)
        }
        told = encoded.get(OFFSETS)
        known = told is not None and len(told) == len(texts)  # some tell of rows with pictures only
        offsets = list(told) if known else [None] * len(texts)
        expanded = tuple(
            text if not images and places is None else _expanded(text, places)
            for text, places, images in zip(texts, offsets, pictures, strict=True)
        )
        return Read(inputs=inputs, expanded=expanded)

    def of_pictures(self, pictures: Pictures) -> dict[str, Tensor]:
        """What the vision encoder takes of the pictures of one prompt."""
        inputs = self.read([self._chat.image_text * len(pictures)], [pictures]).inputs
        return {name: value for name, value in inputs.items() if name not in PER_TOKEN}

    @property
    def tail(self) -> str:
        """What the processor itself writes behind every text."""
        return self._edges[1]

    @cached_property
    def _edges(self) -> tuple[str, str]:
        """What the processor itself writes between pictures and a text, and behind the text."""
        text = f"{self._chat.image_text}0"
        (plain,) = self._chat.tokens([text])
        (ids,) = self.read([text], [[PROBE]]).inputs["input_ids"].tolist()
        if plain[-1] not in ids:
            return "", ""
        place = len(ids) - 1 - ids[::-1].index(plain[-1])
        between, written = (self._behind_image(row) for row in (plain[:-1], ids[:place]))
        if written[: len(between)] == between:
            written = written[len(between) :]
        return self._chat.text_of(written), self._chat.text_of(ids[place + 1 :])

    def _behind_image(self, ids: Sequence[int]) -> list[int]:
        places = [place for place, token in enumerate(ids) if token == self._image_token]
        return list(ids[places[-1] + 1 :]) if places else []

    @cached_property
    def _reads_text(self) -> bool:
        """Whether the processor takes prompts without pictures."""
        try:
            self._encoded(["0"])
        except REFUSALS:
            return False
        return True

    @cached_property
    def siblings_count(self) -> bool:
        """Whether a picture is read otherwise where others stand in the same prompt."""
        one, two = (self._image_tokens(count) for count in (1, 2))
        return two != 2 * one

    def _image_tokens(self, count: int) -> int:
        read = self.read([self._chat.image_text * count], [[PROBE] * count])
        return int((read.inputs["input_ids"] == self._image_token).sum())

    def _called(self, texts: list[str], pictures: Sequence[Pictures]) -> Mapping[str, Any]:
        """With pictures by prompt, or in a flat list where the processor wants that."""
        if self._per_prompt is not False:
            try:
                encoded = self._encoded(texts, images=[list(each) for each in pictures])
            except REFUSALS:
                if self._per_prompt:
                    raise
                encoded = self._flat_or_refuse(texts, pictures)
            else:
                self._per_prompt = True
            return encoded
        return self._encoded(texts, images=[image for each in pictures for image in each])

    def _flat_or_refuse(self, texts: list[str], pictures: Sequence[Pictures]) -> Mapping[str, Any]:
        """A flat list, while it is not known what the processor wants; its first error counts."""
        encoded = self._encoded(texts, images=[image for each in pictures for image in each])
        self._per_prompt = False
        return encoded

    def _text(self, texts: list[str]) -> Mapping[str, Any]:
        """Prompts without pictures; by the tokenizer alone where the processor refuses them."""
        if self._reads_text:
            return self._encoded(texts)
        head, tail = self._edges
        encoded = self._processor.tokenizer(
            [head + text + tail for text in texts],
            padding=True,
            add_special_tokens=self._chat.adds_special_tokens,
            return_tensors="pt",
        )
        types = {name: torch.zeros_like(encoded["input_ids"]) for name in PER_TOKEN[2:]}
        return {**types, **encoded}

    def _mixed(self, texts: Sequence[str], pictures: Sequence[Pictures]) -> Mapping[str, Any]:
        """Prompts with and without pictures, read apart where the processor cannot mix them."""
        order = sorted(range(len(texts)), key=lambda row: not pictures[row])
        count = sum(map(bool, pictures))
        shown, blind = order[:count], order[count:]
        encoded = dict(
            self._called([texts[row] for row in shown], [pictures[row] for row in shown])
        )
        alone = self._text([texts[row] for row in blind])
        fills = {"input_ids": self._processor.tokenizer.pad_token_id}
        back = torch.tensor(order).argsort()
        for name in encoded.keys() & set(PER_TOKEN):
            parts = [torch.as_tensor(each[name]) for each in (encoded, alone)]
            encoded[name] = _stacked(parts, fills.get(name, 0))[back]
        told = encoded.get(OFFSETS)
        if told is not None:
            rows = [*told, *([None] * len(blind))]
            encoded[OFFSETS] = [rows[place] for place in back.tolist()]
        return encoded

    def _encoded(self, texts: list[str], **images: Any) -> Mapping[str, Any]:
        if "mm_token_type_ids" in self._accepted:
            images["return_mm_token_type_ids"] = True
        return self._processor(
            text=texts,
            padding=True,
            add_special_tokens=self._chat.adds_special_tokens,
            return_tensors="pt",
            return_text_replacement_offsets=True,
            **images,
        )


def _stacked(parts: Sequence[Tensor], fill: int) -> Tensor:
    """Rows of different length in one tensor, padded on the left."""
    longest = max(part.shape[1] for part in parts)
    padded = [pad(part, (longest - part.shape[1], 0), value=fill) for part in parts]
    return torch.cat(padded)


def runs_of_one(ids: Sequence[int], token: int) -> list[int]:
    """Tokens, of which one stands only once where it is repeated."""
    before = [None, *ids[:-1]]
    return [each for last, each in zip(before, ids, strict=True) if not each == last == token]


def same_text(
    read: Sequence[int],
    expected: Sequence[int],
    expanded: Sequence[int] | None,
    media: Collection[int],
    image_token: int,
    text_of: Callable[[Sequence[int]], str],
) -> bool:
    """Whether the model reads what the tokenizer makes of a prompt, and answers can follow it.

    Arguments:
        read: the tokens that the model reads.
        expected: of the rendered prompt, in which one mark stands for a picture.
        expanded: of the prompt with what the processor put there, None where it does not say.
        media: tokens of those marks.
        image_token: of `read`, in whose place a feature stands.
        text_of: tokens as text.
    """
    if expanded is not None and list(read) == list(expanded):
        return True
    places = [index for index, token in enumerate(expected) if token in media]
    start = places[-1] + 1 if places else 0
    behind = list(expected[start:])
    if list(read[len(read) - len(behind) :]) != behind:
        word = _word_apart(read, behind, text_of) if places else 0
        if not word:
            return False
        expected = [*expected[:start], *behind[word:]]
    remaining = iter(read)
    before = [None, *expected[:-1]]
    return all(
        (token in media and last in media)  # marks in a row stand for one picture or more
        or (image_token if token in media else token) in remaining
        for last, token in zip(before, expected, strict=True)
    )


def _word_apart(
    read: Sequence[int], behind: Sequence[int], text_of: Callable[[Sequence[int]], str]
) -> int:
    """Tokens of the first word behind a picture, if it alone is read otherwise; 0 if not.

    Some processors put a space between picture and text, which becomes part of a word's token.
    """
    for count in range(1, min(WORD, len(behind)) + 1):
        rest = list(behind[count:])
        if list(read[len(read) - len(rest) :]) == rest:
            before = text_of(read[: len(read) - len(rest)])
            return count if before.endswith(" " + text_of(behind[:count])) else 0
    return 0


def _expanded(text: str, replaced: Sequence[Mapping[str, Any]] | None) -> str | None:
    """A rendered prompt with what a processor put in the place of its pictures."""
    if replaced is None:
        return None
    parts, last = [], 0
    for each in replaced:
        start, end = each["span"]
        parts += [text[last:start], each["replacement"]]
        last = end
    return "".join([*parts, text[last:]])

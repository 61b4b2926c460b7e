"""Who wrote which tokens of a prompt, from the conversation that a chat template made it of.

    inputs = processor.apply_chat_template(conversation, add_generation_prompt=True, ...)
    with intervene(model, load("knockout", keys=["answer"])) as log:
        log.expect(["first"], turns=turns(processor, conversation, inputs))
        model(**inputs)

What a processor puts in the place of an image is not in the rendered text. So its tokens are those
of the prompt up to the first difference, and from the last difference on; text between two images
is looked for in between, and must be found in one place only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, takewhile
from typing import Any

from torch import Tensor

from interventions.calls import called_as
from interventions.methods.selectors import Span
from interventions.patching.rendered_text import Message, written_characters


@called_as("turns(processor, conversation, inputs)")
def turns(
    processor: Any,
    conversation: Sequence[Message] | Sequence[Sequence[Message]],
    inputs: Mapping[str, Any],
    add_generation_prompt: bool = True,
    **settings: Any,
) -> tuple[tuple[Span, ...], ...]:
    """For every row of `inputs`, who wrote which tokens: what `log.expect(turns=...)` takes.

    Arguments:
        processor: one with a chat template and a fast tokenizer, or such a tokenizer.
        conversation: messages with `role` and `content`, or such a list for every row.
        inputs: what the processor made of it, with `input_ids`.
        settings: others of `apply_chat_template` that the prompt was made with.

    Raises `ValueError` where tokens cannot be told apart without doubt.
    """
    several = not isinstance(conversation[0], Mapping)
    conversations: Any = conversation if several else [conversation]
    rows = _rows(inputs)
    if len(conversations) != len(rows):
        raise ValueError(
            f"Expected a conversation for each of {len(rows)} rows, got {len(conversations)}."
        )
    render = partial(
        processor.apply_chat_template,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
        **settings,
    )
    tokenizer = getattr(processor, "tokenizer", processor)
    return tuple(
        written_tokens(tokenizer, render, messages, ids)
        for messages, ids in zip(conversations, rows, strict=True)
    )


def written_tokens(
    tokenizer: Any,
    render: Callable[[list[Message]], str],
    messages: Sequence[Message],
    ids: Sequence[int],
) -> tuple[Span, ...]:
    """Who wrote which tokens of one prompt, which `render` makes of messages. Errors as `turns`."""
    rendered, written = written_characters(render, messages)
    return tuple(_located(*_tokens(tokenizer, rendered, written, ids), ids))


def passage_tokens(
    tokenizer: Any, rendered: str, passages: Sequence[str], ids: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Where some texts stand in a prompt: (first token, token after the last), all of its places.

    Arguments:
        rendered: the prompt as the chat template wrote it, with these texts as they are.
        ids: the prompt as the model reads it, without padding.

    Errors as `turns`.
    """
    found = [
        ("user", place.start(), place.end())
        for passage in passages
        for place in re.finditer(re.escape(passage), rendered)
    ]
    spans = _located(*_tokens(tokenizer, rendered, found, ids), ids)
    return tuple((start, stop) for _, start, stop in spans)


def _tokens(
    tokenizer: Any, rendered: str, written: Sequence[Span], ids: Sequence[int]
) -> tuple[list[int], list[str | None]]:
    """Tokens of a rendered text and who wrote them: whoever wrote any character of one.

    Opened as the prompt is; the special tokens are the template's.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"Expected a fast tokenizer, which knows the characters of a token, but "
            f"{type(tokenizer).__name__} is none; give log.expect(turns=...) spans of your own."
        )
    options = [
        tokenizer(rendered, add_special_tokens=opened, return_offsets_mapping=True)
        for opened in (False, True)
    ]
    encoded = max(options, key=lambda option: _shared(option["input_ids"], ids))
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    writers: list[str | None] = [None] * len(rendered)
    for who, start, stop in written:
        writers[start:stop] = [who] * (stop - start)
    found = []
    for token, (start, stop) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        whose = () if token in special else writers[start:stop]
        found.append(next((who for who in whose if who is not None), None))
    return list(encoded["input_ids"]), found


def _shared(some: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    pairs = zip(some, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _located(
    alone: Sequence[int], writers: Sequence[str | None], ids: Sequence[int]
) -> Iterator[Span]:
    """The spans of a prompt, from who wrote the tokens of the rendered text alone."""
    before = _shared(alone, ids)
    after = min(_shared(alone[::-1], ids[::-1]), min(len(alone), len(ids)) - before)
    inner, gained = len(alone) - after, len(ids) - len(alone)
    yield from _runs(writers, 0, before)
    middle = list(_runs(writers, before, inner))
    found = [_occurrences(alone, start, stop, ids) for _, start, stop in middle]
    lengths = [stop - start for _, start, stop in middle]
    for (who, *_), place, length in zip(
        middle, _in_order(found, lengths, before, len(ids) - after), lengths, strict=True
    ):
        yield who, place, place + length
    for who, start, stop in _runs(writers, inner, len(alone)):
        yield who, start + gained, stop + gained


def _runs(writers: Sequence[str | None], start: int, stop: int) -> Iterator[Span]:
    """Neighbouring tokens of one writer, within limits."""
    for who, group in groupby(range(start, stop), key=lambda place: writers[place]):
        places = list(group)
        if who is not None:
            yield who, places[0], places[-1] + 1


def _occurrences(alone: Sequence[int], start: int, stop: int, ids: Sequence[int]) -> list[int]:
    """Where some of the tokens stand in a prompt, with as many of their neighbours as possible."""
    needle = list(alone[start:stop])
    candidates = range(len(ids) - len(needle) + 1)
    found = [each for each in candidates if list(ids[each : each + len(needle)]) == needle]
    for step in (-1, 1):
        here, there = (start, 0) if step < 0 else (stop - 1, len(needle) - 1)
        while found and 0 <= (here := here + step) < len(alone):
            there += step
            kept = [
                each
                for each in found
                if 0 <= each + there < len(ids) and ids[each + there] == alone[here]
            ]
            if not kept:
                break
            found = kept
    return found


def _in_order(
    found: Sequence[Sequence[int]], lengths: Sequence[int], start: int, stop: int
) -> list[int]:
    """One place for each text, one behind the other. Raises `ValueError` unless that is one way."""
    first, last = [], []
    for places, length in zip(found, lengths, strict=True):
        place = next((each for each in places if each >= start), None)
        first.append(place)
        start = len(places) if place is None else place + length
    for places, length in zip(reversed(found), reversed(lengths), strict=True):
        place = next((each for each in reversed(places) if each + length <= stop), None)
        last.append(place)
        stop = 0 if place is None else place
    if None in first or first != last[::-1]:
        raise ValueError(
            "Expected the texts of the conversation between the images of the prompt, each in one "
            "place, but they were not found so; render it as the prompt was rendered (the same "
            "settings), or give log.expect(turns=...) spans of your own."
        )
    return [place for place in first if place is not None]


def _rows(inputs: Mapping[str, Any]) -> list[list[int]]:
    """The ids of every row, without padding."""
    ids, mask = inputs["input_ids"], inputs.get("attention_mask")
    rows = ids.tolist() if isinstance(ids, Tensor) else [list(row) for row in ids]
    if mask is None:
        return rows
    kept = mask.tolist() if isinstance(mask, Tensor) else mask
    return [
        [token for token, real in zip(*pair, strict=True) if real]
        for pair in zip(rows, kept, strict=True)
    ]

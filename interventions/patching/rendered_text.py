"""Which characters of a rendered conversation somebody wrote, and which the chat template.

Nothing is assumed of a template but that it writes a text as it is, or leaves it out. It may strip
it, join it with others, put it elsewhere, or drop the thought that comes before an answer: marks
are put round every piece of every text, the conversation is rendered with and without them, and the
marks say which characters are whose. They are right if without them nothing differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interventions.methods.selectors import WRITERS, Span

FIRST_MARK, LAST_MARK = 0xF0000, 0xFFFFD  # characters that no text has: a private plane of Unicode
TAGS = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")  # what a template may look for in a text
PARTS = ("text", "content")  # keys of what a part of a message says
THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # keys of a message, as templates know

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of one of the `WRITERS`, and the numbers of the pairs of marks round its pieces."""

    who: str
    content: str
    pieces: tuple[tuple[int, int, int], ...]  # number of the pair, start, stop within the content


def written_characters(
    render: Callable[[list[Message]], str], messages: Sequence[Message]
) -> tuple[str, list[Span]]:
    """The rendered conversation, and who wrote which of its characters.

    Raises `ValueError` where a template does not write texts as they are.
    """
    texts: list[Text] = []
    marked = [_marked(message, texts) for message in messages]
    plain = render(list(messages))
    bare, places = _unmarked(render(marked))
    if bare != plain:
        raise ValueError(
            "Expected a chat template that writes texts as they are, but this one writes other "
            "things where marks stand in them; give log.expect(turns=...) spans of your own."
        )
    spans = [span for text in texts for span in _spans(text, places, plain)]
    return plain, sorted(spans, key=lambda span: span[1])


def _marked(message: Message, texts: list[Text]) -> Message:
    """A message with marks in the texts of one of the `WRITERS`, which are added to `texts`."""
    who, result = message["role"], dict(message)
    if who not in WRITERS:
        return result
    for key in ("content", *THOUGHTS):
        value = message.get(key)
        if isinstance(value, str):
            result[key] = _with_marks(who, value, texts)
        elif isinstance(value, Sequence):
            result[key] = [_marked_part(who, part, texts) for part in value]
    return result


def _marked_part(who: str, part: Any, texts: list[Text]) -> Any:
    if isinstance(part, str):
        return _with_marks(who, part, texts)
    if not isinstance(part, Mapping):
        return part
    known = {key: part[key] for key in PARTS if isinstance(part.get(key), str)}
    return {**part, **{key: _with_marks(who, text, texts) for key, text in known.items()}}


def _with_marks(who: str, content: str, texts: list[Text]) -> str:
    """Marks round what stands between tags, white space at its ends outside of them."""
    number = sum(len(text.pieces) for text in texts)
    stripped = [_strip(content, *piece) for piece in _between_tags(content)]
    found = [piece for piece in stripped if piece[0] < piece[1]]
    if not found and content.strip():  # nothing but tags
        found = [_strip(content, 0, len(content))]
    if FIRST_MARK + 2 * (number + len(found)) > LAST_MARK or any(map(_is_mark, content)):
        raise ValueError(
            "Expected texts without characters of Unicode's private plane 15, and with less than "
            "32,000 tags in all; give log.expect(turns=...) spans of your own."
        )
    texts.append(
        Text(
            who=who,
            content=content,
            pieces=tuple((number + place, *piece) for place, piece in enumerate(found)),
        )
    )
    parts, end = [], 0
    for pair, start, stop in texts[-1].pieces:
        parts += [content[end:start], _mark(2 * pair), content[start:stop], _mark(2 * pair + 1)]
        end = stop
    return "".join([*parts, content[end:]])


def _between_tags(content: str) -> Iterator[tuple[int, int]]:
    end = 0
    for tag in TAGS.finditer(content):
        yield end, tag.start()
        end = tag.end()
    yield end, len(content)


def _strip(content: str, start: int, stop: int) -> tuple[int, int]:
    """A piece of a text without the white space at its ends."""
    piece = content[start:stop]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _mark(number: int) -> str:
    return chr(FIRST_MARK + number)


def _is_mark(character: str) -> bool:
    return FIRST_MARK <= ord(character) <= LAST_MARK


def _unmarked(marked: str) -> tuple[str, dict[int, list[int]]]:
    """A rendered text without marks, and at which of its characters every mark stood."""
    bare: list[str] = []
    places: dict[int, list[int]] = {}
    for character in marked:
        if _is_mark(character):
            places.setdefault(ord(character) - FIRST_MARK, []).append(len(bare))
        else:
            bare.append(character)
    return "".join(bare), places


def _spans(text: Text, places: Mapping[int, Sequence[int]], plain: str) -> Iterator[Span]:
    """Where a text stands among the rendered characters, piece by piece.

    With all that stands before and behind a piece in the text, where the template has written it,
    which are tags above all.
    """
    for pair, first, after in text.pieces:
        starts, stops = places.get(2 * pair, ()), places.get(2 * pair + 1, ())
        if len(starts) != len(stops):
            raise ValueError(
                f"Expected a chat template that writes texts whole, but this one cuts "
                f"{text.content[first:after]!r}; give log.expect(turns=...) spans of your own."
            )
        before, behind = text.content[:first].lstrip(), text.content[after:].rstrip()
        for start, stop in zip(starts, stops, strict=True):
            earlier = len(before) if plain.endswith(before, 0, start) else 0
            later = len(behind) if plain.startswith(behind, stop) else 0
            yield text.who, start - earlier, stop + later

"""Where sentences, lines and brackets of an answer begin and end."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!i\.e\.)(?<!e\.g\.)\s+|\n+|(?<=[。！？])")
LINE_END = re.compile(r"\n")


def sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Start and end of every sentence between two places."""
    ends = [match.end() for match in SENTENCE_END.finditer(text, start, end)]
    return list(zip([start, *ends], [*ends, end], strict=True))


def sentence_end(text: str, start: int) -> int:
    """Where the sentence ends that `start` is in."""
    match = SENTENCE_END.search(text, start)
    return match.end() if match else len(text)


def lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Start and end of every line between two places."""
    ends = [match.end() for match in LINE_END.finditer(text, start, end)]
    return list(zip([start, *ends], [*ends, end], strict=True))


def closing(text: str, start: int) -> int:
    """Where the curly bracket that was opened before `start` is closed."""
    depth = 1
    for place, character in enumerate(text[start:], start=start):
        depth += (character == "{") - (character == "}")
        if not depth:
            return place
    return len(text)

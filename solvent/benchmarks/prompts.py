"""Prompt profiles: how a question is put into words, as data (`conf/prompt/*.yaml`)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from solvent.core.types import Sample

By = Literal["letter", "words"]
"""What an answer consists of: the letter of an option, or the option's own words."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The lines of a prompt.

    Attributes:
        lines: templates over {context}, {question}, {options} and whatever the benchmark keeps in
            `meta`, joined by line breaks. A line with {context} is left out where a sample has
            none; options appear only where a line names {options}.
        option: how one option is written, a template over {letter} and {option}; one per line.
            None where `lines` lists no options.
    """

    lines: Sequence[str]
    option: str | None

    def __post_init__(self) -> None:
        if not any("{question}" in line for line in self.lines):
            raise ValueError("a layout has a line with {question}, which conditions reword")
        listed = any("{options}" in line for line in self.lines)
        if listed != (self.option is not None):
            raise ValueError("a layout has an option style exactly when a line names {options}")

    def write(self, sample: Sample) -> str:
        """The user's text for one sample. Raises `ValueError` where `meta` lacks a name."""
        values = {
            **sample.meta,
            "context": sample.context,
            "question": sample.text,
            "options": "\n".join(
                (self.option or "").format(letter=letter, option=option)
                for letter, option in zip(letters(len(sample.options)), sample.options, strict=True)
            ),
        }
        lines = [
            line for line in self.lines if "{context}" not in line or sample.context is not None
        ]
        try:
            return "\n".join(line.format_map(values) for line in lines)
        except KeyError as missing:
            raise ValueError(
                f"the prompt names {{{missing.args[0]}}}, but {sample.uid} has only "
                f"{', '.join(values)}: choose another prompt, or keep it in source.sample.meta"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named way of asking.

    Attributes:
        name: of the profile, for tables and logs.
        letter: layout of questions that are answered by a letter; lists the options.
        words: layout of questions that are answered in words.
    """

    name: str
    letter: Layout
    words: Layout

    def __post_init__(self) -> None:
        if self.letter.option is None or "{letter}" not in self.letter.option:
            raise ValueError(
                f"prompt profile {self.name}: the option style for letters must name {{letter}}"
            )

    def write(self, sample: Sample, by: By) -> str:
        """The user's text for one sample that is answered by a letter or in words."""
        return (self.letter if by == "letter" else self.words).write(sample)


def letters(count: int) -> tuple[str, ...]:
    """The letters of `count` options: A, B, C, ... Raises `ValueError` above 26."""
    if count > len(string.ascii_uppercase):
        raise ValueError(f"{count} options are more than there are letters")
    return tuple(string.ascii_uppercase[:count])

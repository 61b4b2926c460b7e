"""Columns -> Sample: a row of any table becomes a `Sample` by a mapping that stands in YAML.

A *cell* is how one value is made from the row's columns:

- a string is a template over the columns: `"{identifier}-{permutation}"`, always text;
- `{from: column}` is the column as it is; `{from: [A, B, C]}` is a list of columns, absent ones
  at the end left out;
- `{from: column, as: name, ...}` sends it through a named transform with its arguments.
"""

from __future__ import annotations

import ast
import difflib
import math
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evaluation.types import LazyImage, Sample

Row = Mapping[str, Any]
Cell = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The mapping from the columns of a table to a `Sample`.

    Attributes:
        uid: cell; stable and unique over the benchmark, e.g. "nlvr/dev/{identifier}".
        images: cells, in prompt order; what each becomes is the source's business (a file, bytes).
        text: cell; the question alone.
        context: cell or None; a caption, hint or passage. An empty one counts as none.
        options: the same option texts for every row, or one cell that gives a list of them.
        gold: `{from: column, as: option | letter | index, ...}`: index of the right option.
        groups: group kind -> cell.
        tags: tag -> cell.
        meta: columns to keep as they are.
    """

    uid: Cell
    images: Sequence[Cell]
    text: Cell
    context: Cell | None
    options: Sequence[str] | Mapping[str, Any]
    gold: Mapping[str, Any]
    groups: Mapping[str, Cell]
    tags: Mapping[str, Cell]
    meta: Sequence[str]

    def build(self, row: Row, picture: Callable[[Any], LazyImage]) -> Sample:
        """The sample of one row.

        Args:
            row: column -> value.
            picture: makes a lazy image of an image cell's value.

        Raises:
            ValueError: a column is missing or empty, or the gold answer is not an option.
        """
        uid = _text(self.uid, row)
        try:
            options = self._options(row)
            return Sample(
                uid=uid,
                images=tuple(picture(read_cell(cell, row)) for cell in self.images),
                text=_text(self.text, row),
                options=options,
                gold=self._gold(row, options),
                context=self._context(row),
                groups={kind: _text(cell, row) for kind, cell in self.groups.items()},
                tags={tag: _text(cell, row) for tag, cell in self.tags.items()},
                meta={column: _column(row, column) for column in self.meta},
            )
        except ValueError as error:
            raise ValueError(f"{uid}: {error}") from error

    def _options(self, row: Row) -> tuple[str, ...]:
        options = self.options
        if isinstance(options, Mapping):
            options = [str(value) for value in read_cell(options, row)]
        wrong = [option for option in options if not isinstance(option, str)]
        if wrong:
            raise ValueError(f"the options {wrong} are no text: put them in quotes in the YAML")
        return tuple(option.strip() for option in options)

    def _gold(self, row: Row, options: tuple[str, ...]) -> int:
        spec = dict(self.gold)
        value = _column(row, spec.pop("from"))
        return _named(GOLD, spec.pop("as", None))(value, options, **spec)

    def _context(self, row: Row) -> str | None:
        if self.context is None:
            return None
        value = read_cell(self.context, row)
        return None if _empty(value) else str(value).strip()


def read_cell(cell: Cell, row: Row) -> Any:
    """The value that a cell describes. Raises `ValueError` when a column is missing."""
    if isinstance(cell, str):
        return _fill(cell, row)
    spec = dict(cell)
    source = spec.pop("from", None)
    if source is None:
        raise ValueError(f"the cell {dict(cell)} names no column: write {{from: column}}")
    value = _column(row, source) if isinstance(source, str) else _columns(row, source)
    name = spec.pop("as", None)
    return value if name is None else _named(TRANSFORMS, name)(value, **spec)


def part(value: Any, separator: str, index: int) -> str:
    """One piece of a composed key: "1572-0" with separator "-" and index 0 is "1572"."""
    pieces = str(value).split(separator)
    if not -len(pieces) <= index < len(pieces):
        raise ValueError(f"{value!r} has no part {index} when split at {separator!r}")
    return pieces[index]


def literal_list(value: Any) -> list[Any]:
    """A list that is stored as text: "['cat', 'dog']"."""
    try:
        if not str(value).strip().startswith(("[", "(")):  # neither a dictionary nor a word
            raise ValueError("no bracket")
        return list(ast.literal_eval(str(value)))
    except (ValueError, SyntaxError, TypeError) as error:
        raise ValueError(f"{value!r} is not a list written as text") from error


def gold_option(value: Any, options: Sequence[str]) -> int:
    """The answer is stored as the option's text; letter case and outer spaces do not count."""
    wanted = str(value).strip().casefold()
    found = [index for index, option in enumerate(options) if option.casefold() == wanted]
    if len(found) != 1:
        raise ValueError(f"the gold answer {value!r} is {len(found)} of the options {options}")
    return found[0]


def gold_letter(value: Any, options: Sequence[str]) -> int:
    """The answer is stored as a letter, bare or in brackets: "B", "(b)"."""
    letter = str(value).strip().strip("()[].").upper()
    if len(letter) != 1 or letter not in string.ascii_uppercase[: len(options)]:
        raise ValueError(f"the gold letter {value!r} names none of {len(options)} options")
    return string.ascii_uppercase.index(letter)


def gold_index(value: Any, options: Sequence[str], first: int) -> int:
    """The answer is stored as a number; `first` is the number of the first option (0 or 1)."""
    index = int(value) - first
    if not 0 <= index < len(options):
        raise ValueError(f"the gold number {value!r} names none of {len(options)} options")
    return index


TRANSFORMS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"part": part, "literal_list": literal_list}
)
GOLD: Mapping[str, Callable[..., int]] = MappingProxyType(
    {"option": gold_option, "letter": gold_letter, "index": gold_index}
)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the closest known one, and all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"known: {', '.join(known)}"


def _fill(template: str, row: Row) -> str:
    fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    values = {name: _column(row, name) for name in fields}
    for name, value in values.items():
        if _empty(value):
            raise ValueError(f"column {name!r} is empty, and {template!r} needs it")
    return template.format_map(values)


def _text(cell: Cell, row: Row) -> str:
    value = read_cell(cell, row)
    if _empty(value):
        raise ValueError(f"the cell {cell!r} is empty")
    return str(value).strip()


def _column(row: Row, name: str) -> Any:
    if name not in row:
        raise ValueError(f"the row has no column {name!r}; {nearest(name, row)}")
    return row[name]


def _columns(row: Row, names: Sequence[str]) -> list[Any]:
    values = [_column(row, name) for name in names]
    while values and _empty(values[-1]):
        values.pop()
    if any(_empty(value) for value in values):
        raise ValueError(f"of the columns {list(names)} an inner one is empty: letters would shift")
    return values


def _empty(value: Any) -> bool:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return missing or (isinstance(value, str) and not value.strip())


def _named(table: Mapping[str, Callable[..., Any]], name: str | None) -> Callable[..., Any]:
    if name not in table:
        raise ValueError(f"unknown transform {name!r}; {nearest(str(name), table)}")
    return table[name]

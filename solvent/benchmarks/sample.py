"""Columns -> Sample: a row of any table becomes a `Sample` by a mapping that stands in YAML.

A *field* is how one value is made from the row's columns:

- a string is a template over the columns: `"{identifier}-{permutation}"`, always text;
- `{by: column, fields: {value: field, ...}}` is the field that the column's value picks, or that of
  "*"; null instead of a field is an absent value;
- `{from: column}` is the column as it is; the name may be a template, too: `"Image_{shown}"`;
- `{from: [A, B, C]}` is a list of columns, absent ones at the end left out;
- `{text: "{a}/{b}", as: ...}` sends a template through a transform;
- `missing: [nan]` beside `from` names texts that stand for an absent value, "NaN" like "nan";
- `{from: ..., as: name, ...}` sends it through a named transform (of `transforms`) with its
  arguments; `from` may itself be such a field, so transforms can be chained, and so may `after`,
  of a transform that goes on counting where another text ends.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from solvent.benchmarks.images import ADDRESS
from solvent.benchmarks.transforms import GOLD, TRANSFORMS
from solvent.core.names import nearest
from solvent.core.types import Accepted, Gold, Kind, LazyImage, Sample

Row = Mapping[str, Any]
Field = str | Mapping[str, Any]
KINDS = get_args(Kind)


class BadRowError(ValueError):
    """A row of which no sample can be made; one sentence that names the row."""

    def __init__(self, sentence: str, uid: str | None) -> None:
        super().__init__(sentence)
        self.uid = uid  # None where that cannot be told either


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The mapping from the columns of a table to a `Sample`.

    Attributes:
        uid: field; stable and unique over the benchmark, e.g. "nlvr/dev/{identifier}".
        images: fields, in prompt order; what each becomes is the source's business (a file, bytes).
            A field that gives a list stands for as many images.
        text: field; the question alone.
        context: field or None; a caption, hint or passage. An empty one counts as none.
        options: the same option texts for every row, or one field that gives a list of them. An
            absent or empty list makes the row a question with a free answer. `absent` beside it
            maps texts to words: at the end of the list such a text is no option, unless it is the
            right one, and where it stays it reads as its word. At most 26.
        gold: `{from: ..., as: option | letter | index, ...}`: index of the right option. Rows
            without options need `free`, the kind of answer (`Accepted.kind`), or a field that gives
            it; then the value, or each of a list of values, is accepted. `precision` is a
            column with the number of decimals that count, `prior` a field with what one says who
            goes by what is usual and not by the picture.
        groups: group kind -> field.
        tags: tag -> field.
        meta: name -> field; kept as it is, for conditions and prompts that ask for it.
    """

    uid: Field
    images: Sequence[Field]
    text: Field
    context: Field | None
    options: Sequence[str] | Mapping[str, Any]
    gold: Mapping[str, Any]
    groups: Mapping[str, Field]
    tags: Mapping[str, Field]
    meta: Mapping[str, Field]

    def build(self, row: Row, picture: Callable[[Any], LazyImage]) -> Sample:
        """The sample of one row.

        Args:
            row: column -> value.
            picture: makes a lazy image of an image field's value.

        Raises:
            BadRowError: a column is missing or empty, or the gold answer is not an option.
        """
        try:
            uid = _text(self.uid, row)
        except ValueError as error:
            raise BadRowError(str(error), None) from error
        try:
            options = self._options(row)
            gold = self._gold(row, options)
            options = self._without_absent(options, gold)
            return Sample(
                uid=uid,
                images=tuple(picture(value) for value in self._images(row)),
                text=_text(self.text, row),
                options=options,
                gold=gold,
                context=self._context(row),
                groups={kind: _text(field, row) for kind, field in self.groups.items()},
                tags={tag: _text(field, row) for tag, field in self.tags.items()},
                meta={name: value_of(field, row) for name, field in self.meta.items()},
            )
        except ValueError as error:
            raise BadRowError(f"{uid}: {error}", uid) from error

    def _images(self, row: Row) -> Iterator[Any]:
        for field in self.images:
            value = value_of(field, row)
            values = list(value) if isinstance(value, list | tuple) else [value]
            if not values or any(map(_empty, values)):
                raise ValueError(f"the image {field!r} is absent")
            for each in values:
                if isinstance(each, str) and ADDRESS.match(each):
                    raise ValueError(
                        f"the image {field!r} is an address ({each[:60]}), and nothing is fetched "
                        "from there: download the pictures and put their paths, below "
                        "benchmark.source.local, into that column"
                    )
                yield each

    def _options(self, row: Row) -> tuple[str, ...]:
        options = self.options
        if isinstance(options, Mapping):
            values = value_of({key: each for key, each in options.items() if key != "absent"}, row)
            if values is not None and not isinstance(values, list | tuple):
                raise ValueError(f"the options are {values!r}; expected a list: use `as`")
            options = [str(value) for value in values or ()]
        wrong = [option for option in options if not isinstance(option, str)]
        if wrong:
            raise ValueError(f"the options {wrong} are no text: put them in quotes in the YAML")
        if len(options) > len(string.ascii_uppercase):
            raise ValueError(
                f"the row has {len(options)} options, and there are only "
                f"{len(string.ascii_uppercase)} letters: correct it, or leave it out "
                "(benchmark.bad_rows=skip)"
            )
        return tuple(option.strip() for option in options)

    def _without_absent(self, options: tuple[str, ...], gold: Gold) -> tuple[str, ...]:
        words = self.options.get("absent", {}) if isinstance(self.options, Mapping) else {}
        count = len(options)
        while count and count - 1 != gold and _stands_for(options[count - 1], words) is not None:
            count -= 1
        return tuple(words.get(_stands_for(each, words), each) for each in options[:count])

    def _gold(self, row: Row, options: tuple[str, ...]) -> Gold:
        spec = dict(self.gold)
        value = value_of({"from": spec.pop("from")}, row)
        free, precision, prior = (spec.pop(name, None) for name in ("free", "precision", "prior"))
        if options:
            return _named(GOLD, spec.pop("as", None))(value, options, **spec)
        kind = value_of(free, row) if isinstance(free, Mapping) else free
        if kind not in KINDS:
            raise ValueError(
                f"the row has no options and gold.free is {kind!r}; say what kind of answer is "
                f"meant: {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            )
        embedded = isinstance(self.options, Mapping) and "embedded_options" in self.options.values()
        if embedded and re.fullmatch(r"[A-Z]", str(value).strip()):
            raise ValueError(
                f"the gold answer is the letter {value!r}, but no labelled options were found in "
                "the question; check `style` of its embedded options"
            )
        answers = value if isinstance(value, list | tuple) else [value]
        if not answers or any(map(_empty, answers)):
            raise ValueError(f"the gold answer is {value!r}; expected one answer or a list of them")
        decimals = None if precision is None else _column(row, precision)
        usual = None if prior is None else value_of(prior, row)
        return Accepted(
            answers=tuple(str(answer).strip() for answer in answers),
            kind=kind,
            precision=None if _empty(decimals) else int(float(decimals)),
            prior=() if _empty(usual) else (str(usual).strip(),),
        )

    def _context(self, row: Row) -> str | None:
        if self.context is None:
            return None
        value = value_of(self.context, row)
        return None if _empty(value) else str(value).strip()


def value_of(field: Field, row: Row) -> Any:
    """The value that a field describes. Raises `ValueError` when a column is missing."""
    if isinstance(field, str):
        return _fill(field, row)
    spec = dict(field)
    if "by" in spec:
        chosen = TRANSFORMS["looked_up"](_column(row, spec["by"]), spec.get("fields", {}))
        return None if chosen is None else value_of(chosen, row)
    source, missing = spec.pop("from", None), spec.pop("missing", ())
    template = spec.pop("text", None)
    if source is None and template is None:
        raise ValueError(f"the field {dict(field)} names no column: write {{from: column}}")
    if template is not None:
        value = _fill(template, row)
    elif isinstance(source, Mapping):
        value = value_of(source, row)
    elif isinstance(source, str):
        value = _present(_column(row, source), missing)
    else:
        value = _columns(row, source, missing)
    if "after" in spec:
        spec["after"] = value_of(spec["after"], row)
    name = spec.pop("as", None)
    return value if name is None else _named(TRANSFORMS, name)(value, **spec)


def _fill(template: str, row: Row) -> str:
    fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    values = {name: _column(row, name) for name in fields}
    for name, value in values.items():
        if _empty(value):
            raise ValueError(f"column {name!r} is empty, and {template!r} needs it")
    return template.format_map(values)


def _text(field: Field, row: Row) -> str:
    value = value_of(field, row)
    if _empty(value):
        raise ValueError(f"the field {field!r} is empty")
    return str(value).strip()


def _column(row: Row, name: str) -> Any:
    if name not in row and "{" in name:
        name = _fill(name, row)
    if name not in row:
        raise ValueError(f"the row has no column {name!r}; {nearest(name, row)}")
    return row[name]


def _columns(row: Row, names: Sequence[str], missing: Sequence[str]) -> list[Any]:
    values = [_present(_column(row, name), missing) for name in names]
    while values and _empty(values[-1]):
        values.pop()
    if any(_empty(value) for value in values):
        raise ValueError(f"of the columns {list(names)} an inner one is empty: letters would shift")
    return values


def _present(value: Any, missing: Sequence[str]) -> Any:
    known = isinstance(value, str) and _stands_for(value, missing) is not None
    return None if known else value


def _stands_for(text: str, missing: Iterable[str]) -> str | None:
    """The one of these texts that it is, "NaN" like "nan"; None where it is none of them."""
    text = text.strip()
    no_number = text.casefold() == "nan"
    found = (each for each in missing if each == text or (no_number and each.casefold() == "nan"))
    return next(found, None)


def _empty(value: Any) -> bool:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return missing or (isinstance(value, str) and not value.strip())


def _named(table: Mapping[str, Callable[..., Any]], name: str | None) -> Callable[..., Any]:
    if name not in table:
        raise ValueError(f"unknown transform {name!r}; {nearest(str(name), table)}")
    return table[name]

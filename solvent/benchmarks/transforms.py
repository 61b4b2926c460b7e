"""Named transforms of values: what turns a column as it is stored into what a sample needs.

Each takes the value first and its arguments, which stand in the YAML, by name. The `gold_*` ones
take the options, too, and give the index of the right one.
"""

from __future__ import annotations

import ast
import itertools
import re
import string
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from solvent.benchmarks.numbers import as_number
from solvent.core.names import nearest

NUMBERED, BARE = re.compile(r"<image (\d+)>"), "<image>"  # how sets say where an image stands


def part(value: Any, separator: str, index: int) -> str:
    """One piece of a composed key: "1572-0" with separator "-" and index 0 is "1572"."""
    pieces = str(value).split(separator)
    if not -len(pieces) <= index < len(pieces):
        raise ValueError(f"{value!r} has no part {index} when split at {separator!r}")
    return pieces[index]


def matched(value: Any, pattern: str) -> str:
    """What a regular expression finds: its groups joined by "/", or all of it without groups."""
    found = re.search(pattern, str(value))
    if found is None:
        raise ValueError(f"{value!r} does not match {pattern!r}")
    return "/".join(group or "" for group in found.groups()) or found[0]


def replaced(value: Any, words: Mapping[str, str]) -> str:
    """Every occurrence of each key replaced by its value, in their order."""
    text = str(value)
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def block(value: Any, size: int, first: int, every: int | None = None) -> str:
    """Which run of `size` consecutive numbers a number is in; the first run starts at `first`.

    `every` tells apart those of a run that are not a multiple of it from each other: of 0 to 3, at
    size 4 and every 2, 0 and 2 are "0/0", and 1 and 3 are "0/1".
    """
    run, place = divmod(int(value) - first, size)
    return str(run) if every is None else f"{run}/{place % every}"


def modulo(value: Any, divisor: int) -> str:
    """The remainder of a number."""
    return str(int(value) % divisor)


def or_else(value: Any, other: Any) -> Any:
    """A value, or another where it is absent."""
    return other if value is None else value


def lettered(value: Sequence[Any]) -> list[str]:
    """As many letters as a list is long: the names of options whose words the picture shows."""
    return list(string.ascii_uppercase[: len(value)])


def looked_up(value: Any, table: Mapping[str, Any]) -> Any:
    """What a table says for a value; the key "*" stands for every value that is not named."""
    if str(value) in table:
        return table[str(value)]
    if "*" in table:
        return table["*"]
    raise ValueError(f"{value!r} is in no line of the table; {nearest(str(value), table)}")


def member(value: Any, of: Mapping[str, Sequence[str]], other: str | None = None) -> str:
    """The name of the list that holds a value, or else `other`; without one it is refused."""
    for name, values in of.items():
        if str(value) in values:
            return name
    if other is not None:
        return other
    known = [each for values in of.values() for each in values]
    raise ValueError(f"{value!r} is in none of the lists; {nearest(str(value), known)}")


def field(value: Mapping[str, Any] | Sequence[Mapping[str, Any]], name: str) -> Any:
    """One field of a structure, or of every structure of a list."""
    if isinstance(value, Mapping):
        if name not in value:
            raise ValueError(f"the structure has no field {name!r}; {nearest(name, value)}")
        return value[name]
    return [field(each, name) for each in value]


def distinct(value: Sequence[Any] | None) -> list[Any]:
    """A list without repetitions, in its order; an absent one is empty."""
    return list(dict.fromkeys(value or ()))


def unlabelled(value: Sequence[Any]) -> list[str]:
    """Options without the labels that they begin with: "(A) cat" or "A. cat" is "cat"."""
    found = []
    for letter, option in zip(string.ascii_uppercase, value, strict=False):
        label = re.match(rf"\s*\(?{letter}[.:)]\s*", str(option))
        if label is None:
            raise ValueError(f"the option {option!r} does not begin with its label, ({letter})")
        found.append(str(option)[label.end() :].strip())
    return found


def kind_of(value: Any) -> str:
    """The kind of free answer that a right one is: "yesno", "number" or else "text"."""
    text = str(value).strip()
    if text.casefold() in ("yes", "no"):
        return "yesno"
    return "text" if as_number(text) is None else "number"


def without_end(value: Any, endings: Sequence[str]) -> str:
    """A text without the first of these endings that it has, white space before it included."""
    text = str(value).rstrip()
    for ending in endings:
        if text.endswith(ending):
            return text.removesuffix(ending).rstrip()
    return text


def literal_list(value: Any) -> list[Any]:
    """A list that is stored as text, "['cat', 'dog']"; an absent one is empty."""
    if value is None or not str(value).strip():
        return []
    try:
        if not str(value).strip().startswith(("[", "(")):  # neither a dictionary nor a word
            raise ValueError("no bracket")
        return list(ast.literal_eval(str(value)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"{value!r} is not a list written as text") from error


def text_or_list(value: Any) -> Any:
    """A list where the text is one ("['a', 'b']"), else the text as it is ("[0, 1)" is a text)."""
    try:
        return literal_list(value) if str(value).strip().startswith("[") else value
    except ValueError:
        return value


def image_markers(value: str | Sequence[str], after: str = "") -> str | list[str]:
    """`<image 1>` becomes `<image:1>`, where the first image stands in the prompt.

    Where no marker has a number, the k-th `<image>` is that of image k, counted over `after` and
    then the value: options go on counting where their question ends.
    """
    texts = [value] if isinstance(value, str) else [str(each) for each in value]
    if any(NUMBERED.search(text) for text in [after, *texts]):
        marked = [NUMBERED.sub(r"<image:\1>", text) for text in texts]
    else:
        numbers = itertools.count(after.count(BARE) + 1)
        marked = [re.sub(BARE, lambda _: f"<image:{next(numbers)}>", text) for text in texts]
    return marked[0] if isinstance(value, str) else marked


Style = Literal["lines", "inline", "headed", "brackets"]
"""How options stand inside a text: "lines", each on a line of its own after "A.", "A:", "A)" or
"(A)"; "inline", after "Options:" if that is there, as "A: cat, B: dog"; "headed", the same, but
only after "Options:"; "brackets", as "(a) cat (b) dog".
"""

MARKERS = MappingProxyType(
    {
        "lines": r"(?:\A|\n)[ \t]*(?:\({letter}\)[ \t]*(?=\S)|\(?{letter}[.:)][ \t]+)",
        "inline": r"(?:,\s*|\s+|\A){letter}:\s*",
        "headed": r"(?:,\s*|\s+|\A){letter}:\s*",
        "brackets": r"(?:\A|(?<=\s))\({letter}\)\s*",
    }
)


def embedded_options(value: Any, style: Style | Sequence[Style]) -> list[str]:
    """The options that stand inside a text, without their labels; empty where there are none.

    At least two are needed, labelled from A on without a gap. Of several styles the first counts
    that finds them.
    """
    text, spans, found = _labels(str(value), style)
    if not spans:
        return []
    ends = [*(start for start, _ in spans[1:]), len(text)]
    pieces = [text[start:end] for (_, start), end in zip(spans, ends, strict=True)]
    if found == "lines":  # an instruction may follow on the next line
        pieces[-1] = pieces[-1].split("\n")[0]
    return [piece.strip() for piece in pieces]


def before_options(value: Any, style: Style | Sequence[Style]) -> str:
    """The text before its embedded options, without the heading "Options:"; all where none are."""
    text, spans, _ = _labels(str(value), style)
    question = text[: spans[0][0]] if spans else text
    return re.sub(r"(?:Options|Choices):\s*\Z", "", question.rstrip()).rstrip()


def _labels(
    text: str, style: Style | Sequence[Style]
) -> tuple[str, list[tuple[int, int]], Style | None]:
    """The text, where each label A, B, C, ... starts and ends in it, and in which style; no label
    if fewer than two.
    """
    text = text.replace("\r\n", "\n")
    for each in [style] if isinstance(style, str) else style:
        if each not in MARKERS:
            raise ValueError(f"unknown style of options {each!r}; {nearest(str(each), MARKERS)}")
        spans = _labels_in(text, each)
        if len(spans) > 1:
            return text, spans, each
    return text, [], None


def _labels_in(text: str, style: Style) -> list[tuple[int, int]]:
    heading = text.rfind("Options:") if style in ("inline", "headed") else -1
    if style == "headed" and heading < 0:
        return []
    place = heading + len("Options:") if heading >= 0 else 0
    spans: list[tuple[int, int]] = []
    for letter in string.ascii_uppercase:
        cases = f"[{letter}{letter.lower()}]" if style == "brackets" else letter
        pattern = re.compile(MARKERS[style].format(letter=cases))
        found = pattern.search(text, place)
        if found is None:
            break
        spans.append(found.span())
        place = found.end()
    return spans


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
    {
        "part": part,
        "matched": matched,
        "replaced": replaced,
        "block": block,
        "modulo": modulo,
        "or_else": or_else,
        "lettered": lettered,
        "looked_up": looked_up,
        "member": member,
        "field": field,
        "distinct": distinct,
        "unlabelled": unlabelled,
        "kind_of": kind_of,
        "without_end": without_end,
        "literal_list": literal_list,
        "text_or_list": text_or_list,
        "image_markers": image_markers,
        "embedded_options": embedded_options,
        "before_options": before_options,
    }
)
GOLD: Mapping[str, Callable[..., int]] = MappingProxyType(
    {"option": gold_option, "letter": gold_letter, "index": gold_index}
)

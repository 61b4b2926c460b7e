"""What interventions are made of: classes whose fields are checked when an object is made.

    Shift(2.0)          Shift takes its fields by name, got 2.0; write Shift(factor=...).
    Shift(fcator=2.0)   Shift has no field 'fcator'; did you mean 'factor'?
    Shift(factor="2")   factor of Shift must be a number, got '2'.

What a field must be is its annotation, as far as it is made of numbers, strings, lists, mappings
and other parts; everything else is left to the class. Copying and unpickling check nothing.
"""

from __future__ import annotations

import difflib
import inspect
from abc import ABCMeta
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from numbers import Integral, Real
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

PLAIN = {  # one of them, several
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    str: ("a string", "strings"),
    bool: ("True or False", "truth values"),
    NoneType: ("None", "None"),
}


class Part(ABCMeta):
    """The class of all classes whose objects are parts of an intervention, or one itself.

    A class may show in `examples` how a field is written, and in `usage` how an object is made.
    """

    def __call__(cls, *given: Any, **named: Any) -> Any:
        if "__dataclass_fields__" in cls.__dict__:  # else its constructor is its own
            _check(cls, given, named)
        return super().__call__(*given, **named)


def _check(cls: type[Any], given: Sequence[Any], named: Mapping[str, Any]) -> None:
    known = {field.name: field for field in fields(cls) if field.init}
    if inspect.isabstract(cls) and (kinds := list(_kinds(cls))):
        raise ValueError(f"{cls.__name__} is what several parts have in common{_list(kinds)}")
    if given:
        raise ValueError(
            f"{cls.__name__} takes its fields by name, got {shown(given[0])}; write {_usage(cls)}."
        )
    for name in named:
        if name not in known:
            raise ValueError(f"{cls.__name__} has no field {name!r}{hint(name, list(known))}")
    missing = [
        name
        for name, field in known.items()
        if name not in named and field.default is field.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"{cls.__name__} lacks {', '.join(missing)}; write {_usage(cls)}.")
    for name, value in named.items():
        wanted = _annotations(cls).get(name, Any)  # type: ignore[arg-type]  # classes are hashable
        if not _fits(value, wanted):
            raise ValueError(
                f"{name} of {cls.__name__} must be {_one(wanted)}, got {shown(value)}"
                f"{_advice(cls, name, value, wanted)}"
            )


@cache
def _annotations(cls: Part) -> Mapping[str, Any]:
    try:
        return get_type_hints(cls)
    except NameError:  # a class whose annotations name what only a type checker imports
        return {}


def _fits(value: Any, wanted: Any) -> bool:
    origin, inside = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inside)
    if wanted in (float, int):
        kind = Real if wanted is float else Integral
        return isinstance(value, kind) and not isinstance(value, bool)
    if wanted in PLAIN or isinstance(wanted, Part):
        return isinstance(value, wanted)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, inside[0]) and _fits(each, inside[1]) for key, each in value.items()
        )
    if origin is Sequence:
        listed = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
        return listed and all(_fits(each, inside[0]) for each in _items(value))
    return True


def _items(value: Collection[Any]) -> Iterator[Any]:
    """What a collection holds; an array without axes holds nothing that fits."""
    yield from value if getattr(value, "ndim", 1) else [None]


def _one(wanted: Any) -> str:
    """`a number or a list of strings`"""
    origin, inside = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        *most, last = map(_one, inside)
        return f"{', '.join(most)} or {last}"
    if wanted in PLAIN:
        return PLAIN[wanted][0]
    if origin is Sequence:
        return f"a list of {_several(inside[0])}"
    if origin is Mapping:
        return f"a mapping of {_several(inside[0])} to {_several(inside[1])}"
    return with_article(getattr(wanted, "__name__", str(wanted)))


def _several(wanted: Any) -> str:
    origin, inside = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return " or ".join(map(_several, inside))
    if wanted in PLAIN:
        return PLAIN[wanted][1]
    if origin is Sequence:
        return f"lists of {_several(inside[0])}"
    return f"{getattr(wanted, '__name__', str(wanted))} objects"


def _advice(cls: type[Any], name: str, value: Any, wanted: Any) -> str:
    """The line that works, where one can be guessed."""
    options = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    kinds = [found for option in options if isinstance(option, Part) for found in _kinds(option)]
    meant = _meant(kinds, value)
    if isinstance(value, PathLike) and str in options:
        meant = repr(fspath(value))
    if any(get_origin(option) is Sequence and _fits([value], option) for option in options):
        meant = f"[{value!r}]"
    if meant is not None:
        return f"; write {name}={meant}."
    if example := getattr(cls, "examples", {}).get(name):
        return f"; write {example}."
    return _list(kinds) if kinds else "."


def _meant(kinds: Sequence[type[Any]], value: Any) -> str | None:
    """The part that somebody may have meant by a class, its name or its fields."""
    if isinstance(value, type):
        return _usage(value) if value in kinds else None
    if isinstance(value, str):
        names = {kind.__name__.lower(): kind for kind in kinds}
        near = closest(value.lower().replace("_", ""), names)
        return _usage(names[near]) if near else None
    if isinstance(value, Mapping) and value:
        for kind in kinds:
            if value.keys() <= {field.name for field in fields(kind)}:
                return _usage(kind, value)
    return None


def _kinds(cls: type[Any]) -> Iterator[type[Any]]:
    """Classes of a kind that can be written in a definition."""
    if not inspect.isabstract(cls):
        yield cls
    for kind in cls.__subclasses__():
        yield from _kinds(kind)


def _list(kinds: Sequence[type[Any]]) -> str:
    """`; there are interventions.methods.masses.Keep and Shift`"""
    homes: dict[str, list[str]] = {}
    for kind in kinds:
        homes.setdefault(_home(kind), []).append(kind.__name__)
    known = "; ".join(f"{', '.join(sorted(names))} of {home}" for home, names in homes.items())
    return f"; known are {known}."


def _usage(cls: type[Any], values: Mapping[str, Any] | None = None) -> str:
    """`interventions.methods.masses.Shift(factor=...)`, with the values that are known."""
    if example := getattr(cls, "usage", None):
        return example
    known = {name: repr(value) for name, value in (values or {}).items()}
    names = [field.name for field in fields(cls) if field.init]
    written = ", ".join(f"{name}={known.get(name, '...')}" for name in names)
    return f"{_home(cls)}.{cls.__name__}({written})"


def _home(cls: type) -> str:
    """Where a class is imported from: `methods.patterns.drawn` is an inside matter."""
    return ".".join(cls.__module__.split(".")[:3])


def hint(name: str, known: Sequence[str]) -> str:
    """The nearest known name, or all of them."""
    near = closest(name, known)
    listed = f"known are {', '.join(known)}" if known else "it has none"
    return f"; did you mean {near!r}?" if near else f"; {listed}."


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant; None where none is close."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None


def shown(value: Any) -> str:
    """A value as it may stand in a sentence."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    text = repr(value)
    plain = len(text) <= 60 and "\n" not in text and not text.startswith("<")
    return text if plain else with_article(type(value).__name__)


def with_article(name: str) -> str:
    """`an Intervention`"""
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"

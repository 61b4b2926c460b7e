"""From a configuration to objects, and for every mistake in it one sentence.

What `_target_` names says what it takes: the annotations of its parameters are what the settings
are checked against, before anything is made. Nothing is converted on the way: 1.5 is no number of
samples, "two" and true are none either.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import reprlib
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from solvent.core.names import did_you_mean

TARGET = "_target_"
UNSET = "???"  # of a YAML that leaves a value to whoever uses it
ESCAPED = re.compile(r"(\\*)\$\{")  # a backslash before it would escape the one that escapes it
OWN = (TARGET, "_convert_", "_recursive_", "_partial_", "_args_")  # of Hydra
CHECKED = (bool, int, float, str, type(None))  # kinds of values that stand in a YAML
KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false",
         type(None): "null"}  # fmt: skip


def build(tree: Any, name: str, has: str | None = None) -> Any:
    """What settings stand for.

    Args:
        tree: plain settings with `_target_`; nothing in them is looked up any more.
        name: of the node, as it is called on the command line: "benchmark".
        has: an attribute that shows that what is made is of the right kind.

    Raises:
        ValueError: it names what does not exist, or a setting that what it names does not take, or
            that is of another kind. Also whatever its making raises.
    """
    if not isinstance(tree, Mapping) or TARGET not in tree:
        raise ValueError(f"{name} is {said(tree)}; expected settings that say {TARGET}")
    check(tree, name)
    try:
        made = instantiate(literal(literal(tree)), _convert_="all")  # it looks texts up twice
    except InstantiationException as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None  # with its own trace, and without Hydra's around it
    if has is not None and not hasattr(made, has):
        raise ValueError(
            f"{name}.{TARGET} is {tree[TARGET]!r}, which makes no {name.partition('.')[0]}: "
            f"expected an object with {has!r}"
        )
    return made


def literal(tree: Any) -> Any:
    """Settings with every `${` escaped, so that omegaconf looks nothing up when it reads them."""
    if isinstance(tree, Mapping):
        return {key: literal(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [literal(value) for value in tree]
    return ESCAPED.sub(r"\1\1\\${", tree) if isinstance(tree, str) else tree


def check(tree: Any, name: str) -> None:
    """Refuse settings that what `_target_` names does not take. Raises `ValueError`."""
    if isinstance(tree, Mapping):
        if TARGET in tree:
            _check_settings(tree, name)
        for key, value in tree.items():
            check(value, f"{name}.{key}")
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            check(value, f"{name}[{number}]")


def check_kind(value: Any, kind: Any, name: str) -> None:
    """Raise `ValueError` where a value is not of an annotated kind."""
    if not fits(value, kind):
        raise ValueError(
            f"{name} is {said(value)}; expected {in_words(kind)}{_quoting(value, kind)}"
        )


def fits(value: Any, kind: Any) -> bool:
    """Whether a value of a YAML is of an annotated kind. A node with `_target_` fits whatever is
    made, and whatever is unknown to this function fits.

    Not what `interventions.methods.parts` checks, which is what a line of Python gives (arrays and
    numpy's numbers fit, a list may be a tuple) and is said in Python's words; nor can it be had
    without torch, which plans of cells do without.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or (isinstance(value, Mapping) and TARGET in value):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is typing.Literal:
        return any(value == each and type(value) is type(each) for each in inner)
    if kind is None or kind in KINDS:
        allowed = {float: (float, int)}.get(kind, (type(None) if kind is None else kind,))
        return type(value) in allowed  # true and false are no numbers
    made = origin or kind
    if not isinstance(made, type):
        return True
    if issubclass(made, Mapping):
        known = inner[1] if len(inner) == 2 else Any
        return isinstance(value, Mapping) and all(fits(each, known) for each in value.values())
    if issubclass(made, Collection):
        if not isinstance(value, list):
            return False
        if made is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(fits, value, inner))
        return all(fits(each, inner[0] if inner else Any) for each in value)
    return not isinstance(value, CHECKED)


def in_words(kind: Any) -> str:
    """An annotation as a person would say it: `int | None` is "a whole number or null"."""
    if kind is None or kind in KINDS:
        return KINDS[kind or type(None)]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(in_words, inner))
    if origin is typing.Literal:
        return " or ".join(map(str, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "settings by name"
    if isinstance(origin, type) and issubclass(origin, Collection):
        return f"a list, each {in_words(inner[0])}" if inner else "a list"
    return f"what makes a {getattr(kind, '__name__', kind)}"


def said(value: Any) -> str:
    """A value as a YAML says it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return reprlib.repr(value)


def target(path: Any, name: str) -> Callable[..., Any]:
    """What a dotted name stands for. Raises `ValueError` where that is nothing that can be made."""
    what = f"{name}.{TARGET} is {path!r}"
    if not isinstance(path, str) or "." not in path:
        raise ValueError(f"{what}; expected the dotted name of a class or function")
    place, _, last = path.rpartition(".")
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ValueError(f"{what}, but there is no module {error.name!r}") from None
    except Exception as error:  # whatever a module of somebody's own raises while it is read
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"{what}, and {place} cannot be imported ({why})") from error
    found = getattr(module, last, None)
    if found is None:
        meant = did_you_mean(last, dir(module), f"{place}.")
        raise ValueError(f"{what}, which {place} does not have{meant}")
    if not callable(found):
        raise ValueError(f"{what}, which makes nothing; expected a class or a function")
    return found


def _check_settings(tree: Mapping[str, Any], name: str) -> None:
    made = target(tree[TARGET], name)
    takes = parameters(made)
    if takes is None:
        return
    given = {key: value for key, value in tree.items() if key not in OWN}
    for key in given:
        if key not in takes:
            meant = did_you_mean(key, takes, f"{name}.")
            raise ValueError(
                f"there is no setting {name}.{key}{meant}; {tree[TARGET]} takes {', '.join(takes)}"
            )
    known = kinds(made)
    for key, parameter in takes.items():
        if key not in given and parameter.default is parameter.empty:
            raise ValueError(f"the setting {name}.{key} is missing; {tree[TARGET]} needs it")
        if given.get(key) == UNSET:
            raise ValueError(f"the setting {name}.{key} has no value of its own: give it")
        if key in given and key in known:
            check_kind(given[key], known[key], f"{name}.{key}")


def parameters(made: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """By name; None where it takes whatever it is given."""
    try:
        found = dict(inspect.signature(_called(made)).parameters)
    except (TypeError, ValueError):  # of a C extension
        return None
    if any(each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL) for each in found.values()):
        return None
    found.pop("self", None)
    return found


def _called(made: Callable[..., Any]) -> Callable[..., Any]:
    """What takes the settings: of a class, its constructor."""
    if isinstance(made, type):
        return made.__init__  # type: ignore[misc] # of this very class, no other is asked
    return made


def kinds(made: Callable[..., Any]) -> dict[str, Any]:
    """Annotations by parameter; none where they name what only a type checker knows.

    Those of a dataclass are read class by class: the constructor of one that inherits fields does
    not know the names of the module in which they were written.
    """
    asked = made if dataclasses.is_dataclass(made) else _called(made)
    try:
        return typing.get_type_hints(asked)
    except NameError:
        return {}


def _quoting(value: Any, kind: Any) -> str:
    """How to say a text that YAML takes for something else."""
    takes_text = kind is str or str in typing.get_args(kind)
    wrong = isinstance(value, bool | int | float)
    return ": put it in quotes (\"'...'\" on a command line)" if takes_text and wrong else ""

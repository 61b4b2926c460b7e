"""How this package is called: in a sentence where it is not, and in `with` blocks."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from interventions.errors import InterventionError

P = ParamSpec("P")
T = TypeVar("T")


def called_as(example: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Answer arguments that do not fit with a sentence that shows a call that does."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*given: P.args, **named: P.kwargs) -> T:
            try:
                signature.bind(*given, **named)
            except TypeError as error:
                raise InterventionError(
                    f"{function.__name__} cannot be called like this ({error}); write {example}."
                ) from None
            return function(*given, **named)

        return call

    return decorate


class Block(AbstractContextManager[T]):
    """A `with` block of this package. It can be entered once, and warns when it never was."""

    _name, _used = "", True  # of one whose making broke off

    def __init__(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> None:
        self._name, self._make, self._used = name, make, False
        self._inside: AbstractContextManager[T] | None = None

    def __enter__(self) -> T:
        if self._used:
            raise InterventionError(
                f"Expected a new block, but this {self._name}(...) was entered before; call "
                f"{self._name} again for every `with`."
            )
        self._used, self._inside = True, self._make()
        return self._inside.__enter__()

    def __exit__(self, *failure: Any) -> bool | None:
        return None if self._inside is None else self._inside.__exit__(*failure)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """As a decorator: a block of its own for every call."""
        self._used = True

        @wraps(function)
        def inside(*given: P.args, **named: P.kwargs) -> T:
            with self._make():
                return function(*given, **named)

        return inside

    def __repr__(self) -> str:
        return f"<{self._name}(...), which {self._advice()}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self._name}(...) has no {name!r}: it {self._advice()}")

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                f"{self._name}(...) did nothing: it {self._advice()}", RuntimeWarning, stacklevel=2
            )

    def _advice(self) -> str:
        return f"works inside of a block; write `with {self._name}(...) as log:` and use log there"


def block(example: str) -> Callable[[Callable[P, Iterator[T]]], Callable[P, Block[T]]]:
    """As `contextlib.contextmanager`, with sentences about what is easily done wrong.

    Args:
        example: a call that works.
    """

    def decorate(function: Callable[P, Iterator[T]]) -> Callable[P, Block[T]]:
        make = contextmanager(function)

        @called_as(example)
        @wraps(function)
        def call(*given: P.args, **named: P.kwargs) -> Block[T]:
            return Block(function.__name__, partial(make, *given, **named))

        return call

    return decorate

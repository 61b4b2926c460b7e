"""Hints for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant; None where none is close."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str], before: str = "") -> str:
    """`, did you mean 'swap'?`, to stand behind the name; nothing where no known one is close.

    Args:
        name: that does not exist.
        known: those that do.
        before: what is written before the close one, as in `model.`; it is quoted without.
    """
    found = closest(name, known)
    if found is None:
        return ""
    return f", did you mean {before}{found}?" if before else f", did you mean {found!r}?"


def nearest(name: str, known: Iterable[str]) -> str:
    """The closest known name, and all of them."""
    known = sorted(known)
    found = closest(name, known)
    return (f"did you mean {found!r}? " if found else "") + f"known: {', '.join(known)}"

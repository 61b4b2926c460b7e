"""Names of arms, families and curves that are fit for files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

SHORT = 60  # characters, before a digest
PLAIN = re.compile(r"[^A-Za-z0-9_.]+")


def slugs(names: Iterable[str]) -> list[str]:
    """Names that are fit for files, each its own whatever the case of letters: those that lose what
    tells them apart, or are long, end in a digest of all of it.
    """
    names = list(names)
    plain = [PLAIN.sub("-", name).strip("-") for name in names]
    times = Counter(each.lower() for each in plain)
    return [
        each
        if times[each.lower()] == 1 and 0 < len(each) <= SHORT
        else f"{each[:SHORT]}-{short(name)}".lstrip("-")
        for name, each in zip(names, plain, strict=True)
    ]


def short(text: str) -> str:
    """A digest of six letters."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]

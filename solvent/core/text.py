"""Text that others wrote (models, data sets, files), made harmless where it is shown.

A terminal obeys control characters, rich obeys `[tags]`, a spreadsheet obeys `=formulas`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.markup import escape

if TYPE_CHECKING:
    import pandas as pd  # half a second, which the help of a command does not need

# Control characters but line feed and tab; marks that reorder or break lines; half characters.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""The text with what a terminal would obey written out: escape becomes `\x1b`."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def marked(text: str) -> str:
    """The text as rich's markup for itself; for tables, titles, and between tags of our own."""
    return escape(visible(text))


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts no spreadsheet takes for formulas: an apostrophe stands before them."""
    return frame.map(_inert)


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value

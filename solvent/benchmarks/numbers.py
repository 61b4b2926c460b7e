"""Numbers in text."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_GROUPED = r"\d{1,3}(?:,\d{3})+(?![\d,]*\d)(?:\.\d+)?"
_PLAIN = r"(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+\-]?\d+)?"
_SIGN = r"(?:(?<![\w)\]])[\-−+]\s?(?=[\d.$€£]))?"
NUMBER = re.compile(rf"(?<![\w.])({_SIGN})[$€£]?({_GROUPED}|{_PLAIN})(?!\d)(?!(?:st|nd|rd|th|D)\b)")
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
ANYWHERE = re.compile(rf"(-?)({_GROUPED}|{_PLAIN})")


def numbers_in(text: str, anywhere: bool = False) -> list[Decimal]:
    """All numbers in their order; with `anywhere` also those inside words ("h2o") and ordinals."""
    pattern = ANYWHERE if anywhere else NUMBER
    return [
        Decimal(("-" if sign.strip() in ("-", "−") else "") + digits.replace(",", ""))
        for sign, digits in pattern.findall(text)
    ]


def as_number(text: str) -> Decimal | None:
    """The number that the whole text is, thousands separators allowed; None where it is none."""
    try:
        number = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None

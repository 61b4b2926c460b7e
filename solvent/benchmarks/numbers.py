"""Numbers in text."""

from __future__ import annotations

import re
import unicodedata
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
_GROUPS = r"[1-9]\d{0,2}(?:,\d{3})+"
_LAKHS = r"[1-9]\d?(?:,\d{2})+,\d{3}"  # as in India: "12,34,567"
_POINTS = r"[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})"  # 1.234,5 and 1.234.567
_SPACES = r"[1-9]\d{0,2}(?:\s\d{3})+(?:[.,]\d+)?"
NUMERAL = (
    rf"(?:{_GROUPS}(?:\.\d+)?|{_LAKHS}|{_POINTS}|{_SPACES}|\d+,\d+"
    r"|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+\-]?\d{1,3})?)(?![,.]?\d)"
)
ANYWHERE = re.compile(rf"(-?)({_GROUPED}|{_PLAIN})")


def numbers_in(text: str, anywhere: bool = False) -> list[Decimal]:
    """All numbers in their order; with `anywhere` also those inside words ("h2o") and ordinals."""
    pattern = ANYWHERE if anywhere else NUMBER
    return [
        Decimal(("-" if sign.strip() in ("-", "−") else "") + digits.replace(",", ""))
        for sign, digits in pattern.findall(text)
    ]


def written_number(text: str) -> Decimal | None:
    """The number that the whole text is, in any of the ways that people write one.

    A comma groups thousands where three digits follow every comma, and else, where there is one,
    stands before the decimals ("0,52", also "1.234,5"); "1,2,3" is no number. None: it is none.
    """
    found = re.fullmatch(rf"([-−–+]?)\s?({NUMERAL})", unicodedata.normalize("NFKC", text).strip())
    if found is None:
        return None
    return numeral_value(found[2]) * (-1 if found[1] in ("-", "−", "–") and found[1] else 1)


def numeral_value(digits: str) -> Decimal:
    """What a match of `NUMERAL` is worth."""
    mantissa, _, exponent = digits.lower().partition("e")
    plain = re.sub(r"\s", "", mantissa)
    if re.fullmatch(rf"{_GROUPS}(?:\.\d+)?|{_LAKHS}", plain):
        plain = plain.replace(",", "")
    elif "," in plain:
        plain = plain.replace(".", "").replace(",", ".")
    elif plain.count(".") > 1:
        plain = plain.replace(".", "")
    return Decimal(f"{plain}e{exponent}" if exponent else plain)


def word_number(text: str) -> Decimal | None:
    """The number that the whole text is in words, from "zero" to "twenty"; None: it is none."""
    word = text.strip().lower()
    return Decimal(WORDS.index(word)) if word in WORDS else None


def as_number(text: str) -> Decimal | None:
    """The number that the whole text is, thousands separators allowed; None where it is none."""
    try:
        number = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None

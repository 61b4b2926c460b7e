"""Numbers in digits, as people and models write them, in LaTeX too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from solvent.benchmarks.numbers import NUMERAL, numeral_value
from solvent.benchmarks.parsers import without_reasoning

NEAR = 80  # characters around a number that say what it is for


@dataclass(frozen=True)
class Found:
    """A number in a text."""

    value: Decimal | None  # None: there is one, but not in digits alone, as in "2√3" or "10:30"
    start: int
    end: int
    sure: bool = True  # False: it may be no statement of a number, as in "10+" or "8-sided"
    word: bool = False  # written as a word


def plain_text(raw: str) -> str:
    """An answer without reasoning, markdown and LaTeX; powers as "^2", digits of any script as 0-9.

    Boxes stay as they are.
    """
    text = re.sub(r"[⁻⁰¹²³⁴-⁹]+", lambda m: "^" + unicodedata.normalize("NFKC", m[0]), raw)
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
    text = without_reasoning(text).replace("\u2044", "/")
    text = re.sub(r"(?![0-9])\d", lambda m: str(unicodedata.decimal(m[0])), text)
    for pattern, instead in LATEX:
        text = pattern.sub(instead, text)
    return text


def text_before(text: str, place: int) -> str:
    """The last characters before a place."""
    return text[max(0, place - NEAR) : place]


def digits_in(text: str, units: str = "") -> Iterator[Found]:
    """All numbers in digits, in their order; ordinals and digits inside words are none.

    "20 million" is 20000000, but 20 where `units`, the question say, has the word.
    """
    for match in DIGITS.finditer(text):
        before, after = text_before(text, match.start()), text[match.end() : match.end() + NEAR]
        if ORDINAL.match(after):
            continue
        value, sure = _value(match), UNSURE.match(after) is None
        sure = sure and not (match["body"].endswith("0") and DECADE.match(after))
        end = match.end()
        if power := POWER.match(after):
            value = None if value is None else value.scaleb(int(power[1].replace("−", "-")))
            end += power.end()
        elif raised := RAISED.match(after):
            value = value.scaleb(int(raised[1]) - 1) if match["body"] == "10" and value else None
            end += raised.end()
        elif EXPRESSION.match(after) or OTHER_SCALE.match(after) or BEFORE.search(before):
            value = None
        elif (scale := SCALE.match(after)) and value is not None:
            if name := scale[1]:
                known, factor = re.search(rf"(?i)\b{name}s?\b", units), SCALES[name.lower()]
            else:
                known, factor = scale[2] in units, ASIAN_SCALES[scale[2]]
            value = value if known else value * factor
            end += scale.end()
        yield Found(value, match.start(), end, sure)


def _value(match: re.Match[str]) -> Decimal | None:
    sign = -1 if re.search("[-−–]", match["prefix"]) else 1
    if match["plain"]:
        return sign * numeral_value(match["plain"])
    if not match["bottom"] or not Decimal(match["bottom"]):
        return None
    part = Decimal(match["top"]) / Decimal(match["bottom"])
    return sign * (Decimal(match["whole"] or 0) + part)


SCALES = {
    "hundred": 100, "thousand": 1000, "lakh": 10**5, "million": 10**6, "crore": 10**7,
    "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
ASIAN_SCALES = {
    "百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8,
    "천": 1000, "만": 10**4, "억": 10**8,
}  # fmt: skip
LATEX = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"(?<!\\)\$\$?([^$\n]+)\$\$?(?!\d)", r"\1"),
        (r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2"),
        (r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"<answer>", "Answer: "),
        (r"</answer>", "\n"),
        (r"\\sqrt\b", "√"),
        (r"\\pi\b", "π"),
        (r"\\pm\b", "±"),
        (r"\\approx\b", "≈"),
        (r"\^\s*\{?\\circ\}?", "°"),
        (r"\\(?:left|right|displaystyle)\b|\\[()\[\],;:! ]", " "),
        (r"\\([$%&#_{}])", r"\1"),
        (r"\^\{([^{}]*)\}", r"^\1"),
    )
)
# A letter before a digit makes it a part of a word; a Chinese, Japanese or Korean one does not.
_BEFORE = r"(?<![^\W一-鿿぀-ヿ가-힣])(?<![.^])(?<!\d,)(?<!\^-)(?<![A-Za-z]-)"
_SIGN = (  # a blank may follow a sign that cannot be that of a list or a difference
    r"(?:(?<![\w)\]}])[-−–+](?=[\d.$€£¥₹])"
    r"|(?:(?<=[=:]\s)|(?<=\bis\s)|\A)[-−–+]\s(?=[\d.]+[^\n]*\Z))?"
)
DIGITS = re.compile(
    rf"{_BEFORE}(?P<prefix>{_SIGN}(?:(?:US)?[$€£¥₹]\s?[-−–]?)?)(?P<body>"
    r"\d+/\d+/\d+|\d{4}-\d\d-\d\d|\d+(?::\d+)+|24/7"
    r"|(?:(?P<whole>\d+)\s)?(?P<top>\d+(?:\.\d+)?)\s?/\s?(?P<bottom>\d+(?:\.\d+)?)(?![\d/])"
    rf"|(?P<plain>{NUMERAL}))"
)
ORDINAL = re.compile(r"(?:st|nd|rd|th|D|-D)\b|[ºª]")
DECADE = re.compile(r"'?s\b")
UNSURE = re.compile(r"\+(?!\s?\d)|-(?=[A-Za-z])")
POWER = re.compile(r"\s?[×x·*]\s?10\s?\^\s?([-−]?\d{1,3})(?!\d)")
RAISED = re.compile(r"\s?\^\s?(-?\d{1,3})(?!\d)")
EXPRESSION = re.compile(r"\s?[√π]|/(?=[a-z])|(?:[a-cn-rx-z]|[kKMB]|[mb]n)(?![A-Za-z])")
BEFORE = re.compile(r"[/√_]\s?[({]?$")
SCALE = re.compile(
    rf"(?i)\s?({'|'.join(SCALES)})s?\b|(百(?!分)|千(?![克米瓦卡])|[万萬億亿천만억])(?!\s?\d)"
)
OTHER_SCALE = re.compile(
    r"(?i)\s?(?:millionen|millone?s|mill[oó]n|milhão|milhões|milion[ei]|milliard\w*|mil|mille|mila"
    r"|tausend|mio|mrd|тыс\w*|млн|млрд|миллион\w*|[百千万萬億亿천만억](?=\s?\d))(?!\w)"
)

"""Number words: English up to millions, other languages up to a hundred or so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from solvent.benchmarks.free.numerals import SCALES, Found
from solvent.benchmarks.numbers import WORDS

SMALL = {word: number for number, word in enumerate(WORDS[:20])}
TENS = dict(
    zip(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
        range(20, 100, 10),
        strict=True,
    )
)
PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
         "eighth": 8, "tenth": 10}  # fmt: skip
_UNIT = "one|two|three|four|five|six|seven|eight|nine"
_BELOW = rf"(?:(?:{'|'.join(TENS)})(?:[-\s](?:{_UNIT}))?|{'|'.join(reversed(SMALL))})"
_HUNDREDS = rf"(?:(?:(?:{_BELOW}|a)\s)?hundred(?:\s(?:and\s)?{_BELOW})?|{_BELOW})"
_LARGE = "|".join(name for name in SCALES if name != "hundred")
ENGLISH = re.compile(
    rf"(?i)\b(?:(?P<dozens>a|{_BELOW})\sdozen|(?P<single>a\ssingle)"
    rf"|(?P<number>(?:(?:{_HUNDREDS}|a)\s(?:{_LARGE})(?:,?\s(?:and\s)?{_HUNDREDS})?|{_HUNDREDS}))"
    rf"(?:[-\s](?P<part>{'|'.join(PARTS)})s?|(?P<half>\sand\sa\shalf))?)\b"
)
NUMBER_WORD = rf"(?:{_BELOW})\b"
ORDINAL_NEXT = re.compile(
    r"(?i)[-\s](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)\b"
)
COMPOUND = re.compile(r"-(?=[A-Za-z])")
_LANGUAGES = (  # from zero; "" where the word is something else, too
    " eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn",
    "zéro  deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze",
    "cero  dos tres cuatro cinco seis siete ocho nueve diez  doce trece catorce quince",
    "zero  due tre quattro cinque sei sette otto nove dieci undici dodici tredici",
    "zero  dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze",
    "nul één twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien",
    "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
)
FOREIGN = {
    word: number
    for words in _LANGUAGES
    for number, word in enumerate(words.split(" "))
    if word
} | {
    "fuenf": 5, "zwoelf": 12, "duas": 2, "две": 2, "zwanzig": 20, "dreißig": 30, "vierzig": 40,
    "fünfzig": 50, "hundert": 100, "tausend": 1000, "vingt": 20, "trente": 30, "quarante": 40,
    "cinquante": 50, "soixante": 60, "cent": 100, "mille": 1000, "veinte": 20, "treinta": 30,
    "cuarenta": 40, "cincuenta": 50, "cien": 100, "ciento": 100, "venti": 20, "trenta": 30,
    "quaranta": 40, "vinte": 20, "trinta": 30, "двадцать": 20, "тридцать": 30, "сто": 100,
    "vingts": 20, "cents": 100,
}  # fmt: skip
# These may stand for a number, or be an article or something else: they make an answer unsure.
DOUBTFUL = {"ein", "eine", "einen", "un", "une", "uno", "una", "um", "uma", "once", "одна"}
A_WORD = re.compile(r"[^\W\d_]+")
IS_ENGLISH = re.compile(
    r"(?i)\b(?:the|is|are|there|of|and|how|what|which|many|this|that|with|can|see)\b"
)
_CJK = "零〇一二两兩三四五六七八九十百千万"
_COUNTERS = "个個只隻条張张位名辆輛本件棵朵块塊头頭匹根颗顆杯片座部台架艘人つ枚羽冊皿種种岁歳次"
CHINESE = re.compile(rf"(?<![第{_CJK}])([{_CJK}]+)(?=\s?[{_COUNTERS}])|\A\s*([{_CJK}]+)[\s。.]*\Z")
CHINESE_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
CHINESE_ROW = re.compile("[〇零一二两兩三四五六七八九][一二两兩三四五六七八九]")  # 七八: 7 or 8
KOREAN_WORDS = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "넷": 4, "네": 4, "다섯": 5, "여섯": 6,
    "일곱": 7, "여덟": 8, "아홉": 9, "열": 10,
}  # fmt: skip
KOREAN = re.compile(
    rf"(?<![가-힣])({'|'.join(KOREAN_WORDS)})(?=\s?(?:개|명|마리|대|장|권|송이|그루|채|분|번|잔|살)|\s*\.?\Z)"
)


def words_in(text: str, question: str = "") -> Iterator[Found]:
    """All numbers in words, in no order.

    Words of other languages count where neither the text nor the question reads like English.
    """
    yield from _english(text)
    if not IS_ENGLISH.search(f"{question} {text}"):
        for match in A_WORD.finditer(text):
            word = match[0].lower()
            if word in DOUBTFUL:
                yield Found(None, match.start(), match.end(), sure=False, word=True)
            elif word in FOREIGN and word not in SMALL:
                yield Found(Decimal(FOREIGN[word]), match.start(), match.end(), word=True)
    for match in CHINESE.finditer(text):
        characters = match[1] or match[2]
        number = None if CHINESE_ROW.search(characters) else Decimal(chinese(characters))
        sure = number is not None and match[1] != "一"  # an article, too
        yield Found(number, match.start(), match.end(), sure=sure, word=True)
    for match in KOREAN.finditer(text):
        yield Found(Decimal(KOREAN_WORDS[match[1]]), match.start(), match.end(), word=True)


def words_of(text: str, question: str = "") -> list[Decimal]:
    """The values of `words_in`, in the order of the text."""
    found = sorted(words_in(text, question), key=lambda each: each.start)
    return [each.value for each in found if each.value is not None]


def _english(text: str) -> Iterator[Found]:
    for match in ENGLISH.finditer(text):
        after = text[match.end() :]
        if ORDINAL_NEXT.match(after) or _is_ordinal(match):
            continue
        sure = COMPOUND.match(after) is None
        yield Found(english(match), match.start(), match.end(), sure=sure, word=True)


def _is_ordinal(match: re.Match[str]) -> bool:
    """ "twenty-third"; "one third" and "two thirds" are none."""
    part = (match["part"] or "").lower()
    several = match[0].lower().endswith(("s", "half"))
    return bool(part) and not several and match["number"].lower() != "one"


def english(match: re.Match[str]) -> Decimal:
    """The value of a match of `ENGLISH`."""
    if match["single"]:
        return Decimal(1)
    if match["dozens"]:
        return 12 * _whole(match["dozens"])
    value = _whole(match["number"])
    if match["half"]:
        return value + Decimal("0.5")
    return value / PARTS[match["part"].lower()] if match["part"] else value


def _whole(phrase: str) -> Decimal:
    total, current = 0, 0
    for word in re.findall(r"\w+", phrase.lower()):
        if word == "hundred":
            current = (current or 1) * 100
        elif word in SCALES:
            total, current = total + (current or 1) * SCALES[word], 0
        elif word == "a":
            current = 1
        else:
            current += SMALL.get(word, 0) or TENS.get(word, 0)
    return Decimal(total + current)


def chinese(characters: str) -> int:
    """The value of Chinese digits: 二十三 is 23."""
    total, current = 0, 0
    for character in characters:
        if character in CHINESE_DIGITS:
            current = CHINESE_DIGITS[character]
        elif character == "万":
            total, current = (total + current) * 10000, 0
        else:
            total, current = (
                total + (current or 1) * {"十": 10, "百": 100, "千": 1000}[character],
                0,
            )
    return total + current

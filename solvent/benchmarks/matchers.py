"""How right a free answer is, in [0, 1]: pure functions of what was read and what is accepted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from solvent.benchmarks.free.spelling import same_words
from solvent.benchmarks.freeform import TRUTHS, candidates
from solvent.benchmarks.numbers import as_number, numbers_in, word_number, written_number
from solvent.benchmarks.parsers import normalised
from solvent.benchmarks.vqa import vqa_normalised
from solvent.core.types import Accepted

RELATIVE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Equal:
    """1 where the answer equals an accepted one.

    Letter case, spaces and outer punctuation do not count.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        return float(any(normalised(value) == normalised(answer) for answer in gold.answers))


@dataclass(frozen=True, kw_only=True)
class Precision:
    """1 where the number, or every number of a list, equals an accepted one.

    Both are rounded to `gold.precision` decimals; where that is None they may differ by 1e-6 of the
    accepted one. "3.0" is 3.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1. Raises `ValueError` where an accepted answer is no number or list of numbers."""
        read = numbers_of(value, gold.kind)
        return float(
            any(
                len(read) == len(wanted)
                and all(_same(a, b, gold.precision) for a, b in zip(read, wanted, strict=True))
                for wanted in (_gold_numbers(answer, gold) for answer in gold.answers)
            )
        )


@dataclass(frozen=True, kw_only=True)
class ByKind:
    """`Precision` for numbers and lists of numbers, `Equal` for what else there is.

    Of the kind "yesno", true and 1 are yes, false and 0 are no.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        if gold.kind == "yesno":
            answers = tuple(yes_or_no(answer) for answer in gold.answers)
            return Equal()(yes_or_no(value), replace(gold, answers=answers))
        return (Precision() if gold.kind in ("number", "list") else Equal())(value, gold)


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """ChartQA's relaxed accuracy: numbers within 5 % of an accepted one, other answers equal.

    The form of a number does not count: "1,200" is 1200, "0,52" is 0.52, "0.0" is 0, any minus sign
    is one, and a percent or currency sign is dropped on both sides; "1,2,3" is no number. The 5 %
    hold for years, too: 2015 counts as 2016. Source: Masry et al. (2022),
    https://arxiv.org/abs/2203.10244, section 5.1.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        return float(any(self._close(value, answer) for answer in gold.answers))

    @staticmethod
    def _close(value: str, answer: str) -> bool:
        said, wanted = (_bare_number(text) for text in (value, answer))
        if said is None or wanted is None:
            return normalised(value) == normalised(answer)
        return abs(said - wanted) <= 0.05 * abs(wanted)


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """VQA accuracy: the mean, leaving out each person in turn, of min(1, agreeing others / 3).

    Answers are compared after the normalisation of the VQA evaluation (`vqa_normalised`). Source:
    Antol et al. (2015), https://arxiv.org/abs/1505.00468, and
    https://visualqa.org/evaluation.html.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """In [0, 1]; with ten answers of which n agree, 0, 0.3, 0.6, 0.9, then 1."""
        said = vqa_normalised(value)
        agree = [vqa_normalised(answer) == said for answer in gold.answers]
        if len(agree) == 1:
            return float(agree[0])
        shares = [min(1.0, (sum(agree) - each) / 3) for each in agree]
        return sum(shares) / len(shares)


@dataclass(frozen=True, kw_only=True)
class Contains:
    """MMMU's open questions: 1 where any candidate agrees with any accepted answer.

    A number agrees with an equal number, both to two decimals; a text that contains an accepted
    text agrees with it. The value is the JSON list of `Open`.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        wanted = [each for answer in gold.answers for each in candidates(answer)]
        texts = [each for each in wanted if isinstance(each, str)]
        return float(
            any(
                any(text in said for text in texts) if isinstance(said, str) else said in wanted
                for said in json.loads(value)
            )
        )


@dataclass(frozen=True, kw_only=True)
class Anls:
    """Similarity of texts, of questions about documents: best over the accepted answers.

    1 - d / n, and 0 below one half. d: Levenshtein distance in lower case with single blanks; n:
    length of the longer text as it was written. Source: Biten et al. (2019),
    https://arxiv.org/abs/1905.13648, section 4; n is that of the published scripts, which measure
    before they clean: so several blanks in a row make a text slightly more similar.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0, or in [0.5, 1]."""
        return max(self._similar(value, answer) for answer in gold.answers)

    @staticmethod
    def _similar(value: str, answer: str) -> float:
        longest = max(len(value), len(answer))
        said, wanted = (" ".join(text.lower().split()) for text in (value, answer))
        similar = 1 - edits(said, wanted) / longest if longest else 1.0
        return similar if similar >= 0.5 else 0.0


@dataclass(frozen=True, kw_only=True)
class Transcribed:
    """OCRBench: 1 where an accepted answer stands somewhere in what was said.

    Letter case does not count and a line break is a blank; of the kind "formula" (its HME100k
    rows), blanks do not count and letter case does. Source: Liu et al. (2024),
    https://arxiv.org/abs/2305.07895.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        plain = _without_blanks if gold.kind == "formula" else _in_lower_case
        return float(any(plain(answer) in plain(value) for answer in gold.answers))


@dataclass(frozen=True, kw_only=True)
class SameWord:
    """ViLP: 1 where the answer is an accepted word, whatever its spelling.

    Letter case, outer punctuation and articles do not count, a number word is its digits, and a
    plural its singular, by the rules of `same_words`. These are ours: the published script looks
    words up in tables, which also know about a hundred synonyms.
    """

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        said = same_words(normalised(value))
        return float(any(same_words(normalised(answer)) == said for answer in gold.answers))


def numbers_of(text: str, kind: str) -> list[float]:
    """A number, or with kind "list" all numbers in the text; empty where there is none."""
    if kind == "list":
        return [float(number) for number in numbers_in(text)]
    number = as_number(text)
    if number is None:
        number = word_number(text)
    return [] if number is None else [float(number)]


def yes_or_no(text: str) -> str:
    """ "yes", "no", or the text as it is."""
    return TRUTHS.get(normalised(text), text)


def edits(one: str, other: str) -> int:
    """Levenshtein distance: fewest characters to insert, drop or change."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, against in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != against))
    return row[-1]


def _in_lower_case(text: str) -> str:
    return text.lower().strip().replace("\n", " ")


def _without_blanks(text: str) -> str:
    return text.strip().replace("\n", "").replace(" ", "")


def _same(said: float, wanted: float, precision: int | None) -> bool:
    if precision is None:
        return abs(said - wanted) <= RELATIVE * abs(wanted)
    return round(said, precision) == round(wanted, precision)


def _gold_numbers(answer: str, gold: Accepted) -> list[float]:
    numbers = numbers_of(answer, gold.kind)
    if not numbers:
        raise ValueError(f"the gold answer {answer!r} is no {gold.kind}: correct gold in the YAML")
    return numbers


def _bare_number(text: str) -> float | None:
    number = written_number(re.sub(r"[$€£¥%]", "", text).strip().rstrip("."))
    return None if number is None else float(number)

"""How right a free answer is, in [0, 1]: pure functions of what was read and what is accepted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from solvent.benchmarks.freeform import candidates
from solvent.benchmarks.numbers import as_number, numbers_in
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
    """`Precision` for numbers and lists of numbers, `Equal` for text."""

    def __call__(self, value: str, gold: Accepted) -> float:
        """0 or 1."""
        return (Equal() if gold.kind == "text" else Precision())(value, gold)


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """ChartQA's relaxed accuracy: numbers within 5 % of an accepted one, other answers equal.

    The form of a number does not count: "1,200" is 1200, "0.0" is 0, and a percent or currency sign
    is dropped on both sides. The 5 % hold for years, too: 2015 counts as 2016. Source: Masry et al.
    (2022), https://arxiv.org/abs/2203.10244, section 5.1.
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


def numbers_of(text: str, kind: str) -> list[float]:
    """A number, or with kind "list" all numbers in the text; empty where there is none."""
    if kind == "list":
        return [float(number) for number in numbers_in(text)]
    number = as_number(text)
    return [] if number is None else [float(number)]


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
    number = as_number(re.sub(r"[$€£%]", "", text).strip().rstrip("."))
    return None if number is None else float(number)

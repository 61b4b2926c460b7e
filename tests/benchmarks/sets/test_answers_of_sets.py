"""What answers to the questions of a set earn, by the rules in its YAML."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from solvent.core.types import Accepted, Gold

DATE = Accepted(answers=("12 May", "May 12"), kind="text")
FORMULA = Accepted(answers=("p = 2",), kind="formula")
NO, THREE = Accepted(answers=("False",), kind="yesno"), Accepted(answers=("3",), kind="number")
LETTERS = ("A", "B", "C", "D")

EARNED: list[tuple[str, str, Gold, float]] = [
    ("countbenchqa", "There are three owls.", THREE, 1),
    ("countbenchqa", "30", THREE, 0),
    ("tallyqa", "3", THREE, 1),
    ("tallyqa", "I cannot tell", THREE, 0),
    ("ocrbench", "It says: may\n12", DATE, 1),
    ("ocrbench", "It says nothing", DATE, 0),
    ("ocrbench", "$p=2$", FORMULA, 1),
    ("ocrbench", "$P=2$", FORMULA, 0),
    ("docvqa", "MAY  12", DATE, 1),
    ("docvqa", "12 Mai", DATE, 1 - 1 / 6),  # one of six characters
    ("docvqa", "the 12th day of May", DATE, 0),  # below a half
    ("infovqa", "12 Mai", DATE, 1 - 1 / 6),
    ("spatial457", "No, they are apart.", NO, 1),
    ("spatial457", "three", THREE, 1),
    ("spatial457", "Red.", Accepted(answers=("red",), kind="text"), 1),
    ("spatial457", "3", NO, 0),
    ("mmmu_pro_vision", "The answer is (C).", 2, 1),
    ("mmmu_pro_vision", "No idea", 2, 0),
    ("visulogic", "$\\boxed{C}$", 2, 1),
    ("visulogic", "B", 2, 0),
]


@pytest.mark.parametrize(("name", "raw", "gold", "credit"), EARNED)
def test_an_answer_earns(
    name: str, raw: str, gold: Gold, credit: float, composed: Callable[..., DictConfig]
) -> None:
    benchmark = instantiate(composed(f"benchmark={name}").benchmark)
    options = () if isinstance(gold, Accepted) else LETTERS
    read = benchmark.parse_as(raw, options, gold, "Which one?")
    assert benchmark.credit_as(read, gold) == pytest.approx(credit)

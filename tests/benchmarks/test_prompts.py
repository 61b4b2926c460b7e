"""Prompt profiles: exact words, and options only where a profile lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.prompts import Layout, Profile, letters
from evaluation.types import Sample

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "prompt"

EXPECTED = {
    ("native", "words"): "What is it?",
    ("native", "letter"): "What is it?\nA. cat\nB. dog",
    ("llava", "words"): "What is it?\nAnswer the question using a single word or phrase.",
    ("llava", "letter"): "What is it?\nA. cat\nB. dog\n"
    "Answer with the option's letter from the given choices directly.",
    ("vlmeval", "words"): "What is it?",
    ("vlmeval", "letter"): "Question: What is it?\nOptions:\nA. cat\nB. dog\n"
    "Please select the correct answer from the options above. \n",
}


def profile(name: str) -> Profile:
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"), _convert_="all")


def test_every_profile_is_tested_here() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == {name for name, _ in EXPECTED}


@pytest.mark.parametrize(("name", "by"), EXPECTED)
def test_wording(sample: Callable[..., Sample], name: str, by: str) -> None:
    assert profile(name).name == name
    assert profile(name).write(sample(), by) == EXPECTED[name, by]


def test_context_comes_first_and_only_when_there_is_one(sample: Callable[..., Sample]) -> None:
    hinted = sample(context="It barks.")
    assert profile("native").write(hinted, "words") == "It barks.\nWhat is it?"
    assert profile("vlmeval").write(hinted, "letter").startswith("Hint: It barks.\nQuestion:")


def test_braces_in_a_question_are_only_text(sample: Callable[..., Sample]) -> None:
    odd = sample(text="{options} {x}", options=("{letter}", "b"), context="{question}")
    expected = "{question}\n{options} {x}\nA. {letter}\nB. b"
    assert profile("native").write(odd, "letter") == expected


def test_layouts_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="option style exactly when"):
        Layout(lines=["{question}"], option="{letter}. {option}")
    with pytest.raises(ValueError, match="option style exactly when"):
        Layout(lines=["{question}", "{options}"], option=None)
    bare = Layout(lines=["{question}"], option=None)
    with pytest.raises(ValueError, match=r"must name \{letter\}"):
        Profile(name="p", letter=bare, words=bare)
    with pytest.raises(ValueError, match="27 options"):
        letters(27)

"""Prompt profiles: exact words, and options only where a profile lists them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from solvent.benchmarks.prompts import Layout, Profile, letters
from solvent.core.paths import CONF
from solvent.core.types import Sample

FOLDER = CONF / "prompt"

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


OFFICIAL = {  # benchmark: the prompt where a letter answers, the prompt where words answer
    "mmmu": (
        "What is it?\n\n(A) cat\n(B) dog\n\n\n"
        "Answer with the option's letter from the given choices directly.",
        "What is it?\n\nAnswer the question using a single word or phrase.",
    ),
    "mme": ("What is it?\nA. cat\nB. dog", "What is it? Please answer yes or no."),
    "realworldqa": (
        "What is it?\n\nA. cat\nB. dog\n"
        "Please answer directly with only the letter of the correct option and nothing else.",
        "What is it?\nPlease answer directly with a single word or number.",
    ),
    "vstar": (
        "What is it?\n(A) cat\n(B) dog\n"
        "Answer with the option's letter from the given choices directly.",
        "What is it?",
    ),
    "cvbench": (
        "What is it? Select from the following choices.\n(A) cat\n(B) dog",
        "What is it?",
    ),
    "blink": ("What is it?\n(A) cat\n(B) dog", "What is it?"),
    "mmstar": (
        "Question: What is it?\nOptions:\nA. cat\nB. dog\n"
        "Please select the correct answer from the options above. \n",
        "What is it?",
    ),
    "mathvista": (
        "Hint.\nQuestion: What is it? (Unit: cm)\nChoices:\n(A) cat\n(B) dog",
        "Hint.\nQuestion: What is it? (Unit: cm)",
    ),
    "naturalbench": ("What is it?\nA. cat\nB. dog", "What is it? Say it."),
    **dict.fromkeys(
        ["visonlyqa_real", "visonlyqa_synthetic"],
        ("What is it?\nA. cat\nB. dog", "What is it?\n\nSay it."),
    ),
    **dict.fromkeys(
        ["vilp", "vilp_p"],
        ("What is it?\nA. cat\nB. dog", "Please answer with one word: What is it?"),
    ),
    "vlind": ("What is it?\nA. cat\nB. dog", "Only respond in True or False.\nWhat is it?"),
}
META = {"hint": "Hint.", "unit": " (Unit: cm)", "request": "Say it."}  # of rows that have such


def profile(name: str) -> Profile:
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"), _convert_="all")


def test_every_profile_is_tested_here() -> None:
    known = {name for name, _ in EXPECTED} | {"official"}
    assert {file.stem for file in FOLDER.glob("*.yaml")} == known
    assert {file.stem for file in (FOLDER / "official").glob("*.yaml")} == set(OFFICIAL)


@pytest.mark.parametrize(("name", "by"), EXPECTED)
def test_wording(sample: Callable[..., Sample], name: str, by: str) -> None:
    assert profile(name).name == name
    assert profile(name).write(sample(), by) == EXPECTED[name, by]


@pytest.mark.parametrize("benchmark", [*OFFICIAL, "pope"])
def test_official_wording_is_that_of_the_benchmark(
    sample: Callable[..., Sample], composed: Callable[..., DictConfig], benchmark: str
) -> None:
    config = composed("prompt=official", f"benchmark={benchmark}")
    official = instantiate(config.prompt, _convert_="all")
    native = (EXPECTED["native", "letter"], EXPECTED["native", "words"])
    assert official.name == "official"
    asked = sample(meta=META)
    assert (official.write(asked, "letter"), official.write(asked, "words")) == OFFICIAL.get(
        benchmark, native
    )


def test_context_comes_first_and_only_when_there_is_one(sample: Callable[..., Sample]) -> None:
    hinted = sample(context="It barks.")
    assert profile("native").write(hinted, "words") == "It barks.\nWhat is it?"
    assert profile("vlmeval").write(hinted, "letter").startswith("Hint: It barks.\nQuestion:")


def test_braces_in_a_question_are_only_text(sample: Callable[..., Sample]) -> None:
    odd = sample(text="{options} {x}", options=("{letter}", "b"), context="{question}")
    expected = "{question}\n{options} {x}\nA. {letter}\nB. b"
    assert profile("native").write(odd, "letter") == expected


def test_a_prompt_that_asks_for_what_the_benchmark_lacks_is_refused(
    sample: Callable[..., Sample],
) -> None:
    layout = Layout(lines=["{hint}", "{question}"], option=None)
    assert layout.write(sample(meta={"hint": "A hint."})) == "A hint.\nWhat is it?"
    with pytest.raises(ValueError, match=r"names \{hint\}, but t/1 has only unit, context"):
        layout.write(sample(meta={"unit": "cm"}))


def test_layouts_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a line with \{question\}"):
        Layout(lines=["{asked}"], option=None)
    with pytest.raises(ValueError, match="option style exactly when"):
        Layout(lines=["{question}"], option="{letter}. {option}")
    with pytest.raises(ValueError, match="option style exactly when"):
        Layout(lines=["{question}", "{options}"], option=None)
    bare = Layout(lines=["{question}"], option=None)
    with pytest.raises(ValueError, match=r"must name \{letter\}"):
        Profile(name="p", letter=bare, words=bare)
    with pytest.raises(ValueError, match="27 options"):
        letters(27)

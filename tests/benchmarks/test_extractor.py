"""A language model before the rules: what it is asked, and what is made of its replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate

from benchmarks.benchmark import Benchmark
from benchmarks.compat.llm import Extractor
from evaluation.types import Accepted

REPLIES = {"two cats": "2", "a wolf, I think": "dog", "who knows": "NONE.", "": "NONE"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Questions that reached the model."""
    questions: list[str] = []

    def reply(_: Extractor, question: str) -> str:
        questions.append(question)
        return REPLIES[question.split("<<<\n")[1].split("\n>>>")[0]]

    monkeypatch.setattr(Extractor, "_ask", reply)
    return questions


@pytest.fixture
def mathvista(composed: Callable[..., object], tmp_path: Path) -> Benchmark:
    config = composed(
        "benchmark=mathvista", "compat=llm", f"compat.cache={tmp_path}/kept/said.jsonl",
        "benchmark.answer.mode=generate",
    )  # fmt: skip
    assert config.compat.name == "llm-gpt-4o-mini"
    return instantiate(config.compat)(instantiate(config.benchmark, _convert_="all"))


def test_rules_read_what_the_model_says(mathvista: Benchmark, asked: list[str]) -> None:
    number = Accepted(answers=("3",), kind="number")
    assert mathvista.read_as("two cats", (), number) == ("2", "ok")
    assert mathvista.read_as("who knows", (), number) == (None, "none")
    assert mathvista.read_as("", (), number) == (None, "none")
    assert mathvista.read_as("a wolf, I think", ("cat", "dog"), 0) == (1, "ok")
    assert mathvista.read_as("who knows", ("cat", "dog"), 0) == (None, "none")
    assert all("3" not in question for question in asked[:3])  # the gold answer
    assert "- cat\n- dog" in asked[3]


def test_replies_are_kept(mathvista: Benchmark, asked: list[str], tmp_path: Path) -> None:
    number = Accepted(answers=("3",), kind="number")
    for _ in range(2):
        assert mathvista.read_as("two cats", (), number).value == "2"
    kept = tmp_path / "kept" / "said.jsonl"
    assert [json.loads(line)["reply"] for line in kept.read_text().splitlines()] == ["2"]
    with kept.open("a") as file:
        file.write('{"key": "torn')
    again = Extractor(name="llm", model="gpt-4o-mini", base_url=None, cache=str(kept))
    assert again.say(asked[0]) == "2"
    assert len(asked) == 1
    other = Extractor(name="llm", model="another", base_url=None, cache=str(kept))
    assert other.say(asked[0]) == "2"
    assert len(asked) == 2


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    extractor = Extractor(name="llm", model="m", base_url=None, cache="nowhere.jsonl")
    with pytest.raises(ValueError, match=r"pip install 'solvent\[extractor\]'"):
        extractor._client  # noqa: B018


def test_ranked_options_have_nothing_to_extract(composed: Callable[..., object]) -> None:
    config = composed("benchmark=shapes", "compat=llm")
    with pytest.raises(ValueError, match=r"benchmark\.answer\.mode=generate"):
        instantiate(config.compat)(instantiate(config.benchmark, _convert_="all"))

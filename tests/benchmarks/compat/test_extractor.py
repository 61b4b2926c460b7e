"""A language model before the rules: what it is asked, and what is made of its replies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate

from solvent.benchmarks.benchmark import Benchmark
from solvent.benchmarks.compat.llm import Extractor
from solvent.benchmarks.parsers import Reading
from solvent.cells.mistakes import sentence
from solvent.core.files import DiskError
from solvent.core.types import Accepted

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
    assert mathvista.parse_as("two cats", (), number) == Reading("2", "ok")
    assert mathvista.parse_as("who knows", (), number) == Reading(None, "none")
    assert mathvista.parse_as("", (), number) == Reading(None, "none")
    assert mathvista.parse_as("a wolf, I think", ("cat", "dog"), 0) == Reading(1, "ok")
    assert mathvista.parse_as("who knows", ("cat", "dog"), 0) == Reading(None, "none")
    assert all("3" not in question for question in asked[:3])  # the gold answer
    assert "- cat\n- dog" in asked[3]


def test_replies_are_kept(mathvista: Benchmark, asked: list[str], tmp_path: Path) -> None:
    number = Accepted(answers=("3",), kind="number")
    for _ in range(2):
        assert mathvista.parse_as("two cats", (), number).value == "2"
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


@pytest.mark.parametrize("torn", ['{"key": "torn', "3", '["key", "reply"]'])
def test_a_torn_line_costs_no_other_reply(asked: list[str], tmp_path: Path, torn: str) -> None:
    kept = tmp_path / "said.jsonl"
    questions = [f"<<<\n{answer}\n>>>" for answer in REPLIES]

    def ask(question: str) -> str:
        return Extractor(name="llm", model="m", base_url=None, cache=str(kept)).say(question)

    for question in questions:
        ask(question)
        with kept.open("a") as file:
            file.write(torn)  # a kill in the middle of the next write
    assert len(asked) == len(questions)
    assert [ask(question) for question in questions] == ["2", "dog", "", ""]
    assert len(asked) == len(questions)


def test_servers_do_not_share_replies(asked: list[str], tmp_path: Path) -> None:
    kept, question = str(tmp_path / "said.jsonl"), "<<<\ntwo cats\n>>>"
    servers = (None, "http://localhost:8000/v1", "http://localhost:9000/v1")
    for _ in range(2):
        for server in servers:
            assert Extractor(name="llm", model="m", base_url=server, cache=kept).say(question)
    assert asked == [question] * len(servers)


def test_replies_of_before_servers_were_told_apart_are_those_of_openai(
    asked: list[str], tmp_path: Path
) -> None:
    kept, question = tmp_path / "said.jsonl", "<<<\nwho knows\n>>>"
    key = hashlib.sha256(f"m\n{question}".encode()).hexdigest()
    kept.write_text(json.dumps({"key": key, "model": "m", "reply": "of old"}) + "\n")
    openai = Extractor(name="llm", model="m", base_url=None, cache=str(kept))
    assert openai.say(question) == "of old"
    assert asked == []
    other = Extractor(name="llm", model="m", base_url="http://localhost:8000/v1", cache=str(kept))
    assert other.say(question) == ""
    assert asked == [question]


def test_the_first_of_two_replies_counts(asked: list[str], tmp_path: Path) -> None:
    kept, question = tmp_path / "said.jsonl", "<<<\ntwo cats\n>>>"
    runs = [Extractor(name="llm", model="m", base_url=None, cache=str(kept)) for _ in range(2)]
    assert [run._known for run in runs] == [{}, {}]  # they begin at the same time
    for run in runs:
        run.say(question)
    first, second = kept.read_text().splitlines()
    kept.write_text(first + "\n" + second.replace('"reply": "2"', '"reply": "3"') + "\n")
    assert Extractor(name="llm", model="m", base_url=None, cache=str(kept)).say(question) == "2"


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("place", ["folder", "file/said.jsonl"])
def test_replies_that_cannot_be_kept(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    run = Extractor(name="llm", model="m", base_url=None, cache=str(tmp_path / place))
    with pytest.raises(DiskError) as refused:
        run.say("<<<\ntwo cats\n>>>")
    assert f"{tmp_path / place} cannot be written" in sentence(refused.value)
    assert "choose another place with compat.cache=FILE" in sentence(refused.value)


def test_the_environment_names_a_server_where_the_configuration_shows_it(
    composed: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = ("benchmark=mathvista", "compat=llm")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert composed(*setting).compat.base_url is None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert composed(*setting).compat.base_url == "http://localhost:8000/v1"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    extractor = Extractor(name="llm", model="m", base_url=None, cache="nowhere.jsonl")
    with pytest.raises(ValueError, match=r"pip install 'solvent\[extractor\]'"):
        extractor._client  # noqa: B018


def test_ranked_options_have_nothing_to_extract(composed: Callable[..., object]) -> None:
    config = composed("benchmark=shapes", "compat=llm")
    with pytest.raises(ValueError, match=r"benchmark\.answer\.mode=generate"):
        instantiate(config.compat)(instantiate(config.benchmark, _convert_="all"))

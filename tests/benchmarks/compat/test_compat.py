"""The rules of other harnesses: each gives what that harness gave, also where it is wrong."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.benchmarks.benchmark import Answer, Benchmark
from solvent.benchmarks.compat.lmms_eval import (
    BareLetter,
    ContainsYes,
    ExactYesNo,
    FirstCharacter,
    FirstLetter,
    MmeYesNo,
    OrderedLetter,
    RelaxedAsWritten,
    SharedLetter,
)
from solvent.benchmarks.compat.official import (
    HashedPick,
    MmmuContains,
    MmmuLetter,
    MmmuOpen,
    PopeYesNo,
)
from solvent.benchmarks.compat.profile import Compat, Rules, Unclaimed
from solvent.benchmarks.compat.vlmevalkit import GoldAsOption, InferredLetter, OneOfYesNo
from solvent.benchmarks.freeform import Open, Whole
from solvent.benchmarks.matchers import Contains
from solvent.benchmarks.parsers import Letter, Reading, Words
from solvent.benchmarks.reducers import Mean
from solvent.core.paths import CONF
from solvent.core.types import Accepted
from tests.benchmarks.test_benchmark import PROFILE
from tools.replay import published_answers, readers, replay

OPTIONS = ("cat", "green", "red", "blue")
YES_NO = ("yes", "no")

# Answer; then what lmms-eval's shared rule, its rule for CV-Bench and BLINK, its rule for 3DSRBench
# and VLMEvalKit's rule without a judge each read; "-": nothing that is an option.
PEERS = [
    ("B", "BBBB"),
    ("B.", "BBBB"),
    ("(B)", "BBBB"),
    ("**B**", "B-BB"),
    ("b", "-B--"),
    ("Answer: B", "BABB"),
    ("Option C is correct.", "C-CC"),
    ("The answer is (B)", "B-BB"),
    ("A cat is shown; the answer is B", "AAAB"),
    ("The answer is B because A is wrong", "A-BB"),
    ("A person is on the left. (B)", "AAA-"),
    ("Based on the image, C", "CBCC"),
    ("The answer is blue", "---B"),
    ("The correct answer is cat", "---C"),
    ("I see. Both are red", "B--C"),
    ("Cannot tell", "CC--"),
    ("The pizza is closed", "----"),
    ("None of these", "----"),
    ("", "----"),
]


@pytest.mark.parametrize(("raw", "expected"), PEERS)
def test_the_letters_of_peers(raw: str, expected: str) -> None:
    parsers = (SharedLetter(), FirstLetter(), OrderedLetter(), InferredLetter())
    read = [parser(raw, OPTIONS) for parser in parsers]
    assert "".join("-" if each.value is None else "ABCD"[each.value] for each in read) == expected
    assert all((each.value is None) == (each.status == "none") for each in read)


def test_other_letters_of_lmms_eval() -> None:
    assert FirstCharacter()("Because", OPTIONS) == Reading(1, "ok")
    assert FirstCharacter()("(B)", OPTIONS) == Reading(None, "none")
    assert BareLetter()("b", OPTIONS) == Reading(1, "ok")
    assert BareLetter()("B. green", OPTIONS) == Reading(1, "ok")
    assert BareLetter()("B green", OPTIONS) == Reading(None, "none")


WORDS = [  # answer; official POPE, lmms-eval's POPE, MME, HallusionBench, VLMEvalKit; ?: guessed
    ("yes", "yyyyy"),
    ("No", "nnnnn"),
    ("Yes.", "y-yyy"),
    ("Yes, there is", "y-yyy"),
    ("y", "?-yn-"),
    ("There is no dog", "n--nn"),
    ("It is not there", "n--n-"),
    ("", "?--n-"),
    ("I cannot tell. No.", "?--nn"),
    ("Yes and no", "n-yy-"),
    ("notice", "?-nn-"),
]


@pytest.mark.parametrize(("raw", "expected"), WORDS)
def test_yes_and_no_of_peers(raw: str, expected: str) -> None:
    read = [
        parser(raw, YES_NO)
        for parser in (PopeYesNo(), ExactYesNo(), MmeYesNo(), ContainsYes(), OneOfYesNo())
    ]
    names = ["-" if each.value is None else "?" if each.guessed else "yn"[each.value]
             for each in read]  # fmt: skip
    assert "".join(names) == expected


@pytest.mark.parametrize(
    ("value", "answer", "credit"),
    [
        ("14%", "14", 0),
        ("14%", "0.14", 1),
        ("0.0", "0", 0),
        ("Yes.", "Yes", 0),
        ("yes", "Yes", 1),
        ("1,200", "1200", 0),
        ("2015", "2016", 1),
        ("94", "100", 0),
    ],
)
def test_chartqa_as_written(value: str, answer: str, credit: int) -> None:
    assert RelaxedAsWritten()(value, Accepted(answers=(answer,))) == credit


def test_official_letters_guess_where_they_cannot_read() -> None:
    official = MmmuLetter(pick=HashedPick(seed=42))
    assert official("(A) or (B)", OPTIONS) == Reading(1, "ok")  # the last one
    assert official("It is C . Or D", OPTIONS) == Reading(3, "ok")
    assert official("I think that it is a green one", OPTIONS) == Reading(1, "ok")
    assert not official("B", OPTIONS).guessed
    for empty in ("", "green", "nothing"):
        read = official(empty, OPTIONS)
        assert (read.guessed, read.status) == (True, "ok")
        assert read != Reading(read.value, "ok")  # what was picked is nothing that was read
        assert official(empty, OPTIONS) == read
    picks = Counter(official(f"no idea {n}", OPTIONS).value for n in range(400))
    assert min(picks.values()) > 60


def test_official_open_answers_do_not_end_at_a_period() -> None:
    gold = Accepted(answers=("red",))
    raw = "It is red. The other one is blue"
    assert Contains()(Open()(raw, gold, "").value, gold) == 1
    assert MmmuContains()(MmmuOpen()(raw, gold, "").value, gold) == 0
    assert MmmuOpen()("", gold, "").status == "ok"


def test_open_answers_of_vlmevalkit() -> None:
    gold = Accepted(answers=("MgS",))
    assert GoldAsOption()("It is MgS", gold) == 1
    assert GoldAsOption()("It is MgO", gold) == 0


@pytest.mark.parametrize(
    ("model", "official", "vlmevalkit", "unparsed", "guessed"),
    [("llava1.5_13b", 36.67, 36.44, 3, 2), ("qwen_vl", 36.11, 24.78, 312, 48)],
)
def test_published_answers_to_mmmu(
    published: Path, model: str, official: float, vlmevalkit: float, unparsed: int, guessed: int
) -> None:
    rows = published_answers(published / "mmmu_outputs" / "example_outputs" / model)
    found = {name: replay(rows, reader) for name, reader in readers().items()}
    scores = {
        name: round(100 * sum(read.credit for read in reads) / len(reads), 2)
        for name, reads in found.items()
    }
    assert (scores["official"], scores["vlmevalkit"]) == (official, vlmevalkit)
    unread = [read for read in found["vlmevalkit"] if read.options and read.reading.status != "ok"]
    assert len(unread) == unparsed
    assert sum(read.reading.guessed for read in found["official"]) == guessed
    assert not any(read.reading.guessed for read in found["ours"])


def test_a_folder_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no SUBJECT/output\.json"):
        published_answers(tmp_path)


@pytest.fixture
def benchmark() -> Benchmark:
    return Benchmark(
        name="mmmu",
        source=lambda: [],
        answer=Answer(mode="generate", normalise="sum", by="letter", max_new_tokens=4),
        profile=PROFILE,
        parser=Letter(),
        free=None,
        reducers={"score": Mean()},
        chance=0.25,
        expect=None,
        shuffle=None,
        circular=False,
        limit=None,
        stratify=None,
        seed=0,
        exports=(),
    )


def test_a_profile_replaces_the_rules_of_its_benchmarks(benchmark: Benchmark) -> None:
    profile = Compat(name="peer", rules={"mmmu": Rules(parser=InferredLetter(), free=None)})
    read = profile(benchmark)
    assert read.parser == InferredLetter()
    assert dataclasses.replace(read, parser=benchmark.parser) == benchmark
    ranked = dataclasses.replace(
        benchmark, answer=Answer(mode="rank", normalise="sum", by="letter", max_new_tokens=4)
    )
    with pytest.raises(ValueError, match="compat=peer reads generated answers and mmmu ranks"):
        profile(ranked)
    other = dataclasses.replace(benchmark, name="mmu", parser=Words())
    with pytest.raises(ValueError, match="no rules for the benchmark 'mmu'; did you mean 'mmmu'"):
        profile(other)


def test_a_profile_says_what_it_does_not_claim(benchmark: Benchmark) -> None:
    profile = Compat(name="peer", rules={"mmmu": Unclaimed(why="there a judge decides")})
    with pytest.raises(ValueError, match="does not claim the benchmark 'mmmu': there a judge dec"):
        profile(benchmark)


def test_every_profile_can_be_built(benchmark: Benchmark) -> None:
    for file in sorted((CONF / "compat").glob("*.yaml")):
        profile = instantiate(OmegaConf.load(file))
        assert profile.name.startswith(file.stem)  # `llm` goes on with the name of its model
        rules = getattr(profile, "rules", {}).values()
        assert all(isinstance(each, Rules | Unclaimed) for each in rules)
        known = {path.stem for path in (CONF / "benchmark").glob("*.yaml")}
        assert set(getattr(profile, "rules", {})) <= known
    none = instantiate(OmegaConf.load(CONF / "compat" / "none.yaml"))
    assert none(benchmark) is benchmark
    official = instantiate(OmegaConf.load(CONF / "compat" / "official.yaml"))
    assert official(benchmark).parser("(C)", OPTIONS) == Reading(2, "ok")


def test_whole_answers() -> None:
    assert Whole()(" Yes. ", Accepted(answers=("x",)), "") == Reading("Yes.", "ok")
    assert Whole()(" ", Accepted(answers=("x",)), "") == Reading(None, "none")

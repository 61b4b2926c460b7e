"""The benchmark engine on a small made-up benchmark."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from solvent.benchmarks.benchmark import Answer, Benchmark, Expect
from solvent.benchmarks.clusters import subsample
from solvent.benchmarks.hub import HubTable
from solvent.benchmarks.images import StoredImage
from solvent.benchmarks.parsers import Reading, Words
from solvent.benchmarks.prompts import Layout, Profile
from solvent.benchmarks.reducers import AllOf, Mean
from solvent.benchmarks.sample import Columns
from solvent.benchmarks.source import LocalFiles
from solvent.core.statistics import connected
from solvent.core.types import CandidateScore, Prediction, Sample

PROFILE = Profile(
    name="p",
    letter=Layout(lines=["{question}", "{options}"], option="{letter}) {option}"),
    words=Layout(lines=["{question}"], option=None),
)


@pytest.fixture
def samples(sample: Callable[..., Sample]) -> list[Sample]:
    """200 rows in pairs, three quarters of them easy."""
    return [
        sample(
            f"t/{i:03d}",
            groups={"pair": str(i // 2)},
            tags={"level": "hard" if i // 2 % 4 == 0 else "easy"},
        )
        for i in range(200)
    ]


@pytest.fixture
def benchmark(samples: list[Sample]) -> Benchmark:
    return Benchmark(
        name="t",
        source=lambda: samples,
        answer=Answer(mode="rank", normalise="sum", by="words", max_new_tokens=4),
        profile=PROFILE,
        parser=Words(),
        free=None,
        reducers={"score": Mean(), "pairs": AllOf(group="pair")},
        chance=0.5,
        expect=Expect(rows=200, groups={"pair": 100}, gold={"Cat": 200}),
        limit=None,
        stratify="level",
        seed=0,
        shuffle=None,
        circular=False,
        exports=(),
    )


def changed(benchmark: Benchmark, **fields: Any) -> Benchmark:
    return dataclasses.replace(benchmark, **fields)


def scores(*values: float) -> list[CandidateScore]:
    return [CandidateScore(log_probability=value, tokens=1) for value in values]


def test_fields_have_no_defaults() -> None:
    later = {"bad_rows", "skip"}  # stored configurations lack them
    for kind in (Benchmark, Answer, Expect, HubTable, LocalFiles, Columns, StoredImage):
        for field in dataclasses.fields(kind):
            assert field.default is dataclasses.MISSING or field.name in later
            assert field.default_factory is dataclasses.MISSING


def test_choose_takes_the_likeliest_and_never_the_first(
    benchmark: Benchmark, sample: Callable[..., Sample]
) -> None:
    assert benchmark.choose(scores(-2.0, -1.0), sample()) == Reading(1, "ok")
    assert benchmark.choose(scores(-1.0, -math.inf), sample()) == Reading(0, "ok")
    assert benchmark.choose(scores(-1.5, -1.5), sample()) == Reading(None, "ambiguous")
    assert benchmark.choose(scores(-math.inf, -math.inf), sample()) == Reading(None, "ambiguous")
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValueError, match="t/1: log-probabilities"):
            benchmark.choose(scores(-1.0, wrong), sample())
    with pytest.raises(ValueError, match="3 scores for 2 options"):
        benchmark.choose(scores(-1, -2, -3), sample())


def test_candidates_are_valued_by_sum_by_token_or_less_the_blind_score(
    benchmark: Benchmark, sample: Callable[..., Sample]
) -> None:
    """ "dog" is long and likely without looking: sum -2 - -4, mean -1 - -0.5, less blind 1 - -1."""
    given = [
        CandidateScore(log_probability=-2.0, tokens=2),
        CandidateScore(log_probability=-4.0, tokens=8),
    ]
    unseen = [
        CandidateScore(log_probability=-3.0, tokens=2),
        CandidateScore(log_probability=-3.0, tokens=8),
    ]

    def answering(normalise: str) -> Benchmark:
        return changed(benchmark, answer=replace(benchmark.answer, normalise=normalise))

    assert answering("sum").choose(given, sample()) == Reading(0, "ok")
    assert answering("mean").choose(given, sample()) == Reading(1, "ok")
    assert answering("mean").answer.values(given, None) == [-1.0, -0.5]
    assert answering("minus_blind").answer.values(given, unseen) == [1.0, -1.0]
    assert answering("minus_blind").choose(given, sample(), given) == Reading(None, "ambiguous")
    assert answering("minus_blind").choose(given, sample(), unseen) == Reading(0, "ok")
    assert answering("minus_blind").choose(unseen, sample(), given) == Reading(1, "ok")
    with pytest.raises(ValueError, match="not scored without the image"):
        answering("minus_blind").choose(given, sample())
    with pytest.raises(ValueError, match=r"answer\.normalise is 'length'"):
        answering("length")
    assert [answering(way).subtracts_blind for way in ("sum", "mean", "minus_blind")] == [0, 0, 1]


def test_credit_needs_an_answer(benchmark: Benchmark, sample: Callable[..., Sample]) -> None:
    assert benchmark.credit(benchmark.parse("cat", sample()), sample()) == 1.0
    assert benchmark.credit(benchmark.parse("dog", sample()), sample()) == 0.0
    assert benchmark.credit(benchmark.parse("cat or dog", sample()), sample()) == 0.0
    assert benchmark.credit(benchmark.choose(scores(-1, -1), sample()), sample()) == 0.0


def test_letters_or_words_are_asked_for(
    benchmark: Benchmark, sample: Callable[..., Sample]
) -> None:
    assert benchmark.candidates(sample()) == ("cat", "dog")
    assert benchmark.prompt(sample()) == "What is it?"
    by_letter = changed(
        benchmark, answer=Answer(mode="rank", normalise="sum", by="letter", max_new_tokens=4)
    )
    assert by_letter.candidates(sample()) == ("A", "B")
    assert by_letter.prompt(sample()) == "What is it?\nA) cat\nB) dog"


def test_other_amounts_of_data_are_refused(benchmark: Benchmark, samples: list[Sample]) -> None:
    fewer = changed(benchmark, source=lambda: samples[:-1])
    with pytest.raises(ValueError, match=r"expected 200 rows, found 199: the data of t differ"):
        fewer.samples()
    other = changed(benchmark, expect=Expect(rows=200, groups={"pair": 99}, gold=None))
    with pytest.raises(ValueError, match=r"expected 99 groups of kind 'pair', found 100"):
        other.samples()
    gold = changed(benchmark, expect=Expect(rows=200, groups={}, gold={"cat": 199, "dog": 1}))
    with pytest.raises(ValueError, match="199 rows with the gold answer 'cat', found 200"):
        gold.samples()
    twice = changed(benchmark, source=lambda: [*samples, samples[0]])
    with pytest.raises(ValueError, match=r"two samples have the uid t/000"):
        twice.samples()
    assert len(changed(fewer, expect=None).samples()) == 199


def test_a_limit_keeps_groups_whole_and_the_mixture(benchmark: Benchmark) -> None:
    some = changed(benchmark, limit=41).samples()
    assert len(some) == 40
    assert [row.uid for row in some] == sorted(row.uid for row in some)
    pairs = [row.groups["pair"] for row in some]
    assert all(pairs.count(pair) == 2 for pair in pairs)
    assert sum(row.tags["level"] == "hard" for row in some) == 10
    assert changed(benchmark, limit=200).samples() == benchmark.samples()


def test_a_limit_depends_on_nothing_but_data_and_seed(
    benchmark: Benchmark, samples: list[Sample]
) -> None:
    def drawn(rows: list[Sample], limit: int, seed: int) -> set[str]:
        return {row.uid for row in subsample(rows, limit, seed, "level")}

    mixed = random.Random(0).sample(samples, len(samples))
    by_pair = sorted(mixed, key=lambda row: row.uid[-1])  # pairs torn apart, inner order kept
    assert drawn(samples, 40, 0) == drawn(by_pair, 40, 0)
    assert drawn(samples, 40, 0) != drawn(samples, 40, 1)
    assert drawn(samples, 20, 0) < drawn(samples, 40, 0)
    assert drawn(samples, 40, 0) != {row.uid for row in samples[:40]}


def test_a_limit_gives_a_rare_stratum_its_share(sample: Callable[..., Sample]) -> None:
    rows = [sample(f"t/{i}", tags={"kind": "rare" if i == 7 else "usual"}) for i in range(10)]
    assert "t/7" in {row.uid for row in subsample(rows, 6, 0, "kind")}
    assert "t/7" not in {row.uid for row in subsample(rows, 4, 0, "kind")}


def test_a_limit_that_holds_no_group_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(ValueError, match="raise the limit to at least 2"):
        changed(benchmark, limit=1).samples()
    with pytest.raises(ValueError, match="limit is 0"):
        changed(benchmark, limit=0)
    with pytest.raises(ValueError, match=r"stratify by 'levels': t/\d+ has the tags \['level'\]"):
        changed(benchmark, limit=10, stratify="levels").samples()


def test_connected_follows_every_group_kind() -> None:
    rows = [{"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"}, {}, {}, {"a": "2"}]
    assert connected(rows) == [0, 1, 0, 0, 2, 3, 1]
    assert connected([{}, {}]) == [0, 1]
    assert connected([]) == []


def answered(samples: list[Sample], predict: Callable[..., Prediction]) -> list[Prediction]:
    return [predict(row.uid, 1.0, groups=row.groups, tags=row.tags) for row in samples]


def test_scores_have_names(
    benchmark: Benchmark, samples: list[Sample], predict: Callable[..., Prediction]
) -> None:
    result = benchmark.score(answered(samples, predict))
    assert list(result) == ["score", "pairs"]
    assert result["score"]["n"] == 200
    assert result["pairs"]["n"] == 100


def test_incomplete_or_mixed_predictions_are_not_scored(
    benchmark: Benchmark, samples: list[Sample], predict: Callable[..., Prediction]
) -> None:
    rows = answered(samples, predict)
    with pytest.raises(ValueError, match=r"expected 200 rows, found 199: finish the run of t"):
        benchmark.score(rows[1:])
    with pytest.raises(ValueError, match=r"one condition, found \{'real': 200, 'swap': 1\}"):
        benchmark.score([*rows, predict("t/999", condition="swap")])
    with pytest.raises(ValueError, match=r"one condition, found \{\}"):
        benchmark.score([])
    with pytest.raises(ValueError, match="two predictions have the uid t/000"):
        benchmark.score([*rows, rows[0]])
    assert changed(benchmark, limit=150).score(rows[:100])["score"]["n"] == 100


def test_definitions_that_cannot_work_are_refused(benchmark: Benchmark) -> None:
    with pytest.raises(ValueError, match="named 'score'"):
        changed(benchmark, reducers={"accuracy": Mean()})
    with pytest.raises(ValueError, match="chance is 50"):
        changed(benchmark, chance=50)
    with pytest.raises(ValueError, match=r"answer\.mode is 'guess'"):
        Answer(mode="guess", normalise="sum", by="words", max_new_tokens=4)


def test_rotations_are_asked_counted_and_scored(
    benchmark: Benchmark, predict: Callable[..., Prediction]
) -> None:
    circular = changed(benchmark, circular=True)
    samples = circular.samples()
    assert len(samples) == 400
    rows = [
        predict(
            s.uid,
            float(not s.uid.endswith("rotation1") or s.uid < "t/1"),
            groups=s.groups,
            gold=s.gold,
            options=s.options,
            scores=(0.0, -1.0),  # always the first letter
        )
        for s in samples
    ]
    found = circular.score(rows)
    assert found["score"]["value"] == 0.75
    assert found["circular"]["value"] == 0.5
    assert found["debiased"]["value"] == 0.0  # nothing but a preferred letter
    with pytest.raises(ValueError, match="expected 200 rows, found 199"):
        circular.score(rows[2:])
    assert "circular" not in benchmark.score(rows[::2])


def test_exports_expect_the_order_of_the_data(benchmark: Benchmark) -> None:
    for fields in ({"circular": True}, {"shuffle": 0}):
        with pytest.raises(ValueError, match=r"set benchmark\.exports=\[\]"):
            changed(benchmark, exports=(lambda rows, folder: folder,), **fields)


def test_places_of_images_stay_only_where_there_are_images(
    benchmark: Benchmark, sample: Callable[..., Sample]
) -> None:
    question = sample(text="See <image:1> there.", images=("picture",))
    assert "See <image:1> there." in benchmark.prompt(question)
    assert "See there." in benchmark.prompt(dataclasses.replace(question, images=()))


def test_rotations_that_the_data_hold_count_as_rows(sample: Callable[..., Sample]) -> None:
    rows = [sample(f"t/q{roll}", groups={"circular": "q"}) for roll in ("", "-1", "-2")]
    Expect(rows=3, groups={"circular": 1}, gold=None).check(rows, "")
    Expect(rows=None, groups={"circular": 1, "pair": 0}, gold=None).check(rows, "")
    with pytest.raises(ValueError, match="expected 1 rows, found 3"):
        Expect(rows=1, groups={}, gold=None).check(rows, "")

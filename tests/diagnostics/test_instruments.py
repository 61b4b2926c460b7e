"""The tests as instruments: what they say where there is nothing, and of what cannot be read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from solvent.core.intervals import DIFFERENCE
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.dependency import Dependency
from solvent.diagnostics.information import Information
from solvent.diagnostics.perturbation import Perturbation
from solvent.diagnostics.statistics.distances import entropy_bits, total_variation
from solvent.diagnostics.statistics.estimates import decide, estimate, p_above
from solvent.diagnostics.statistics.floors import Floor, in_some_sample
from solvent.diagnostics.swaps import content, image_effect_bits, over_placebo, probability_gap
from solvent.diagnostics.uncertainty import Uncertainty
from tests.diagnostics.scripted import scripted
from tests.diagnostics.seeing import seen

BASELINES = ["text", "blank", "knock"]
TESTS = (
    Dependency(margin_bits=0.01),
    Perturbation(families={"mask": [25, 50]}, primary="mask_25", margin=0.02, samples=100),
    Information(baselines=BASELINES, margin_bits=0.02),
    Uncertainty(baselines=BASELINES, margin=0.01, dependency_margin_bits=0.01),
)
RUNS, SAMPLES = 300, 60
BY_NAME = pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)


def blind(seed: int, noise: float, samples: int = SAMPLES) -> Answers:
    """A model that ignores the image, each of whose runs adds noise to its logits."""
    generator = np.random.default_rng(seed)
    logits = 1.5 * generator.normal(size=(samples, 4))
    names = scripted("M0", 1).scores
    return Answers(
        uids=tuple(map(str, range(samples))),
        options=(("a", "b", "c", "d"),) * samples,
        gold=generator.integers(4, size=samples),
        clusters=np.arange(samples),
        tags=({},) * samples,
        scores={
            name: log_softmax(logits + noise * generator.normal(size=logits.shape), axis=1)
            for name in names
        },
        shown={name: ({},) * samples for name in names},
        image_tokens={name: np.full(samples, 16) for name in names},
    )


def changed(answers: Answers, condition: str, rows: slice, value: float) -> Answers:
    """The same answers with other scores of the first option in some samples."""
    scores = answers.scores[condition].copy()
    scores[rows, 0] = value
    return replace(answers, scores={**answers.scores, condition: scores})


def statistics(answers: Answers) -> dict[str, np.ndarray]:
    """What the p-values of three tests are made of."""
    moved = probability_gap(answers, total_variation)
    entropy = {name: entropy_bits(answers.probabilities(name)) for name in ("real", "text")}
    return {
        "dependency": image_effect_bits(answers),
        "perturbation": over_placebo(moved, answers, ("mask_25",)),
        "information": entropy["text"] - entropy["real"],
    }


def test_noise_is_not_taken_for_an_effect() -> None:
    """Of 300 runs of a blind model, 5 % reject, give or take two standard errors of 1.3 %."""
    found: dict[str, list[float]] = defaultdict(list)
    for seed in range(RUNS):
        for name, values in statistics(blind(seed, 0.3)).items():
            found[name].append(p_above(values, np.arange(SAMPLES), 0.0, None))
    for name, p_values in found.items():
        rejected = np.mean(np.array(p_values) < 0.05)
        assert 0.01 <= rejected <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / RUNS), name


def test_no_verdict_passes_on_noise() -> None:
    for seed in range(60):
        answers = blind(seed, 0.3)
        effect = estimate(image_effect_bits(answers), answers.clusters, DIFFERENCE)
        assert effect.doubt is None
        assert decide(effect, 0.01) != "PASS"


def test_noise_does_not_open_the_gate_on_information() -> None:
    """A blind model that is noisy: J is above the margin, and so is J of its reruns."""
    answers = blind(5, 0.4, samples=300)
    surer = {"text": log_softmax(0.5 * answers.scores["text"], axis=1)}
    found = TESTS[2].judge(seen(replace(answers, scores={**answers.scores, **surer})))
    assert found.metrics["mutual_information_bits"].lower > 0.02
    assert found.metrics["mutual_information_noise_bits"].value == pytest.approx(
        found.metrics["mutual_information_bits"].value, rel=0.1
    )
    assert (found.series["ungated"]["text"], found.verdict) == ("PASS", "FAIL")


def rerun_in_part(answers: Answers, share: float) -> Answers:
    """The same where that share of the samples was rerun, a few of them not every time."""
    once = np.arange(len(answers)) < share * len(answers)
    twice = once & (np.arange(len(answers)) % 7 > 0)
    reruns = {
        name: np.where((once if name == "rerun_1" else twice)[:, None], scores, np.nan)
        for name, scores in answers.scores.items()
        if name.startswith("rerun")
    }
    return replace(answers, scores={**answers.scores, **reruns})


def test_the_noise_floor_of_many_samples_is_that_of_the_few_that_were_rerun() -> None:
    """Noise alone is told from content in 5 % of runs, though 40 % of the samples show it."""
    found = [content(rerun_in_part(blind(seed, 0.3, 200), 0.4), 0.0) for seed in range(200)]
    rejected = np.mean([each.p_value < 0.05 for each in found])
    assert 0.01 <= rejected <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    surer = rerun_in_part(blind(5, 0.4, samples=2250), 160 / 2250)
    told = {"text": log_softmax(0.5 * surer.scores["text"], axis=1)}
    found = TESTS[2].judge(seen(replace(surer, scores={**surer.scores, **told})))
    assert found.metrics["mutual_information_noise_bits"].n == 160
    assert found.metrics["mutual_information_bits"].lower > 0.02
    assert (found.series["ungated"]["text"], found.verdict) != ("PASS", "PASS")
    net = found.metrics["mutual_information_net_bits"]
    assert net.low < 0 < net.high


def test_content_is_more_than_its_noise_floor() -> None:
    looks = rerun_in_part(scripted("M2", 10), 0.4)
    assert content(looks, 0.02).verdict == "PASS"
    assert content(looks, 0.02).net.value == pytest.approx(0.7925, abs=1e-4)  # nothing moves
    assert content(looks, 0.9).verdict == "FAIL"
    none = {name: s for name, s in looks.scores.items() if not name.startswith("rerun")}
    assert content(replace(looks, scores=none), 0.02).verdict == "INCONCLUSIVE"
    assert content(blind(0, 0.0, 600), 0.02).verdict == "FAIL"


@BY_NAME
def test_readings_of_a_blind_model(test: object) -> None:
    found = test.judge(seen(blind(0, 0.02, samples=300)))
    assert found.verdict == ("VACUOUS" if test.name == "uncertainty" else "FAIL"), found.reason


def test_strict_dependency_needs_more_than_reruns_do() -> None:
    limits = Floor(rerun=0.1, placebo=None, largest=0.15)
    as_expected = np.where(np.arange(500) < 5, 0.12, 0.05)  # 1 % beyond the 99th percentile
    assert in_some_sample(as_expected, limits) == "FAIL"
    assert in_some_sample(np.where(np.arange(500) < 15, 0.12, 0.05), limits) == "PASS"
    assert in_some_sample(np.where(np.arange(500) < 1, 0.31, 0.05), limits) == "PASS"
    exact = Floor(rerun=0.0, placebo=None, largest=1e-6)
    assert in_some_sample(np.full(500, 1e-9), exact) == "FAIL"
    assert in_some_sample(np.full(500, 1e-5), exact) == "PASS"


@BY_NAME
def test_duplicates_of_an_image_leave_intervals_as_wide(test: object) -> None:
    answers = blind(1, 0.3, samples=150)
    rows = np.repeat(np.arange(150), 5)
    copies = Answers(
        uids=tuple(map(str, range(750))),
        options=answers.options * 5,
        gold=answers.gold[rows],
        clusters=rows,
        tags=answers.tags * 5,
        scores={name: scores[rows] for name, scores in answers.scores.items()},
        shown={name: shown * 5 for name, shown in answers.shown.items()},
        image_tokens={name: counts[rows] for name, counts in answers.image_tokens.items()},
    )
    once, often = test.judge(seen(answers)).metrics, test.judge(seen(copies)).metrics
    name = {
        "dependency": "jsd_over_placebo_bits",
        "perturbation": "over_placebo",
        "information": "entropy_gain_bits",
        "uncertainty": "confidence_gain",
    }[test.name]
    assert often[name].value == pytest.approx(once[name].value)
    width = once[name].high - once[name].low
    assert often[name].high - often[name].low == pytest.approx(width, rel=0.1)


@BY_NAME
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_failures_are_counted_and_too_many_are_an_error(test: object, bad: float) -> None:
    answers = blind(2, 0.1, samples=200)
    few = test.judge(seen(changed(answers, "real", slice(2), bad)))
    assert (few.metrics["samples"], few.metrics["invalid"]) == (198, 2)
    assert few.verdict != "ERROR"
    many = test.judge(seen(changed(answers, "real", slice(3), bad)))
    assert (many.verdict, many.strict, many.metrics["invalid"]) == ("ERROR", "ERROR", 3)
    assert "3 of 200" in many.reason


@BY_NAME
def test_questions_that_ask_nothing_are_left_out(test: object) -> None:
    answers = blind(3, 0.1)
    single = replace(answers, options=(("a",),) * SAMPLES)
    found = test.judge(seen(single))
    assert found.verdict == "NOT APPLICABLE"
    assert found.metrics["single_option"] == SAMPLES
    twice = replace(answers, options=(("a", " A", "c", "d"), *answers.options[1:]))
    found = test.judge(seen(twice))
    assert (found.metrics["duplicate_options"], found.metrics["samples"]) == (1, SAMPLES - 1)
    assert found.metrics["invalid"] == 0


@BY_NAME
def test_a_condition_that_was_not_run(test: object) -> None:
    answers = blind(4, 0.1)
    primary = "mask_25" if test.name == "perturbation" else "swap"
    without = {name: scores for name, scores in answers.scores.items() if name != primary}
    with pytest.raises(ValueError, match=f"found none under {primary}"):
        test.judge(seen(replace(answers, scores=without)))


def test_missing_donors_are_no_failures_but_broken_scores_are() -> None:
    answers = scripted("M2", 10)
    missing = answers.scores["swap_diff"].copy()
    missing[:100] = np.nan
    there = {**answers.scores, "swap_diff": missing, "swap_same": answers.scores["real"]}
    answers = replace(answers, scores=there, shown={**answers.shown, "swap_same": ({},) * 160})
    found = TESTS[0].judge(seen(answers))
    contrast = found.metrics["content_contrast_bits"]
    assert (found.metrics["invalid"], contrast.n) == (0, 60)
    assert contrast.value == pytest.approx(0.4425, abs=1e-4)
    broken = TESTS[0].judge(seen(changed(answers, "swap_diff", slice(100, 103), np.nan)))
    assert (broken.verdict, broken.metrics["invalid"]) == ("ERROR", 3)


def test_a_sample_without_a_donor_is_left_out_not_failed() -> None:
    """What was shown tells a picture that was not found from a model that failed on it."""
    answers = scripted("M2", 10)
    swap = np.where(np.arange(160)[:, None] < 50, np.nan, answers.scores["swap"])
    answers = replace(answers, scores={**answers.scores, "swap": swap})
    found = TESTS[0].judge(seen(answers))
    assert [found.metrics[name] for name in ("samples", "without_donor", "invalid")] == [110, 50, 0]
    facts = ({"donor": "x"},) * 160
    failed = TESTS[0].judge(seen(replace(answers, shown={**answers.shown, "swap": facts})))
    assert (failed.verdict, failed.metrics["invalid"]) == ("ERROR", 50)


def test_covering_evidence_must_move_the_answer_more() -> None:
    answers = scripted("M2", 10)
    gone, kept = answers.scores["mask_100"], answers.scores["real"]

    def reading(relevant: np.ndarray, irrelevant: np.ndarray):
        more = {"mask_relevant": relevant, "mask_irrelevant": irrelevant}
        shown = {**answers.shown, **dict.fromkeys(more, ({},) * 160)}
        return TESTS[1].judge(
            seen(replace(answers, scores={**answers.scores, **more}, shown=shown))
        )

    right = reading(gone, kept)
    assert (right.verdict, right.metrics["evidence_contrast"].value) == ("PASS", pytest.approx(0.5))
    assert reading(kept, gone).verdict == "FAIL"
    assert reading(gone, gone).verdict == "INCONCLUSIVE"
    none = np.full_like(gone, np.nan)
    for lost in (reading(gone, none), reading(none, gone)):  # only half of the evidence
        assert (lost.verdict, lost.metrics["p_value"]) == ("INCONCLUSIVE", None)
        assert "answers are missing" in lost.reason
    impossible = reading(none, none)  # questions without boxes: other limited conditions have some
    assert impossible.verdict == "PASS"
    assert impossible.metrics["p_value"] < 0.05
    assert "no question says where" in impossible.reason
    limited = {"mask_50": none, "noise": none, "shuffle": none, "paraphrase": none}
    answers = replace(answers, scores=answers.scores | limited)
    emptied = reading(none, none)
    assert (emptied.verdict, emptied.metrics["p_value"]) == ("INCONCLUSIVE", None)


def test_refusals_are_flagged_and_left_out_of_a_second_estimate() -> None:
    answers = scripted("M2", 10)
    text = answers.scores["text"] - np.where(np.arange(160) < 40, 4.0, 0.0)[:, None]
    found = TESTS[2].judge(seen(replace(answers, scores={**answers.scores, "text": text})))
    assert found.metrics["unlikely"] == 40  # exp(-4) = .018 < .05
    assert (found.metrics["entropy_gain_bits"].n, found.metrics["entropy_gain_likely_bits"].n) == (
        160,
        120,
    )
    assert found.metrics["entropy_gain_bits"].value == pytest.approx(0.7925, abs=1e-4)


def test_certainty_without_the_picture_is_a_ceiling() -> None:
    answers = scripted("M1", 10)
    certain = log_softmax(np.eye(4)[np.arange(160) % 4] * 100, axis=1)
    answers = replace(answers, scores={**answers.scores, "text": certain})
    assert TESTS[3].judge(seen(answers)).metrics["ceiling"].value == 1
    assert TESTS[2].judge(seen(answers)).metrics["ceiling"].value == 1


def test_a_switch_at_equal_confidence_is_seen() -> None:
    answers = scripted("M2", 10)
    turned = {**answers.scores, "text": answers.scores["swap"]}
    found = TESTS[3].judge(seen(replace(answers, scores=turned)))
    assert found.metrics["switches"].value == 1
    assert found.metrics["consistency"].value == 1


def test_floor_is_the_percentile_of_reruns() -> None:
    """One of 100 samples moves by .2 in one of three reruns: within the upper 1 % of 300 pairs."""
    answers = scripted("M2", 10).take(np.arange(160) < 100)
    p = answers.probabilities("real").copy()
    order = np.argsort(p[0])
    p[0, order[-1]] -= 0.2
    p[0, order[0]] += 0.2
    rerun = {**answers.scores, "rerun_2": np.log(p)}
    found = TESTS[1].judge(seen(replace(answers, scores=rerun))).metrics
    distances = np.zeros(300)
    distances[0] = 0.2
    assert found["floor"] == pytest.approx(max(np.quantile(distances, 0.99), 1e-6))
    every = np.log(0.9 * answers.probabilities("real") + 0.1 / 4)  # moves by .1 * (.75 - .25)
    found = (
        TESTS[1].judge(seen(replace(answers, scores=answers.scores | {"rerun_2": every}))).metrics
    )
    assert found["floor"] == pytest.approx(0.05)


@BY_NAME
def test_few_independent_samples_are_said_to_be_few(test: object) -> None:
    answers = replace(scripted("M2", 10), clusters=np.arange(160) % 12)
    assert "12 independent images have a say" in test.judge(seen(answers)).reason

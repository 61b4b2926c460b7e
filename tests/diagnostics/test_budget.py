"""Attention budget: the toy model of equal scores, and scripted models of known influence."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.diagnostics.answers import Answers
from solvent.diagnostics.budget import Budget, FillerBudget
from solvent.diagnostics.growing.relative_budget import RelativeBudget
from solvent.diagnostics.statistics.slopes import slope_beside_start, steepest_fall
from solvent.diagnostics.stored_shares import ALL_GROUPS, FILLER, GROUPS, IMAGE, PLACES, Shares
from tests.conftest import ROOT
from tests.diagnostics.seeing import seen

N, WORDS = 800, (64, 256, 1024, 4096)
IMAGE_TOKENS, TEXT_TOKENS = 256, 64
TOY = (0.8, 0.6667, 0.4444, 0.1905, 0.0580)  # mass at 0 and these many tokens, equal scores


def budget(**changed: Any) -> RelativeBudget:
    settings = OmegaConf.load(ROOT / "conf/diagnostic/budget.yaml")
    shipped = instantiate(settings)
    return replace(shipped, **{"words": WORDS, "places": ("after",), "draws": 1} | changed)


def toy_shares(names: tuple[str, ...], masses: tuple[float, ...]) -> dict[str, Shares]:
    found = {}
    for name, mass, words in zip(names, masses, (0, *WORDS), strict=True):
        share = np.zeros((N, 2, 3, len(PLACES), len(GROUPS)))
        share[..., IMAGE], share[..., 3] = mass, 1 - mass
        count = np.zeros((N, 2, len(PLACES), len(GROUPS)))
        count[..., IMAGE] = IMAGE_TOKENS / (IMAGE_TOKENS + TEXT_TOKENS + words)
        count[..., 3] = 1 - count[..., IMAGE]
        found[name] = Shares(
            uids=tuple(map(str, range(N))),
            mass=share,
            effective=share,
            uniform=count,
            image_tokens=np.full(N, IMAGE_TOKENS),
        )
    return found


def old(**changed: Any) -> Budget:
    """The test of cells that ran before influence was judged by its share."""
    new = budget(**changed)
    kept = {field.name: getattr(new, field.name) for field in fields(FillerBudget)}
    return Budget(**kept, margin_bits=0.01)


SPREAD = np.linspace(0.98, 1.02, N)  # of the clarity of images


def scripted(
    strength: list[float], text: list[float], clarity: Any = 1.0, told: float | list[float] = 3.0
) -> Answers:
    """Two options. The image says the right one with a logit, at every length; the text says it in
    every other sample with another logit. With another picture the image says the other one. A
    statement without the image says it with a logit of its own.
    """
    names = ("real", *(f"filler_after_{words}" for words in WORDS))
    scores, knows = {}, np.arange(N) % 2
    statements = told if isinstance(told, list) else [told] * 5
    for name, image, words, said in zip(names, strength, text, statements, strict=True):
        stated = "text+congruent" if name == "real" else f"text+{name}+congruent"
        if name == "real":  # the image again: it says twice as much
            scores["repeated_image"] = np.stack([2 * image * clarity * (1 - knows), 0 * knows], 1)
            scores["swap+repeated_image"] = -scores["repeated_image"]
        scores[stated] = np.stack([said * np.ones(N), np.zeros(N)], axis=1)
        for other, sign in (("", 1), ("swap", -1), ("knock", 0), ("text", 0)):
            logit = sign * image * clarity * (1 - knows) + words * knows
            under = name if not other else other if name == "real" else f"{other}+{name}"
            scores[under] = np.stack([logit, np.zeros(N)], axis=1)
    return Answers(
        uids=tuple(map(str, range(N))),
        options=(("yes", "no"),) * N,
        gold=np.zeros(N, dtype=int),
        clusters=np.arange(N),
        tags=({},) * N,
        scores=scores,
        shown={},
        image_tokens={},
    )


STAYS, FALLS, NOTHING = [2.0] * 5, [3.0, 2.0, 1.0, 0.5, 0.2], [0.0] * 5
KNOWN = [3.0] * 5


@pytest.mark.parametrize(
    ("strength", "text", "verdict", "strict", "words"),
    [
        (STAYS, KNOWN, "PASS", "PASS", "changes by"),
        (FALLS, KNOWN, "FAIL", "FAIL", "from a text that says the answer stays"),
        (NOTHING, KNOWN, "VACUOUS", "PASS", "none to lose"),
    ],
)
@pytest.mark.parametrize("measure", ["dependency", "gain"])
def test_verdicts(
    strength: list[float], text: list[float], verdict: str, strict: str, words: str, measure: str
) -> None:
    answers = scripted(strength, text, SPREAD)
    found = budget(measure=measure).judge(seen(answers, shares={}))
    if measure == "gain" and strength == NOTHING:  # bits of a label have no bounds, and where all
        assert (found.verdict, found.strict) == ("INCONCLUSIVE", strict)  # samples are alike ...
        return
    assert (found.verdict, found.strict) == (verdict, strict)
    assert words in found.reason


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([3.0, 1.0, 0.5, -0.5, -0.5], "decay of answers to a text that says them"),
        (0.0, "not surely believed: 0.000"),
        (None, "by more than 0.235, below which no decay of it shows: 0.115"),
    ],
)
def test_without_a_text_that_keeps_its_say_nothing_fails(told: Any, words: str) -> None:
    """Lucky guesses are right at all lengths: what shows decay is a text that is believed.

    None: right in 492 of 800 at every length, .115 above chance. Over 0, 64, ... 4096 words all of
    that at once would be a fall of .0098 per doubling, within the margin of .02.
    """
    few = told is None
    answers = scripted(FALLS, KNOWN, SPREAD, 3.0 if few else told)
    if few:
        for name in answers.scores:
            if name.endswith("congruent"):
                answers.scores[name][492:] *= -1
    found = budget().judge(seen(answers, shares={}))
    assert (found.verdict, found.strict) == ("INCONCLUSIVE", "FAIL")
    assert words in found.reason
    before = old().judge(seen(answers, shares={}))
    assert (before.verdict, before.strict) == ("INCONCLUSIVE", "FAIL")
    assert "no text was shown that says the answer" in before.reason
    assert old().judge(seen(scripted(STAYS, KNOWN, SPREAD), shares={})).verdict == "PASS"


def test_a_small_influence_that_goes_is_no_pass() -> None:
    """J falls from .05 bit to 0: by the share a failure, in bits too little for the margin."""
    small = [np.log(p / (1 - p)) for p in (0.6312, 0.5, 0.5, 0.5, 0.5)]
    answers = scripted(small, KNOWN, SPREAD)
    relative = budget().judge(seen(answers, shares={}))
    assert relative.series["curves"][0]["dependency_needing_image"][0]["value"] == pytest.approx(
        0.05, abs=5e-4
    )
    assert relative.verdict == "FAIL"
    assert "-9% of 0.050, against -5%" in relative.reason
    absolute = old().judge(seen(answers, shares={}))
    assert absolute.verdict == "VACUOUS"
    assert absolute.reason.startswith("J is 0.0503 bits without filler, surely below 0.11")
    kept = budget().judge(seen(scripted([small[0]] * 5, KNOWN, SPREAD), shares={}))
    assert kept.verdict == "PASS"


def test_steepness_by_hand() -> None:
    """Words 0, 16, 64: a loss of all at once is .178 of it per doubling (least squares)."""
    x = np.log2([1.0, 17.0, 65.0])
    assert steepest_fall(x) == pytest.approx(-np.polyfit(x, [1, 0, 0], 1)[0])
    assert steepest_fall(x) == pytest.approx(0.178, abs=5e-4)
    with pytest.raises(ValueError, match=r"above 0 and below 0\.178, the loss"):
        budget(words=(16, 64), margin_share=0.2)
    y = np.random.default_rng(0).random((50, 3))
    found = slope_beside_start(np.tile(x, (50, 1)), y, np.arange(50), 0.1, 1.0)
    by_hand = np.polyfit(x, y.T, 1)[0] + 0.1 * y[:, 0]
    assert found.value == pytest.approx(by_hand.mean())


def test_the_slope_is_that_of_the_influence_by_hand() -> None:
    found = budget().judge(seen(scripted(FALLS, KNOWN), shares={}))
    right = 1 / (1 + np.exp(-np.array(FALLS)))
    entropy = -(right * np.log2(right) + (1 - right) * np.log2(1 - right))
    influence = 1 - entropy  # the two answers mirror each other, so that their mean is (1/2, 1/2)
    expected = np.polyfit(np.log2(1 + np.array([0, *WORDS])), influence, 1)[0]
    assert found.metrics["dependency_slope_bits_after"].value == pytest.approx(expected)
    assert found.metrics["dependency_slope_bits_after"].n == N // 2
    (drawn,) = found.series["curves"]
    told = [point["value"] for point in drawn["dependency_needing_image"]]
    np.testing.assert_allclose(told, influence)
    assert [point["value"] for point in drawn["right"]] == [1.0] * 5
    assert [point["value"] for point in drawn["text_right"]] == [0.75] * 5  # ties count a half
    np.testing.assert_allclose(
        [point["value"] for point in drawn["gain_needing_image"]], 1 + np.log2(right)
    )


def test_the_image_again_is_told_by_hand() -> None:
    """J of mirrored answers is 1 - H: of logit 2 where half the samples are seen, 4 if repeated."""
    judged = budget().judge(seen(scripted(STAYS, KNOWN), shares={}))
    found, entropies = judged.metrics, []
    for logit in (2.0, 4.0):
        right = 1 / (1 + np.exp(-logit))
        entropies.append(-(right * np.log2(right) + (1 - right) * np.log2(1 - right)))
    assert found["dependency_repeated_bits"].value == pytest.approx((1 - entropies[1]) / 2)
    change = found["dependency_repeated_change_bits"]
    assert change.value == pytest.approx((entropies[0] - entropies[1]) / 2)
    said = f"again instead of filler changes J by {change.value:+.3f} {change.interval}."
    assert judged.reason.endswith(said)


def test_equal_scores_dilute_by_count() -> None:
    answers = scripted(STAYS, KNOWN)
    names = budget().watches["shares"]
    exact = tuple(IMAGE_TOKENS / (IMAGE_TOKENS + TEXT_TOKENS + words) for words in (0, *WORDS))
    np.testing.assert_allclose(exact, TOY, atol=5e-5)
    found = budget().judge(seen(answers, shares=toy_shares(names, exact)))
    beta = found.metrics["dilution_after"]
    np.testing.assert_allclose([beta.value, beta.low, beta.high], 1.0, atol=1e-9)
    (drawn,) = found.series["curves"]
    np.testing.assert_allclose([point["value"] for point in drawn["lift"]], 1.0)
    np.testing.assert_allclose([point["value"] for point in drawn["mass"]], TOY, atol=5e-5)
    protected = budget().judge(seen(answers, shares=toy_shares(names, (0.3,) * 5)))
    assert protected.metrics["dilution_after"].value == pytest.approx(0.0, abs=1e-9)
    odds = (np.array(exact) / (1 - np.array(exact))) ** 2
    crowded = budget().judge(seen(answers, shares=toy_shares(names, tuple(odds / (1 + odds)))))
    assert crowded.metrics["dilution_after"].value == pytest.approx(2.0)
    rounded = budget().judge(seen(answers, shares=toy_shares(names, TOY)))
    assert rounded.metrics["dilution_after"].value == pytest.approx(1.0, abs=1e-3)


def test_attention_to_filler_stands_beside_that_to_the_image() -> None:
    """Equal scores: every token gets its count. Where nobody told filler apart, nothing is said."""
    names, total = budget().watches["shares"], IMAGE_TOKENS + TEXT_TOKENS + WORDS[-1]
    shares = toy_shares(names, TOY)
    told = {}
    for name, words in zip(names, (0, *WORDS), strict=True):
        counts = np.zeros(len(ALL_GROUPS))
        counts[[IMAGE, 3, FILLER]] = np.array([IMAGE_TOKENS, TEXT_TOKENS, words])
        mass, uniform = (
            np.broadcast_to(counts[: len(ALL_GROUPS) if words else 4] / counts.sum(), shape)
            for shape in ((N, 2, 3, 2, 6 if words else 4), (N, 2, 2, 6 if words else 4))
        )
        told[name] = replace(shares[name], mass=mass, effective=mass, uniform=uniform)
    found = budget().judge(seen(scripted(STAYS, KNOWN), shares=told))
    assert found.metrics["mass_filler_after"].value == pytest.approx(WORDS[-1] / total)
    assert found.metrics["mass_image_after"].value == pytest.approx(IMAGE_TOKENS / total)
    for name in ("lift_filler_after", "lift_image_after"):
        assert found.metrics[name].value == pytest.approx(1.0)
    (drawn,) = found.series["curves"]
    expected = [words / (IMAGE_TOKENS + TEXT_TOKENS + words) for words in (0, *WORDS)]
    np.testing.assert_allclose([point["value"] for point in drawn["filler"]], expected)
    assert "filler gets 93% of the answer's attention, the image 6%." in found.reason
    per_token = found.metrics["filler_per_image_token_after"]
    assert per_token == pytest.approx(WORDS[-1] / IMAGE_TOKENS)
    before = budget().judge(seen(scripted(STAYS, KNOWN), shares=shares))
    assert not [name for name in before.metrics if "filler_after" in name and "mass" in name]
    assert "filler" not in before.series["curves"][0]
    dilution = found.metrics["dilution_after"].value
    assert before.metrics["dilution_after"].value == pytest.approx(dilution, abs=1e-3)


def test_without_filler_only_attention_is_told() -> None:
    answers = scripted(STAYS, KNOWN)
    kept = {name: answers.scores[name] for name in ("real", "swap", "knock", "text")}
    answers = replace(answers, scores=kept)
    shares = toy_shares(budget().watches["shares"], TOY)["real"]
    generator = np.random.default_rng(0)
    mass = shares.mass.copy()
    mass[:, 0, 0, :, IMAGE] += generator.normal(-0.3, 0.1, (N, 1))  # one head looks away
    found = budget().judge(seen(answers, shares={"real": replace(shares, mass=mass)}))
    assert found.verdict == found.strict == "NOT APPLICABLE"
    assert found.series["lift_differs_from_1"] == [[True, False, False], [False] * 3]
    assert (found.metrics["heads_below_count"], found.metrics["heads_above_count"]) == (1, 0)
    assert found.metrics["heads"] == 6
    heads = found.series["heads"]["mass_answer"]
    assert heads["value"][1][2] == pytest.approx(0.8)
    assert heads["low"][0][0] < mass[:, 0, 0, 0, IMAGE].mean() < heads["high"][0][0]
    assert found.metrics["lift_question"].value == pytest.approx(mass[..., IMAGE].mean() / 0.8)
    assert found.metrics["effect_bits"].n == N


def test_failed_samples_are_counted_and_too_many_spoil_the_verdict() -> None:
    answers = scripted(STAYS, KNOWN)
    answers.scores["swap+filler_after_64"][:20] = np.nan
    found = budget().judge(seen(answers, shares={}))
    assert found.verdict == "ERROR"
    assert found.metrics["filler_invalid_after"] == 20
    assert budget(most_invalid=0.05).judge(seen(answers, shares={})).verdict == "PASS"


def test_samples_without_a_donor_are_left_out() -> None:
    answers = scripted(STAYS, KNOWN)
    for name in answers.scores:
        if name.startswith("swap"):
            answers.scores[name][:4] = np.nan
    found = budget().judge(seen(answers, shares={}))
    assert found.verdict == "PASS"
    assert found.metrics["filler_samples_after"] == N - 4
    nobody = replace(answers, scores=answers.scores | {"swap": np.full((N, 2), np.nan)})
    none = budget().judge(seen(nobody, shares={}))
    assert (none.verdict, none.strict) == ("NOT APPLICABLE", "NOT APPLICABLE")
    assert "with filler text and with a picture of another question" in none.reason


def test_one_option_is_no_question() -> None:
    answers = scripted(STAYS, KNOWN)
    for scores in answers.scores.values():
        scores[:6, 1] = -np.inf
    answers = replace(answers, options=(("yes",),) * 6 + answers.options[6:])
    found = budget().judge(seen(answers, shares={}))
    assert found.verdict == "PASS"
    assert (found.metrics["invalid"], found.metrics["filler_samples_after"]) == (0, N - 6)


def test_draws_are_averaged_within_samples() -> None:
    one, other = scripted(STAYS, KNOWN), scripted(FALLS, KNOWN)
    second = {
        re.sub(r"(filler_after_\d+)", r"\1_2", name): scores
        for name, scores in other.scores.items()
        if "filler" in name
    }
    answers = replace(one, scores={**one.scores, **second})
    slopes = [
        budget().judge(seen(each, shares={})).metrics["gain_slope_bits_after"].value
        for each in (one, replace(other, scores={**other.scores, **_base(one)}))
    ]
    found = budget(draws=2).judge(seen(answers, shares={}))
    assert found.metrics["gain_slope_bits_after"].value == pytest.approx(np.mean(slopes))


def _base(answers: Answers) -> dict[str, np.ndarray]:
    names = [name for name in answers.scores if "filler" not in name]
    return {name: answers.scores[name] for name in names}


def test_mistakes_are_named() -> None:
    answers = scripted(STAYS, KNOWN)
    del answers.scores["text+filler_after_64"]
    with pytest.raises(ValueError, match="first 'text\\+filler_after_64'"):
        budget().judge(seen(answers, shares={}))
    with pytest.raises(ValueError, match="measure must be one of dependency, gain"):
        budget(measure="mass")
    with pytest.raises(ValueError, match="one word of filler at least"):
        budget(words=(0, 4))


def test_shares_come_back_as_they_were_saved(tmp_path: Path) -> None:
    shares = toy_shares(budget().watches["shares"], TOY)["real"]
    shares.save(tmp_path / "shares.npz")
    found = Shares.load(tmp_path / "shares.npz")
    assert found.uids == shares.uids
    np.testing.assert_array_equal(found.mass, shares.mass)
    some = found.at(["5", "none", "3"])
    assert some.image_tokens.tolist() == [IMAGE_TOKENS, -1, IMAGE_TOKENS]
    assert np.isnan(some.mass[1]).all()
    assert not np.isnan(some.mass[[0, 2]]).any()
    np.savez(tmp_path / "other.npz", mass=shares.mass)
    with pytest.raises(ValueError, match="no uids, effective, uniform, image_tokens"):
        Shares.load(tmp_path / "other.npz")

"""From states on disk to stored scores: strata, components of the real run, what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from solvent.diagnostics import observations
from solvent.diagnostics.answers import Answers
from solvent.diagnostics.consistency import Consistency
from solvent.diagnostics.statistics.information_theory import conditional_information_bits
from solvent.diagnostics.statistics.projection import Scores, project
from solvent.diagnostics.statistics.strata import Strata, stratify
from solvent.diagnostics.stored_states import PARTS, States, create, gather, load, stack
from tests.diagnostics.seeing import seen
from tests.diagnostics.test_consistency import FAST


def answers(
    words: Sequence[str],
    clusters: Sequence[int] | None = None,
    tags: Sequence[Mapping[str, str]] | None = None,
    scores: Sequence[Sequence[float]] | None = None,
) -> Answers:
    """Yes-no questions with these right answers; every second one has its options turned round."""
    count = len(words)
    options = [("Yes.", "no") if row % 2 else ("no", "Yes.") for row in range(count)]
    gold = [
        0 if pair[0].lower().strip(".") == word else 1
        for pair, word in zip(options, words, strict=True)
    ]
    table = np.array(scores if scores is not None else [[0.0, -1.0]] * count)
    return Answers(
        uids=tuple(f"u{row}" for row in range(count)),
        options=tuple(options),
        gold=np.array(gold),
        clusters=np.array(clusters if clusters is not None else range(count)),
        tags=tuple(tags or [{}] * count),
        scores={"real": table},
        shown={"real": ({},) * count},
        image_tokens={"real": np.full(count, 4)},
    )


def test_strata_are_what_answers_say_not_where_they_stand() -> None:
    words = ["yes", "yes", "no", "no", "yes", "no"]
    strata = stratify(answers(words), label="gold", tags=[], smallest=2)
    assert strata.names == tuple(words)
    assert strata.left_out == {}


def test_predicted_answers_make_strata_unless_they_tie() -> None:
    scores = [[0, -1], [0, -1], [-1, -1], [-3, 0]]
    found = answers(["yes"] * 4, scores=scores)
    strata = stratify(found, label="predicted", tags=[], smallest=1)
    assert strata.uids == ("u0", "u1", "u3")
    assert strata.names == ("no", "yes", "no")
    assert strata.left_out == {"tied answer": 1}
    with pytest.raises(ValueError, match="gold or predicted"):
        stratify(found, label="letter", tags=[], smallest=1)


def test_an_image_is_used_once_in_a_stratum() -> None:
    words, clusters = ["yes", "yes", "no", "yes"], [7, 7, 7, 8]
    strata = stratify(answers(words, clusters), label="gold", tags=[], smallest=1)
    assert strata.uids == ("u0", "u2", "u3")
    assert strata.clusters.tolist() == [7, 7, 8]
    assert strata.left_out == {"image seen before": 1}


def test_small_strata_are_merged_over_tags_and_dropped_if_still_small() -> None:
    words = ["yes"] * 7 + ["no"]
    kinds = ["a", "a", "a", "b", "b", "c", "c", "a"]
    clusters = [0, 1, 2, 3, 4, 3, 5, 6]  # the sixth shows an image of the fourth
    tags = [{"kind": kind} for kind in kinds]
    strata = stratify(answers(words, clusters, tags), label="gold", tags=["kind"], smallest=3)
    assert strata.names == ("yes / a",) * 3 + ("yes",) * 3
    assert strata.uids == ("u0", "u1", "u2", "u3", "u4", "u6")
    assert strata.left_out == {"image seen before": 1, "small class": 1}


COUNT, LAYERS, HIDDEN = 300, 3, 40


def strata_of(count: int = COUNT) -> Strata:
    names = tuple("yes" if row % 2 else "no" for row in range(count))
    uids = tuple(f"u{row}" for row in range(count))
    return Strata(uids=uids, names=names, clusters=np.arange(count), left_out={"tied answer": 2})


def drawn(seed: int, count: int = COUNT, hidden: int = HIDDEN) -> States:
    generator = np.random.default_rng(seed)
    shape = (count, LAYERS, hidden)
    arrays = {part: generator.standard_normal(shape).astype(np.float32) for part in PARTS}
    return States(uids=tuple(f"u{row}" for row in range(count)), **arrays)


def test_components_are_those_of_residuals_of_the_real_run() -> None:
    real, swap = drawn(0), drawn(1)
    real.last[::2] += 20  # the answer is most of the variance, and none of the residuals'
    real.last[:, :, 3] *= 5
    scores = project({"real": real, "swap": swap}, strata_of(), 4)
    rows = real.last[:, 1].astype(np.float64)
    residuals = rows.copy()
    for first in (0, 1):
        residuals[first::2] -= residuals[first::2].mean(axis=0)
    wanted = PCA(4, svd_solver="full").fit(residuals).components_
    assert abs(wanted[0, 3]) > 0.9
    for name, states in (("real", real), ("swap", swap)):
        expected = (states.last[:, 1] - rows.mean(axis=0)) @ wanted.T
        assert scores.last[name].shape == (COUNT, LAYERS, 4)
        signs = np.sign((scores.last[name][:, 1] * expected).sum(axis=0))
        np.testing.assert_allclose(scores.last[name][:, 1] * signs, expected, atol=2e-4)
    assert scores.image.dtype == np.float32
    assert scores.left_out == {"tied answer": 2}


def test_fewer_components_are_the_first_ones() -> None:
    states = {"real": drawn(0), "swap": drawn(1)}
    many, few = project(states, strata_of(), 6), project(states, strata_of(), 2)
    np.testing.assert_allclose(many.image[:, :, :2], few.image, atol=1e-4)
    assert many.basis != few.basis
    assert many.basis == project(states, strata_of(), 6).basis


def test_components_in_sample_show_no_coupling() -> None:
    """Principal components never look at the other side: mean 0, sd 8 / 400 nats."""
    found = []
    for seed in range(4):
        scores = project({"real": drawn(seed, 400, 400)}, strata_of(400), 8)
        strata = np.arange(400) % 2
        found.append(
            conditional_information_bits(scores.image, [scores.last["real"]], strata) * np.log(2)
        )
    found = np.array(found).ravel()
    assert found.mean() == pytest.approx(0, abs=3 * 0.02 / len(found) ** 0.5)
    assert found.std() == pytest.approx(0.02, rel=0.4)


def test_equal_states_have_equal_scores() -> None:
    real = drawn(0)
    real.last[:, 0] = drawn(5).last[0, 0]  # the last token of one template
    real.question[:, 0] = drawn(6).question[:3, 0].repeat(100, axis=0)  # three questions
    scores = project({"real": real}, strata_of(), 4)
    assert not scores.last["real"][:, 0].any()
    assert len(np.unique(scores.question["real"][:, 0], axis=0)) == 3
    assert not scores.question["real"][:, 0, 2:].any()  # three points span two directions
    bits = conditional_information_bits(scores.image, [scores.last["real"]], np.arange(COUNT) % 2)
    assert bits[0, 0] == 0


def test_samples_that_a_condition_does_not_show_are_left_out() -> None:
    real, swap = drawn(0), drawn(1)
    order = [5, *range(10, COUNT)]
    fewer = {part: getattr(swap, part)[order] for part in PARTS}
    swap = States(uids=tuple(f"u{row}" for row in order), **fewer)
    scores = project({"real": real, "swap": swap}, strata_of(), 3)
    assert scores.uids[:2] == ("u5", "u10")
    assert scores.left_out == {"tied answer": 2, "not under swap": 9}
    assert scores.clusters.tolist() == order
    whole = project({"real": drawn(1)}, strata_of(), 3)
    assert whole.image.shape[0] == COUNT
    with pytest.raises(ValueError, match="'real'"):
        project({"swap": swap}, strata_of(), 3)


def test_a_prompt_without_finite_states_stays_without_scores() -> None:
    real = drawn(0)
    real.last[7, 1, 2] = np.inf
    real.image[8] = np.nan
    scores = project({"real": real, "swap": drawn(1)}, strata_of(), 3)
    assert not np.isfinite(scores.last["real"][7, 1]).any()
    assert np.isfinite(scores.last["real"][7, 0]).all()
    assert np.isnan(scores.image[8]).all()
    assert np.isfinite(np.delete(scores.image, 8, axis=0)).all()


def test_scores_are_stored_exactly(tmp_path: Path) -> None:
    scores = project({"real": drawn(0), "swap": drawn(1)}, strata_of(), 3)
    scores.save(tmp_path / "scores.npz")
    found = Scores.load(tmp_path / "scores.npz")
    for name in ("uids", "strata", "left_out", "basis"):
        assert getattr(found, name) == getattr(scores, name)
    assert np.array_equal(found.image, scores.image)
    assert np.array_equal(found.clusters, scores.clusters)
    for part in ("last", "question"):
        ours, theirs = getattr(found, part), getattr(scores, part)
        assert ours.keys() == theirs.keys() == {"real", "swap"}
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def on_disk(folder: Path, arrays: dict[str, np.ndarray]) -> States:
    """As batches of alike samples leave them, none of which lie side by side."""
    count, batches = len(arrays["image"]), []
    uids = [f"u{row}" for row in range(count)]
    folder.mkdir()
    for number in range(3):
        rows = range(number, count, 3)
        seen = {
            uids[row]: SimpleNamespace(**{part: arrays[part][row] for part in PARTS})
            for row in rows
        }
        batches.append(folder / f"{number:06d}.npz")
        stack(seen).save(batches[-1])
    gather(batches, uids, folder)
    return load(folder)


def test_from_states_on_disk_to_a_verdict(tmp_path: Path) -> None:
    """A strong direction of the text follows one of the image with correlation 0.8: 0.7370 bit."""
    generator, count, arrays = np.random.default_rng(8), 1200, {}
    where, there = generator.standard_normal((2, 60))
    x = generator.standard_normal(count)
    for name in ("real", "swap", "knock"):
        own = generator.standard_normal(count)
        z = 0.8 * x + 0.6 * own if name == "real" else own
        parts = {part: generator.standard_normal((count, 2, 60)) / 10 for part in PARTS}
        parts["image"][:, 1] += np.outer(x, where)
        parts["last"][:, 1] += np.outer(z, there)
        parts["last"][::2] += 3.0  # what the answer explains
        arrays[name] = parts
    states = {name: on_disk(tmp_path / name, parts) for name, parts in arrays.items()}
    assert isinstance(states["real"].image.base, np.memmap)
    assert np.isnan(create(tmp_path / "new", ["a"], layers=2, hidden=3).image).all()
    finding = FAST.judge(seen(scores=project(states, strata_of(count), FAST.components)))
    assert finding.verdict == "COUPLED"
    assert finding.metrics["gain_bits"].value == pytest.approx(0.7370, abs=0.1)
    assert finding.series["last"]["gain_bits"][0] == pytest.approx(0, abs=0.06)


def test_the_test_makes_its_own_strata() -> None:
    test: Consistency = FAST
    words = ["yes"] * 45 + ["no"] * 39
    strata = test.strata(answers(words))
    assert set(strata.names) == {"yes"}
    assert strata.left_out == {"small class": 39}


def test_states_that_were_read_are_dropped_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run broke off while it dropped them: what is left of them is no longer whole."""
    left = tmp_path / "diagnostics/swap/states"
    left.mkdir(parents=True)
    (left / "uids.json").write_text("[]")
    (tmp_path / "diagnostics/states.npz").write_bytes(b"scores")
    monkeypatch.setattr(observations, "collect", lambda predictions: None)
    test = SimpleNamespace(watches={"states": ("real", "swap")}, beside={})
    observations.gather({"consistency": test}, {}, tmp_path)
    assert not left.exists()
    assert (tmp_path / "diagnostics/states.npz").read_bytes() == b"scores"

"""Which tokens are drawn depends on the sample alone; what is measured on them, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from solvent.diagnostics.residual.lens import UpdateLens
from solvent.diagnostics.residual.summaries.undefined import MEANING
from tests.models.watched.test_updates import VARIANT

WIDTH, SIZE, ENTRIES = 64, 16, 3
PLACES = [("a", "all", 0), ("a", "all", 1), ("b", "all", 0)]
IMAGE = np.arange(90) % 3 == 1  # 30 of 90 tokens


def lens(**changed: Any) -> UpdateLens:
    settings: dict[str, Any] = {
        "sizes": {"all": 16, "image": 16, "text": 16},
        "width_share": 4,
        "draws": 5,
        "variant": VARIANT,
        "curve": [],
        "nulls": [],
        "uids": frozenset("ab"),
        "seed": 0,
    }
    return UpdateLens(**settings | changed)


def updates(attention: Tensor, ffn: Tensor, before: Tensor, **changed: Any) -> SimpleNamespace:
    settings: dict[str, Any] = {
        "layer": 2,
        "parallel": False,
        "has_rest": False,
        "rest": torch.ones_like(before),
        "between": None,
    }
    return SimpleNamespace(before=before, attention=attention, ffn=ffn, **settings | changed)


def drawn(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ENTRIES, SIZE, WIDTH, generator=generator)


def test_draws_belong_to_a_sample() -> None:
    chosen = lens().choose("a", IMAGE, WIDTH)
    for name, rows in chosen.items():
        assert rows.shape == (5, SIZE)
        assert all(len(set(row)) == SIZE for row in rows.tolist())
        assert len({tuple(row) for row in rows.tolist()}) == 5
        assert {"all": {True, False}, "image": {True}, "text": {False}}[name] == set(
            IMAGE[rows.ravel()].tolist()
        )
    again, other = lens().choose("a", IMAGE, WIDTH), lens().choose("b", IMAGE, WIDTH)
    reseeded = lens(seed=1).choose("a", IMAGE, WIDTH)
    narrower = lens(sizes={"image": 16}).choose("a", IMAGE, WIDTH)
    np.testing.assert_array_equal(narrower["image"], chosen["image"])
    for name in chosen:
        np.testing.assert_array_equal(again[name], chosen[name])
        assert (other[name] != chosen[name]).any()
        assert (reseeded[name] != chosen[name]).any()


def test_sizes_are_of_sets_and_cut_to_a_share_of_the_width() -> None:
    sizes = {"all": 256, "image": 20, "text": 61}
    chosen = lens(sizes=sizes).choose("a", IMAGE, 4 * 40)
    assert {name: rows.shape for name, rows in chosen.items()} == {
        "all": (5, 40),
        "image": (5, 20),
        "text": (5, 40),
    }
    assert lens(sizes={"image": 31}).choose("a", IMAGE, 1000) == {}  # fewer are there
    whole = lens(sizes={"image": 30}).choose("a", IMAGE, 1000)["image"]
    np.testing.assert_array_equal(whole, np.flatnonzero(IMAGE)[None])  # one draw has them all
    assert lens().choose("c", IMAGE, WIDTH) == {}
    with pytest.raises(ValueError, match="width of 60 allows 15: set"):
        lens().choose("a", IMAGE, 60)


def test_a_curve_has_further_sizes_of_the_first_set() -> None:
    """Beyond the share of the width, and where there are enough tokens for the largest."""
    plain = lens().choose("a", IMAGE, WIDTH)
    chosen = lens(curve=[20, 80]).choose("a", IMAGE, WIDTH)
    assert {name: rows.shape for name, rows in chosen.items() if name not in plain} == {
        "all@20": (5, 20),
        "all@80": (5, 80),
    }
    for name, rows in plain.items():
        np.testing.assert_array_equal(chosen[name], rows)
    assert set(lens(curve=[20, 91]).choose("a", IMAGE, WIDTH)) == set(plain)
    image = lens(sizes={"image": 16, "all": 16}, curve=[30]).choose("a", IMAGE, WIDTH)
    np.testing.assert_array_equal(image["image@30"], np.flatnonzero(IMAGE)[None])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sizes": {"question": 16}}, "got question"),
        ({"sizes": {"all": 15}}, "16 tokens of a set are the fewest, got 15"),
        ({"curve": [32, 8]}, "16 tokens of a set are the fewest, got 8"),
        ({"nulls": ["haar", "random"]}, "got random"),
        ({"draws": 0}, "one draw"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lens(**changed)


def test_updates_that_are_known_by_hand() -> None:
    """Nothing, more of the same, and tokens mixed evenly."""
    before = drawn(0)
    nothing = torch.zeros_like(before)
    found = lens().measure(PLACES, updates(nothing, 2.0 * before, before))
    for name in ("rid", "relative_norm", "mixig_nats_alpha1", "mixig_nats_alpha8"):
        np.testing.assert_allclose(found[f"attention.{name}"], 0.0, atol=1e-12)
    assert found["attention.kappa"].isnan().all()  # of nothing, no direction is known
    flags = {name: each.tolist() for name, each in found.items() if ".flag_" in name}
    assert {name for name, each in flags.items() if any(each)} == {"attention.flag_zero_update"}
    assert flags["attention.flag_zero_update"] == [1.0, 1.0, 1.0]
    assert len(flags) == 2 * len(MEANING)  # every one is called in words
    np.testing.assert_allclose(found["ffn.relative_norm"], 2.0, rtol=1e-12)
    for name in ("rid", "kappa", "row_innovation", "mixig_nats_alpha8"):
        np.testing.assert_allclose(found[f"ffn.{name}"], 0.0, atol=1e-12)
    # Every token gets the same mixture of all: their span is kept, and they become alike.
    mean = before.double().mean(dim=1, keepdim=True).expand_as(before)
    found = lens().measure(PLACES, updates(100.0 * mean, nothing, before.double()))
    for name in ("kappa", "row_innovation"):
        np.testing.assert_allclose(found[f"attention.{name}"], 0.0, atol=1e-10)
    assert (found["attention.spectral_change"] < -0.5).all()
    assert (found["attention.mixig_nats_alpha8"] > 0.5).all()


def test_the_own_input_of_the_feed_forward_part() -> None:
    """Behind attention in most layers, what entered the layer in parallel ones."""
    before, attention, ffn = drawn(0), drawn(1), drawn(2)
    one, both = (
        lens().measure(PLACES, updates(attention, ffn, before, parallel=parallel))
        for parallel in (False, True)
    )
    sizes = {
        name: torch.linalg.matrix_norm(ffn.double()) / torch.linalg.matrix_norm(each.double())
        for name, each in (("behind", before + attention), ("entered", before))
    }
    np.testing.assert_allclose(one["ffn.relative_norm"], sizes["behind"], rtol=1e-6)
    np.testing.assert_allclose(both["ffn.relative_norm"], sizes["entered"], rtol=1e-6)
    assert not one["ffn.parallel"].any()
    assert both["ffn.parallel"].all()


def test_what_is_neither_attention_nor_feed_forward_has_a_size() -> None:
    before, extra = drawn(0), drawn(3)
    plain = lens().measure(PLACES, updates(before, before, before))
    assert not plain["rest.relative_norm"].any()  # nothing but rounding
    assert not plain["between.relative_norm"].any()
    found = lens().measure(
        PLACES, updates(before, before, before, rest=extra, has_rest=True, between=2.0 * extra)
    )
    size = torch.linalg.matrix_norm(extra) / torch.linalg.matrix_norm(before)
    np.testing.assert_allclose(found["rest.relative_norm"], size, rtol=1e-6)
    np.testing.assert_allclose(found["between.relative_norm"], 2.0 * size, rtol=1e-6)


def test_controls_do_not_depend_on_company() -> None:
    """Drawn for a sample, set, draw and layer; measured on the first draw of the first set."""
    before, attention, ffn = drawn(0), drawn(1), drawn(2)
    nulls = ["haar", "moments", "norms", "rounding"]
    found = lens(nulls=nulls).measure(PLACES, updates(attention, ffn, before))
    alone = lens(nulls=nulls).measure(PLACES[2:], updates(attention[2:], ffn[2:], before[2:]))
    for null in nulls:
        for part in ("attention", "ffn"):
            kappa, own = (each[f"{part}_{null}.kappa"] for each in (found, alone))
            assert kappa.isnan().tolist() == [False, True, False]
            np.testing.assert_allclose(own, kappa[2:], rtol=1e-9)
            np.testing.assert_allclose(kappa[[0, 2]], 1.0, atol=0.1)  # random directions
    sizes = found["attention_haar.relative_norm"][[0, 2]]
    np.testing.assert_allclose(sizes, found["attention.relative_norm"][[0, 2]], rtol=1e-9)
    elsewhere = lens(nulls=nulls).measure(PLACES, updates(attention, ffn, before, layer=3))
    assert (elsewhere["ffn_norms.rid"][0] != found["ffn_norms.rid"][0]).all()
    others = [(uid, "image", draw) for uid, _, draw in PLACES]
    assert "ffn_haar.rid" not in lens(nulls=nulls).measure(others, updates(attention, ffn, before))

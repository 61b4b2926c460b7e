"""Layers whose updates are known by hand, and the numbers of the released helpers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from solvent.diagnostics.residual.factored import factor
from solvent.diagnostics.residual.layer_geometry import Variant
from solvent.diagnostics.residual.mixing_entropy import mixing_entropy, normalised
from solvent.diagnostics.residual.null_updates import haar_update
from solvent.diagnostics.residual.random_streams import stream
from solvent.diagnostics.residual.update_geometry import UpdateGeometry
from tests.diagnostics.residual.plain_geometry import gaussian, plain_effective_rank

SETTINGS: dict[str, Any] = {
    "combine": "mean",
    "rows": "mean",
    "alphas": (1.0, 8.0),
    "reference": "own",
    "rtol": None,
    "centre": False,
    "route": "fast",
    "at_once": 2,
}


def measured(
    states: np.ndarray,
    attention: np.ndarray,
    ffn: np.ndarray,
    *,
    parallel: bool = False,
    controls: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, UpdateGeometry]:
    batch = [torch.as_tensor(each) for each in (states, attention, ffn)]
    batch = [each if each.ndim == 3 else each[None] for each in batch]
    variant = Variant(**SETTINGS | settings)
    return variant.of_layers(*batch, parallel=parallel, controls=controls or {})


def test_attention_of_every_token_to_itself_or_to_nothing() -> None:
    states = gaussian(16, 64)
    update, nothing = 0.25 * gaussian(16, 64, seed=1), np.zeros((16, 64))
    # Identity mixing with values as they are: the state grows, and that is all.
    found = measured(states, states, nothing)["attention"]
    expected = {"relative_norm": 1.0, "rid": 0.0, "kappa": 0.0, "mixig_nats_alpha8": 0.0}
    for name, value in expected.items():
        assert float(found.columns()[name]) == pytest.approx(value, abs=1e-12), name
    # No attention, and no feed-forward part: no update, and a kappa of nothing.
    for part in ("attention", "ffn"):
        parts = {"attention": update, "ffn": update} | {part: nothing}
        both = measured(states, **parts)
        assert both[part].flags["zero_update"].all()
        assert float(both[part].relative_norm) == 0.0
        assert float(both[part].rid) == float(both[part].mixig_nats[1.0]) == 0.0
        assert math.isnan(float(both[part].kappa))
        other = both["ffn" if part == "attention" else "attention"]
        assert float(other.rid) > 0.05
    # Uniform attention over all tokens: mixing, so nothing new, and tokens more alike.
    uniform = measured(states, np.full((16, 16), 1 / 16) @ states, nothing)["attention"]
    assert float(uniform.row_innovation) == pytest.approx(0.0, abs=1e-12)
    assert float(uniform.kappa) == pytest.approx(0.0, abs=1e-12)
    values = np.linalg.svd(states + states.mean(axis=0), compute_uv=False)
    assert float(uniform.rid) > 0.0
    assert float(uniform.effective_rank) == pytest.approx(plain_effective_rank(states))
    after = plain_effective_rank(states + states.mean(axis=0))
    assert float(uniform.rid) == pytest.approx(abs(after - plain_effective_rank(states)) / 16)
    assert len(values) == 16


def test_identity_mixing_with_one_known_direction_for_values() -> None:
    """D = X w w'^T with orthonormal w, w' outside the rows of X and inside: by hand."""
    states = np.hstack([np.eye(4) * 2.0, np.zeros((4, 4))])
    inside, outside = np.eye(8)[1], np.eye(8)[6]
    # Token 1 alone has a component along `inside`; it moves to `outside`.
    found = measured(states, 3.0 * np.outer(states @ inside, outside), np.zeros((4, 8)))
    attention = found["attention"]
    assert float(attention.relative_norm) == pytest.approx(6 / 4)
    assert float(attention.row_innovation) == pytest.approx(6 / math.sqrt(16 + 36))
    assert float(attention.kappa) == pytest.approx(1 / math.sqrt(1 - 4 / 8))
    assert float(attention.column_innovation) == 0.0
    lengths = np.array([2.0, math.sqrt(4 + 36), 2.0, 2.0])
    shares = lengths / lengths.sum()
    rank = math.exp(-(shares * np.log(shares)).sum())
    assert float(attention.spectral_change) == pytest.approx((rank - 4) / 4)
    assert float(attention.mixig_nats[8.0]) == pytest.approx(0.0, abs=1e-12)  # still orthogonal


def released() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six tokens of eight dimensions, the last two made of others: rank 4; and two updates."""

    def waves(first: float, second: float) -> np.ndarray:
        token, feature = np.meshgrid(np.arange(6.0), np.arange(8.0), indexing="ij")
        return np.sin(first * token + second * feature + token * feature / 7)

    states = waves(1.3, 0.7)
    states[4], states[5] = states[0] + states[1], states[2] - states[3]
    return states, 0.5 * waves(0.4, 2.1), 0.3 * waves(2.2, 1.1)


def test_numbers_of_the_released_helpers() -> None:
    """What `interp_utils.py` of the paper's repository gives for these states, in float64.

    Its eps under roots and in logarithms is felt in the seventh digit.
    """
    helpers = {"reference": "layer_input", "rows": "last", "alphas": (8.0,)}
    for combine, attention, ffn in (
        ("l2", 0.4485557896, 0.4901136896),
        ("sum", 0.6280321687, 0.6880959144),
    ):
        found = measured(*released(), combine=combine, **helpers)
        assert float(found["attention"].subspace_innovation) == pytest.approx(attention, abs=3e-6)
        assert float(found["ffn"].subspace_innovation) == pytest.approx(ffn, abs=3e-6)
        assert found["ffn"].rank.tolist() == [4]
    before, behind, after = 0.4283591998, 0.3425341382, 0.3064381369
    assert float(found["attention"].mixig[8.0]) == pytest.approx(behind - before, abs=1e-8)
    assert float(found["ffn"].mixig[8.0]) == pytest.approx(after - before, abs=1e-8)
    assert float(found["attention"].effective_rank) == pytest.approx(3.2872985304, abs=1e-8)
    own = measured(*released(), rows="mean", reference="own")
    assert float(own["attention"].mixig_nats[1.0]) == pytest.approx(
        1.6500530847 - 1.5817569203, abs=1e-8
    )
    assert float(own["ffn"].mixig_nats[8.0]) == pytest.approx(0.4545171405 - 0.4492602441, abs=1e-8)
    for update, expected in zip(released()[1:], (0.2138872743, 0.2069746984), strict=True):
        states = factor(torch.from_numpy(update)[None], rtol=None, route="fast")
        entropy = normalised(mixing_entropy(states, alpha=8.0, rows="last"), 6)
        assert float(entropy) == pytest.approx(expected, abs=1e-8)


def test_what_the_feed_forward_update_is_held_against() -> None:
    """Its own input, behind attention; in a parallel layer the layer's; or always the layer's."""
    states, attention, ffn = gaussian(8, 32), gaussian(8, 32, seed=1), gaussian(8, 32, seed=2)
    own = measured(states, attention, ffn)
    behind = measured(states + attention, ffn, ffn)
    parallel = measured(states, attention, ffn, parallel=True)
    layer = measured(states, attention, ffn, reference="layer_input")
    for found, expected in (
        (own["ffn"], behind["attention"]),
        (parallel["ffn"], measured(states, ffn, ffn)["attention"]),
        (layer["ffn"], measured(states, attention + ffn, ffn)["attention"]),
        (layer["attention"], own["attention"]),
    ):
        for name, value in expected.columns().items():
            torch.testing.assert_close(found.columns()[name], value, msg=name)
    assert float(own["ffn"].rid) != pytest.approx(float(parallel["ffn"].rid), abs=1e-3)


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_layers_are_measured_in_parts(at_once: int) -> None:
    """Whatever the parts, controls and flags included."""
    batch = [np.stack([gaussian(8, 32, seed=7 * n + k) for k in range(5)]) for n in range(3)]
    batch[1][3] = 0.0
    generators = [stream(0, "haar"), stream(0, "haar")]

    def draw(number: int) -> dict[str, Any]:
        return {"haar": lambda states, update: haar_update(update, generators[number])}

    parts = measured(*batch, at_once=at_once)
    whole = measured(*batch, at_once=5, controls=draw(0))
    assert set(whole) == {"attention", "attention_haar", "ffn", "ffn_haar"}
    for name, found in parts.items():
        assert found.flags["zero_update"].tolist() == [False] * 3 + [name == "attention", False]
        for column, value in found.columns().items():
            torch.testing.assert_close(
                value, whole[name].columns()[column], equal_nan=True, msg=f"{name} {column}"
            )
    again = measured(*batch, at_once=5, controls=draw(1))["ffn_haar"]
    torch.testing.assert_close(again.rid, whole["ffn_haar"].rid)
    assert not torch.isclose(again.rid, whole["ffn"].rid).any()


def test_centred_and_plain_routes() -> None:
    states, attention, ffn = 4 + gaussian(8, 32), gaussian(8, 32, seed=1), gaussian(8, 32, seed=2)
    fast, plain = (
        measured(states, attention, ffn, centre=True, route=route) for route in ("fast", "svd")
    )
    assert fast["attention"].rank.tolist() == [7]
    for name, value in plain["attention"].columns().items():
        torch.testing.assert_close(fast["attention"].columns()[name], value, msg=name)
    middle = np.eye(8) - 1 / 8
    before, after = middle @ states, middle @ (states + attention)
    change = (plain_effective_rank(after) - plain_effective_rank(before)) / 8
    assert float(fast["attention"].spectral_change) == pytest.approx(change)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"reference": "input"}, "reference is one of own, layer_input, got 'input'"),
        ({"combine": "max"}, "combine is one of mean, l2, sum, got 'max'"),
        ({"alphas": (1.0, 0.0)}, "alphas are above 0"),
        ({"rtol": 1.0}, "rtol is a share of the greatest singular value"),
        ({"at_once": 0}, "at_once is 1 at least"),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Variant(**SETTINGS | setting)

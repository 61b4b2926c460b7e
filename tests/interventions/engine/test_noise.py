"""Random numbers are a function of the place they are used at, and of nothing else."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch

from interventions.engine.noise import (
    SCOPES,
    Address,
    exponential,
    hash_text,
    log_gamma_draw,
    normal,
    splitmix,
    uniform,
)

MASK = (1 << 64) - 1
AXES = {  # written out again: the definition that the package's own table must agree with
    "entry": {"sample", "layer", "head", "row", "key"},
    "row": {"sample", "row", "key"},
    "head": {"sample", "layer", "head", "key"},
    "layer": {"sample", "layer", "key"},
    "sample": {"sample", "key"},
}


def address(**changes: object) -> Address:
    values = {
        "seed": 0,
        "scope": "entry",
        "layer": 0,
        "sample": torch.tensor([11, 12]),
        "head": torch.arange(3),
        "row": torch.arange(4).expand(2, 4),
        "key": torch.arange(5).expand(2, 5),
    }
    return Address(**{**values, **changes})


def test_splitmix_gives_the_published_sequence() -> None:
    # Outputs of the generator seeded with 1234567 (https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64).
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = [(1234567 + step * 0x9E3779B97F4A7C15) & MASK for step in range(4)]
    signed = torch.tensor([state - (1 << 64 if state >> 63 else 0) for state in states])
    assert [value & MASK for value in splitmix(signed).tolist()] == expected


def test_uniform_stays_inside_the_open_interval() -> None:
    extremes = uniform(torch.tensor([0, -1, 2**63 - 1, -(2**63)]))
    assert extremes.min() > 0
    assert extremes.max() < 1
    assert normal(torch.tensor([0, -1])).isfinite().all()


def test_names_hash_alike_in_every_process() -> None:
    assert hash_text("pope/1") != hash_text("pope/2")
    # The eight-byte BLAKE2b digest of the empty string, as `b2sum --length 64 /dev/null` prints it.
    assert hash_text("") & MASK == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little")


@pytest.mark.parametrize("scope", AXES)
def test_scope_decides_what_a_draw_depends_on(scope: str) -> None:
    fixed = {"seed": 5, "scope": scope, "layer": 2}
    bits = address(**fixed).bits(0)
    axes = AXES[scope]
    assert AXES.keys() == SCOPES.keys()
    varying = [axis in axes for axis in ("sample", "head", "row", "key")]
    assert [bits.shape[axis] > 1 for axis in range(4)] == varying
    assert len(set(bits.flatten().tolist())) == math.prod(bits.shape)
    other_layer = address(**{**fixed, "layer": 3}).bits(0)
    assert torch.equal(bits, other_layer) == ("layer" not in axes)
    assert not torch.equal(bits, address(**{**fixed, "seed": 6}).bits(0))
    assert not torch.equal(bits, address(**fixed).bits(1))


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    whole = address().bits(0)
    part = address(
        sample=torch.tensor([12]), row=torch.tensor([[2, 3]]), key=torch.tensor([[4]])
    ).bits(0)
    assert torch.equal(part[0], whole[1, :, 2:4, 4:5])


def test_draws_follow_their_distributions() -> None:
    row, key = torch.arange(60).expand(2, 60), torch.arange(60).expand(2, 60)
    bits = address(row=row, key=key).bits(0)
    assert scipy.stats.kstest(normal(bits).flatten().numpy(), "norm").pvalue > 0.01
    assert scipy.stats.kstest(exponential(bits).flatten().numpy(), "expon").pvalue > 0.01


def test_draws_are_uncorrelated_between_samples_layers_heads_and_rows() -> None:
    keys = torch.arange(400).expand(2, 400)
    draws = torch.stack(
        [normal(address(layer=layer, key=keys).bits(0)).flatten(0, 2) for layer in range(3)]
    ).flatten(0, 1)
    correlation = np.corrcoef(draws.numpy()) - np.eye(len(draws))
    pairs = len(draws) * (len(draws) - 1) / 2
    bound = scipy.stats.norm.isf(0.005 / pairs) / math.sqrt(400)
    assert np.abs(correlation).max() < bound


@pytest.mark.parametrize("shape", [0.1, 0.5, 1.0, 3.0, 40.0])
def test_gamma_draws_follow_the_gamma_distribution(shape: float) -> None:
    row, key = torch.arange(30).expand(2, 30), torch.arange(30).expand(2, 30)
    draws = log_gamma_draw(address(row=row, key=key), shape)
    assert draws.isfinite().all()
    assert scipy.stats.kstest(draws.exp().flatten().numpy(), "gamma", args=(shape,)).pvalue > 0.01


def test_pure_python_computes_the_same_bits() -> None:
    def step(state: int) -> int:
        value = (state + 0x9E3779B97F4A7C15) & MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        return value ^ (value >> 31)

    bits = address(seed=-3, layer=7).bits(1)
    for batch, head, row, key in itertools.product(range(2), range(3), (0, 3), (0, 4)):
        state = step(step(-3 & MASK) ^ 1)
        for part in ((11, 12)[batch], 7, head, row, key):
            state = step(state ^ part)
        assert bits[batch, head, row, key].item() & MASK == state

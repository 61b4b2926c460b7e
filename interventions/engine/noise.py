"""Counter-based random numbers: a pure function of (seed, sample, layer, head, row, key).

There is no generator state. Every number is a hash of the place it is used at, so a draw does not
depend on the batch it was computed in, on padding, on the key-value cache, on the device or on the
number of processes. The hash is SplitMix64 (https://prng.di.unimi.it/splitmix64.c): integers are
identical on every device, the real numbers made from them agree to float64 rounding.

Axes: B batch, H heads, Q queries (rows), K keys.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

INCREMENT = 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
MANTISSA_BITS = 52  # (n + 1/2) / 2^52 is exact in float64 and never 0 or 1
GAMMA_ATTEMPTS = 16  # each accepts with probability above 0.95

SCOPES: dict[str, tuple[str, ...]] = {
    "entry": ("sample", "layer", "head", "row", "key"),
    "row": ("sample", "row", "key"),
    "head": ("sample", "layer", "head", "key"),
    "layer": ("sample", "layer", "key"),
    "sample": ("sample", "key"),
}
"""What a draw depends on: two entries that agree in these share their random number."""


def _signed(value: int) -> int:
    """The int64 with the same 64 bits as an unsigned value (torch integers are signed)."""
    return (value & (1 << 64) - 1) - (1 << 64 if value & (1 << 63) else 0)


def _shift_right(value: Int[Tensor, " *axes"], places: int) -> Int[Tensor, " *axes"]:
    """Logical right shift; torch's own keeps the sign."""
    return (value >> places) & ((1 << (64 - places)) - 1)


def splitmix(state: Int[Tensor, " *axes"]) -> Int[Tensor, " *axes"]:
    """One output of SplitMix64 for each 64-bit state.

    Source: https://prng.di.unimi.it/splitmix64.c
    """
    value = state + _signed(INCREMENT)
    value = (value ^ _shift_right(value, 30)) * _signed(MULTIPLIERS[0])
    value = (value ^ _shift_right(value, 27)) * _signed(MULTIPLIERS[1])
    return value ^ _shift_right(value, 31)


def hash_text(text: str) -> int:
    """A signed 64-bit number for a name, the same in every process (unlike `hash`)."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where entries of attention sit, in numbers that batch, padding and cache leave alone.

    Rows and keys are positions in the unpadded sequence; `sample` is a hash of the sample's name.
    """

    seed: int
    scope: str  # a key of SCOPES
    layer: int
    sample: Int[Tensor, " batch"]
    head: Int[Tensor, " head"]
    row: Int[Tensor, "batch query"]
    key: Int[Tensor, "batch key"]

    def bits(self, stream: int) -> Int[Tensor, "batch|1 head|1 query|1 key"]:
        """64 random bits per entry; axes outside the scope have size one.

        Streams are independent: use one number per draw that an entry needs.
        """
        parts = {
            "sample": self.sample[:, None, None, None],
            "layer": torch.full_like(self.sample[:1], self.layer)[:, None, None, None],
            "head": self.head[None, :, None, None],
            "row": self.row[:, None, :, None],
            "key": self.key[:, None, None, :],
        }
        start = torch.full_like(parts["layer"], _signed(self.seed))
        state = splitmix(splitmix(start) ^ stream)
        for axis in SCOPES[self.scope]:
            state = splitmix(state ^ parts[axis])
        return state


def uniform(bits: Int[Tensor, " *axes"]) -> Float[Tensor, " *axes"]:
    """Float64 in the open interval (0, 1)."""
    return (_shift_right(bits, 64 - MANTISSA_BITS).double() + 0.5) * 2.0**-MANTISSA_BITS


def normal(bits: Int[Tensor, " *axes"]) -> Float[Tensor, " *axes"]:
    """Float64 standard normal, by the inverse of its distribution function."""
    return torch.special.ndtri(uniform(bits))


def exponential(bits: Int[Tensor, " *axes"]) -> Float[Tensor, " *axes"]:
    """Float64 exponential with mean one."""
    return -torch.log(uniform(bits))


def log_gamma_draw(address: Address, shape: float) -> Float[Tensor, "batch|1 head|1 query|1 key"]:
    """Logarithm of a Gamma(shape, 1) draw, float64; finite also where the draw itself underflows.

    Rejection of Marsaglia & Tsang (2000, https://doi.org/10.1145/358407.358414) with a fixed number
    of attempts, so that the result stays a function of the address. Shapes below one use
    Gamma(a) = Gamma(a + 1) * U^(1/a). Range of `shape`: above 0.
    """
    boosted = shape + 1.0 if shape < 1.0 else shape
    offset = boosted - 1.0 / 3.0
    slope = 1.0 / math.sqrt(9.0 * offset)
    result: Tensor | None = None
    for attempt in reversed(range(GAMMA_ATTEMPTS)):
        draw = normal(address.bits(2 * attempt + 1))
        cube = (1.0 + slope * draw) ** 3
        safe = cube.clamp_min(torch.finfo(torch.float64).tiny)
        bound = 0.5 * draw**2 + offset * (1.0 - safe + torch.log(safe))
        accepted = (cube > 0) & (torch.log(uniform(address.bits(2 * attempt + 2))) < bound)
        value = math.log(offset) + torch.log(safe)
        result = value if result is None else torch.where(accepted, value, result)
    assert result is not None
    return result if shape >= 1.0 else result + torch.log(uniform(address.bits(0))) / shape

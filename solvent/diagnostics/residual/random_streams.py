"""Random numbers that depend on what they are for, not on the order things were computed in."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of one seed and one name, say ("haar", uid): independent of all others.

    The same in every process and for every device. A batch that is drawn from it in parts, in
    order, is the same batch.
    """
    text = "\0".join(str(name) for name in names)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def normal(like: Tensor, generator: np.random.Generator) -> Tensor:
    """Standard normal float64 numbers of the shape of a tensor, drawn on the CPU."""
    return torch.from_numpy(generator.standard_normal(tuple(like.shape))).to(like.device)

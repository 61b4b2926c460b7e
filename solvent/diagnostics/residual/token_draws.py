"""The same number of tokens of every sample: measures depend on tokens / width, so it is fixed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

FEWEST = 16  # of fewer tokens, subspaces say little


def token_draws(
    positions: Int[np.ndarray, " N"], size: int, draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "draws size"]:
    """Several draws of `size` of N tokens, each in their order and spread over all of them.

    Every token has the chance size / N, and of the first k tokens k size / N are drawn, rounded up
    or down: every draw reaches over the whole prompt, and image and text keep their shares, to two
    tokens at most. Raises `ValueError` where there are fewer than `size`, and below 16.
    """
    count = len(positions)
    if size < FEWEST:
        raise ValueError(f"At least {FEWEST} tokens are measured, got {size}; draw more.")
    if count < size:
        raise ValueError(
            f"{size} tokens are to be drawn of {count}; leave this sample out of this set of "
            "tokens, or measure all on fewer tokens."
        )
    return np.stack([positions[_spread(count, size, generator)] for _ in range(draws)])


def _spread(count: int, size: int, generator: np.random.Generator) -> list[int]:
    """Ordered pivotal sampling with equal chances, in units of 1 / count, so exactly.

    One token at a time meets the one that is left over; their chances are joined in one of them,
    until it is drawn. Source: Chauvet (2012), On a characterization of ordered pivotal sampling,
    https://doi.org/10.3150/11-BEJ380.
    """
    if size == count:
        return list(range(count))
    random = generator.random(count).tolist()
    drawn, left, chance = [], 0, size
    for token in range(1, count):
        both = chance + size
        if both < count:
            if random[token] * both < size:
                left = token
            chance = both
        else:
            if random[token] * (2 * count - both) < count - size:
                drawn.append(left)
                left = token
            else:
                drawn.append(token)
            chance = both - count
    return sorted(drawn)

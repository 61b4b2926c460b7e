"""Weights that hold after a block what they held before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def restored(weights: Iterable[Tensor]) -> Iterator[None]:
    """Put back what these tensors hold now on leaving, bit for bit, also after an exception.

    They stay the tensors they are, so that tied ones stay tied. Copies lie in the memory of the
    CPU: a GPU that holds the model once need not hold it twice.
    """
    kept = {id(each): (each, each.detach().to("cpu", copy=True)) for each in weights}
    try:
        yield
    finally:
        with torch.no_grad():
            for each, before in kept.values():
                each.copy_(before)

"""float32 is float32: what torch may round on a GPU, seen by its settings, which a CPU has too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import backends

from solvent.models.precision import tf32_is_allowed
from solvent.models.vlm import load

NEW = hasattr(backends.cudnn, "conv")  # settings of torch 2.9 and later


def old_ways() -> None:
    torch.set_float32_matmul_precision("high")
    backends.cudnn.allow_tf32 = True


def new_ways() -> None:
    backends.fp32_precision = "tf32"
    backends.cuda.matmul.fp32_precision = "tf32"
    backends.cudnn.conv.fp32_precision = "tf32"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leaves torch as a process that has loaded a model finds it."""
    yield
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    if NEW:
        backends.fp32_precision = "none"
        backends.cuda.matmul.fp32_precision = "ieee"
        backends.cudnn.conv.fp32_precision = backends.cudnn.rnn.fp32_precision = "ieee"


@pytest.mark.parametrize("allow", [old_ways, new_ways] if NEW else [old_ways])
def test_a_loaded_model_computes_without_tf32(
    allow: Callable[[], None], settings: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    allow()
    assert tf32_is_allowed()
    vlm = load(checkpoint=str(checkpoints["llava"]), **settings)
    assert not backends.cudnn.allow_tf32  # which raises where old and new settings differ
    assert not backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    if NEW:
        assert backends.cudnn.conv.fp32_precision == "ieee"
        assert backends.cuda.matmul.fp32_precision == "ieee"
    assert vlm.provenance()["tf32"] is False
    backends.cudnn.allow_tf32 = True  # by somebody, later
    assert vlm.provenance()["tf32"] is True

"""Networks that were never trained, of three families: tests of their inside, and one reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from solvent.cells.run import run_cell
from tests.conftest import ROOT
from tests.random_models import save_random_checkpoint
from tools.untrained import write_untrained

pytestmark = pytest.mark.usefixtures("undrawn")
CHEAP = (
    "diagnostic=[consistency,dependency,exchange,measures]",
    "diagnostic.consistency.dimensions=1",
    "diagnostic.consistency.sweep=[1]",
    "diagnostic.consistency.permutations=19",
    "diagnostic.consistency.halves=20",
    "limit=180",
    "batch_size=30",
)


@pytest.mark.parametrize("model", ["tiny", "llava_onevision_7b", "qwen2_5_vl_3b"])
def test_what_is_inside_them_never_passes(
    model: str, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    place = tmp_path / "untrained"
    if model == "tiny":
        write_untrained(ROOT / "solvent/models/checkpoints/tiny", place, seed=0)
    else:
        save_random_checkpoint(model.rpartition("_")[0], place)
    metrics = run_cell(composed(f"model={model}", f"model.checkpoint={place}", *CHEAP))
    verdicts = {name: each["verdict"] for name, each in metrics["diagnostics"].items()}
    assert [name for name, each in verdicts.items() if each == "PASS"] in ([], ["dependency"])
    assert not metrics["overall"]["reading"].startswith("USES IT")
    found = metrics["diagnostics"]["consistency"]
    assert found["metrics"]["samples"] >= 60, found["reason"]
    assert found["verdict"] in {"COUPLED", "INCONCLUSIVE", "FAIL"}
    assert found["strict"] != "PASS"
    assert (found["metrics"]["uniform_gain_bits"] is None) == (
        found["metrics"]["uniform_correlation"] > 0.99
    )
    if model == "tiny":
        assert found["verdict"] == "COUPLED", found["reason"]
        assert found["metrics"]["correlation"] > 0.9

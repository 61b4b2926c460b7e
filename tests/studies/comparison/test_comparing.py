"""A whole comparison of a made-up study: what its frames hold, and what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from solvent.reports.compared.frame_files import FRAMES, typed
from solvent.reports.compared.frames import Comparison
from tests.comparison_of import comparison_of
from tests.conftest import ROOT
from tests.reports.compared.made_up import made_up
from tools.synthetic_study import Study

COLUMN = re.compile(r"`([a-z][a-z0-9_]*)`")
OWN_UNITS = {"x", "seed", "score_value", "score_low", "score_high"}  # of a setting, of a benchmark


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Of two families with seeds, layers and doses."""
    output = tmp_path_factory.mktemp("outputs")
    Study(folder=output / "study", cells=46, samples=100, models=1, benchmarks=2,
          per_image=1).write()  # fmt: skip
    return comparison_of(output, "study", "learned", "primary=[uniform]")


def documented() -> dict[str, set[str]]:
    """Columns of every frame, as the docstring of a comparison has them."""
    attributes = (Comparison.__doc__ or "").partition("Attributes:")[2]
    parts = re.split(r"^ {8}(\w+): ", attributes, flags=re.MULTILINE)
    return {
        name: set(COLUMN.findall(text)) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("frame", [each for each in FRAMES if each != "measures"])
def test_columns_are_those_that_are_documented(whole: Comparison, frame: str) -> None:
    assert set(getattr(whole, frame).columns) == documented()[frame]


@pytest.mark.parametrize("frame", FRAMES)
def test_the_made_up_comparison_of_other_tests_has_the_columns_of_a_real_one(frame: str) -> None:
    assert set(getattr(made_up(), frame).columns) == documented()[frame]


@pytest.mark.parametrize("frame", FRAMES)
def test_numbers_say_their_unit(whole: Comparison, frame: str) -> None:
    unsaid = {
        field.name
        for field in typed(whole, frame).schema
        if (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
        and b"unit" not in (field.metadata or {})
    }
    assert unsaid <= OWN_UNITS


def test_without_gallery_and_curves_no_model_library_is_loaded(tmp_path: Path) -> None:
    """Which takes longer than all else of a small study."""
    made = Study(folder=tmp_path / "study", cells=2, samples=40, models=1, benchmarks=1,
                 per_image=1)  # fmt: skip
    assert made.write() == 2
    asked = [f"output={tmp_path}", "study=study", "figures=[]", "flips.total=0"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "compare.py", *asked],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in imported
    assert not imported & {"transformers", "accelerate", "interventions"}

"""A whole comparison of a made-up study: what its frames hold, and what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tools.synthetic_study import Study


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

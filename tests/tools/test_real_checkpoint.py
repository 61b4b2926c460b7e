"""`make checkpoint MODEL=x`: what it tells of a checkpoint that works, and of one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.real_checkpoint import main


def test_a_checkpoint_that_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["model=tiny", f"output={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "it passes the checks of loading" in said
    assert "image tokens for 1344 x 896 pixels" in said
    assert "generated: '" in said
    assert '"family": "llava"' in said


def test_one_that_does_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["model=hub", "model.checkpoint=./nowhere", f"output={tmp_path}"]) == 2
    assert "to be a folder with a model" in capsys.readouterr().out.replace("\n", " ")
    assert main(["model=hub", f"output={tmp_path}"]) == 2
    assert "model.checkpoint" in capsys.readouterr().out

"""What `python -m solvent show` prints and draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from solvent.benchmarks.prompts import By, Profile
from solvent.cells.shown import evenly, show
from solvent.core.paths import CONF
from solvent.core.types import Sample


def run(tmp_path: Path, *overrides: str) -> Path:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return show(compose("show", [f"output={tmp_path}", *overrides]))


def test_prompt_roles_and_pictures_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = run(tmp_path, "benchmark.source.questions=4", "prompt=llava", "n=3")
    shown = capsys.readouterr().out
    assert shown.count("Answer the question using a single word or phrase.") == 3
    assert shown.count("[64 tokens]") == 3
    assert "image = shapes/balanced/0/existence/00000" in shown
    with Image.open(sheet) as picture:
        assert picture.width > picture.height > 300


def test_conditions_are_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "benchmark.source.questions=4", "condition=text", "n=1")
    assert "tokens]" not in capsys.readouterr().out


def test_a_prompt_that_the_model_refuses_is_said_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Profile.write

    def spoilt(profile: Profile, sample: Sample, by: By) -> str:
        token = "<|im_end|>" if sample.uid.endswith("colour/00000") else ""
        return write(profile, sample, by) + token

    monkeypatch.setattr(Profile, "write", spoilt)
    run(tmp_path, "benchmark.source.questions=1", "benchmark.source.kinds=[colour,where]", "n=2")
    shown = " ".join(capsys.readouterr().out.split())
    assert "contains the reserved token '<|im_end|>'" in shown
    assert shown.count("[64 tokens]") == 1


def test_samples_are_spread_over_the_set() -> None:
    assert evenly(list(range(10)), 3) == [0, 3, 6]
    assert evenly([1, 2], 5) == [1, 2]


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        run(tmp_path, "n=0")

"""A model with other weights for the length of a block; attention held against itself unturned."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

import interventions
from interventions import InterventionError
from interventions.controls.rotation import compare_rotation
from solvent.core.types import Prompt
from solvent.models import updates
from solvent.models.vlm import VLM, load
from tests.models.test_vlm import CANDIDATES, prompts
from tests.models.watched.test_updates import Lengths

__all__ = ["prompts"]  # the fixture: prompts with one image, none, and two
NAMES = ("one", "none", "two")


class Gaps(Lengths):
    """A lens that measures how far one state is from another."""

    def compare(self, before: Tensor, after: Tensor) -> Mapping[str, Tensor]:
        return {"gap": torch.linalg.matrix_norm(after - before)}


def copied(vlm: VLM, source: Path, folder: Path, settings: dict[str, Any]) -> VLM:
    """What the model is now, as a checkpoint of its own."""
    shutil.copytree(source, folder)
    vlm.model.save_pretrained(folder)
    return load(checkpoint=str(folder), **settings)


@pytest.mark.parametrize("which", ["qkv", "ffn", "all"])
def test_other_weights_are_all_that_differs(
    which: Literal["qkv", "ffn", "all"],
    checkpoints: dict[str, Path],
    prompts: list[Prompt],
    settings: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Answers inside of the block are those of a checkpoint with these weights: no picture's
    features come from others. Behind it everything is as before.
    """
    source = checkpoints["llava"]
    vlm = load(checkpoint=str(source), **settings | {"feature_cache_mb": 64})
    weights = {name: each.clone() for name, each in vlm.model.state_dict().items()}
    learned = vlm.rank(vlm.encode(prompts), CANDIDATES)
    known = vlm.features.encoded
    assert known
    vlm.check_weights(which)
    with vlm.other_weights(which, seed=1, draw="own"):
        found = vlm.rank(vlm.encode(prompts), CANDIDATES)
        assert (vlm.features.encoded > known) is (which == "all")
        twin = copied(vlm, source, tmp_path / "twin", settings)
    expected = twin.rank(twin.encode(prompts), CANDIDATES)
    for row, theirs in zip(found, expected, strict=True):
        assert [each.log_probability for each in row] == pytest.approx(
            [each.log_probability for each in theirs], rel=1e-4
        )
    assert found != learned
    known = vlm.features.encoded
    assert all(torch.equal(each, weights[n]) for n, each in vlm.model.state_dict().items())
    assert vlm.rank(vlm.encode(prompts), CANDIDATES) == learned
    assert vlm.features.encoded == known  # what was kept before is known again


def test_weights_that_cannot_be_drawn_are_told(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    held = vlm.model.state_dict
    monkeypatch.setattr(vlm.model, "state_dict", lambda: held() | {"adapter": torch.ones(1)})
    with pytest.raises(InterventionError, match="adapter differs"):
        vlm.check_weights("all")


def compared(vlm: VLM, some: Sequence[Prompt], name: str = "learned") -> tuple[Any, Any, int]:
    """What was measured, what the model answered, and what was edited."""
    candidates = [CANDIDATES[NAMES.index(prompt.uid)] for prompt in some]
    with (
        vlm.compare_rotation(),
        vlm.intervene(interventions.load(name), must_edit=False) as log,
        vlm.watch_updates(Gaps()) as seen,
    ):
        answers = vlm.rank(vlm.encode(some), candidates)
        return seen.take(), answers, int(log.take().entries_edited.sum())


def test_rotation_is_compared_at_the_same_layer_inputs(vlm: VLM, prompts: list[Prompt]) -> None:
    found, _, _ = compared(vlm, prompts)  # of different lengths: padded
    for prompt in prompts:
        batch = vlm.encode([prompt])
        inputs = {"position_ids": batch.positions, **batch.inputs}
        with torch.no_grad():
            both = compare_rotation(vlm.model, lambda inputs=inputs: vlm.model(**inputs))
        gaps = torch.stack([(each.on - each.off)[0] for each in both.values()])
        some = torch.arange(0, gaps.shape[1], 2)
        for draw, places in enumerate((some[:5], some[-5:])):
            expected = torch.linalg.matrix_norm(gaps[:, places])
            np.testing.assert_allclose(
                found[prompt.uid]["some"]["gap"][draw], expected, rtol=2e-3, atol=1e-5
            )
            assert expected.max() > 0.01


def test_what_the_model_says_is_not_of_the_comparison(vlm: VLM, prompts: list[Prompt]) -> None:
    with vlm.intervene(interventions.load("uniform")) as log:
        plain = vlm.rank(vlm.encode(prompts), CANDIDATES)
        edited = int(log.take().entries_edited.sum())
    learned = compared(vlm, prompts)
    measured, answers, counted = compared(vlm, prompts, "uniform")
    assert answers == plain
    assert counted == edited > 0
    assert not np.allclose(measured["one"]["some"]["gap"], learned[0]["one"]["some"]["gap"])


def test_where_rotation_cannot_be_left_out_nothing_is_measured(
    vlm: VLM,
    prompts: list[Prompt],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*given: Any) -> Any:
        raise InterventionError("no cosines here.")

    plain = vlm.rank(vlm.encode(prompts), CANDIDATES)
    monkeypatch.setattr(updates, "unrotated", refuse)
    found, answers, _ = compared(vlm, prompts)
    assert found == {"one": {}, "none": {}, "two": {}}
    assert answers == plain
    assert "rotation is not compared: no cosines here." in caplog.text

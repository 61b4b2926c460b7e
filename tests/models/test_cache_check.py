"""At load, answers through the key-value cache are compared with a forward that has none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from interventions.patching.upstream import CACHE, IMAGE_FEATURES, given_cache
from solvent.models import prefill
from solvent.models.check import check
from solvent.models.refusals import ModelError
from solvent.models.vlm import VLM, load
from tests.conftest import ROOT
from tests.random_models import FAMILIES

Arguments = dict[str, Any]


def without_cache(arguments: Arguments) -> Arguments:
    """As if a release had renamed the argument and swallowed the old name."""
    return {key: value for key, value in arguments.items() if key not in CACHE}


def _continued(arguments: Arguments) -> bool:
    cache = given_cache(arguments)
    return cache is not None and cache.get_seq_length() > 0


def one_position_late(arguments: Arguments) -> Arguments:
    """All of an answer is read one position later than it stands."""
    if not _continued(arguments):
        return arguments
    return {**arguments, "position_ids": arguments["position_ids"] + 1}


def second_token_late(arguments: Arguments) -> Arguments:
    """The first token that is read after the prompt is, and nothing else."""
    if not _continued(arguments):
        return arguments
    positions = arguments["position_ids"].clone()
    positions[..., 0] += 1
    return {**arguments, "position_ids": positions}


def without_features(arguments: Arguments) -> Arguments:
    """Features that were kept are not looked at, and pixels are not there."""
    return {key: value for key, value in arguments.items() if key != IMAGE_FEATURES}


def spoil(
    monkeypatch: pytest.MonkeyPatch, module: Any, change: Callable[[Arguments], Arguments]
) -> None:
    """Let a module see other keyword arguments than it is given."""
    forward = module.forward

    @wraps(forward)
    def spoilt(*args: Any, **arguments: Any) -> Any:
        return forward(*args, **change(arguments))

    monkeypatch.setattr(module, "forward", spoilt)


@pytest.fixture(scope="module", params=[*FAMILIES, "tiny"])
def folder(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Path:
    return checkpoints.get(request.param, ROOT / "solvent/models/checkpoints" / request.param)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def either(request: pytest.FixtureRequest, folder: Path, settings: dict[str, Any]) -> VLM:
    """Every family in both precisions, keeping image features."""
    changes = {"dtype": request.param, "feature_cache_mb": 8}
    return load(**{**settings, "checkpoint": str(folder), **changes})


def refusal(vlm: VLM) -> str:
    with pytest.raises(ModelError, match="with its key-value cache as without") as caught:
        check(vlm)
    message = str(caught.value)
    assert "\n" not in message
    assert vlm.family in message
    return message


@pytest.mark.parametrize(
    "change", [without_cache, one_position_late, second_token_late, without_features]
)
def test_what_a_model_does_not_look_at_is_noticed(
    either: VLM, change: Callable[[Arguments], Arguments], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, either.model, change)
    refusal(either)


def test_a_decoder_that_forgets_its_cache_is_noticed(
    either: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, either.model.get_decoder(), without_cache)
    apart = float(refusal(either).split("logits that are ")[1].split()[0])
    assert apart > 1.0  # of the spread; at most 0.2 is allowed, in bfloat16


def test_candidates_that_stay_in_the_cache_are_noticed(
    either: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "held", nullcontext)
    refusal(either)


def test_positions_of_another_family_are_noticed(
    checkpoints: dict[str, Path], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load(**{**settings, "checkpoint": str(checkpoints["qwen2_5_vl"])})

    def in_a_row(_: object, inputs: Arguments) -> Tensor:
        return inputs["attention_mask"].cumsum(dim=1) - 1

    monkeypatch.setattr("solvent.models.vlm.prompt_positions", in_a_row)
    refusal(vlm)


def test_a_check_leaves_nothing_behind(either: VLM) -> None:
    check(either)
    assert either.features.active
    assert (either.features.encoded, either.features.size) == (0, 0)

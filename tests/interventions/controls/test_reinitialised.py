"""A model drawn anew is what its class makes of its configuration, and then again what it was."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from interventions import InterventionError
from interventions.controls.reinitialised import reinitialised_weights
from tests.random_models import FAMILIES, random_inputs, random_model


def drawn_by_class(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(model.config, dtype=torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_weights_are_drawn_anew_and_put_back(family: str) -> None:
    model = random_model(family, seed=5)
    inputs = random_inputs(model)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    logits, numbers = model(**inputs).logits, torch.random.get_rng_state()
    for seed in (0, 1):
        expected = drawn_by_class(model, seed).eval()
        with suppress(KeyError), reinitialised_weights(model, seed=seed):
            for name, each in expected.state_dict().items():
                assert torch.equal(model.state_dict()[name], each), name
            assert torch.equal(model(**inputs).logits, expected(**inputs).logits)
            assert not torch.equal(model(**inputs).logits, logits)
            raise KeyError
        for name, each in model.state_dict().items():
            assert torch.equal(each, before[name]), name
    assert torch.equal(model(**inputs).logits, logits)
    assert torch.equal(torch.random.get_rng_state(), numbers)


@torch.no_grad()
def test_other_types_hold_the_same_draw() -> None:
    model = random_model("llava").to(torch.bfloat16)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    expected = drawn_by_class(model, 3).to(torch.bfloat16).state_dict()
    with reinitialised_weights(model, seed=3):
        assert all(torch.equal(each, expected[n]) for n, each in model.state_dict().items())
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


def test_a_model_with_something_added_is_refused() -> None:
    model = random_model("llava")
    model.register_parameter("adapter", torch.nn.Parameter(torch.ones(2)))
    with pytest.raises(InterventionError, match=r"but adapter differs"):
        reinitialised_weights(model, seed=0).__enter__()

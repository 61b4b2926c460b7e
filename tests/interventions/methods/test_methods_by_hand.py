"""Every intervention file gives the logits of its definition in words (`published`).

The package answers with its cache, as in use: logits of the prompt and of every generated token
must agree with a decoder in float64 that knows neither batches nor caches nor blocks.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from interventions import Intervention, available, intervene, load
from tests.interventions.conftest import _model
from tests.interventions.decoder import forward, tokens_of
from tests.interventions.every_method import prepared
from tests.interventions.published import (
    CASES,
    EVERY,
    REGIONS,
    UID,
    UNMOVED,
    Case,
    Model,
    Values,
    learned,
)
from tests.random_models import random_inputs

STEPS = 3  # generated tokens
TOLERANCE = 5e-5
NEEDS_SPREAD = 1e-2  # of the logits, so that a case that edits nothing would be seen


@pytest.mark.parametrize(
    ("name", "family"),
    [(name, family) for name, case in EVERY.items() for family in case.families],
)
def test_logits_equal_the_hand_computation(name: str, family: str) -> None:
    case, model = EVERY[name], _model(family)
    inputs = random_inputs(model, prompt_lengths=(9,))
    count = int((inputs["input_ids"] == model.config.image_token_id).sum())
    intervention = prepared(name.split(",")[0], count, **case.overrides)
    prompts, answer, steps = answered(model, intervention, inputs, case)
    tokens = tokens_of(model, inputs, answer[:-1], UID)
    edit = case.edit if case.told is None else partial(case.edit, **case.told(model, inputs))
    expected = forward(model, tokens, edit, case.layers, case.rows)
    for logits in prompts:
        np.testing.assert_allclose(logits, expected[: tokens.prompt], atol=TOLERANCE)
    np.testing.assert_allclose(steps, expected[tokens.prompt - 1 :], atol=TOLERANCE)
    plain = forward(model, tokens, learned)
    assert (np.abs(plain - expected).max() > NEEDS_SPREAD) == (name not in UNMOVED)


@torch.no_grad()
def answered(
    model: Model, intervention: Intervention, inputs: dict[str, torch.Tensor], case: Case
) -> tuple[list[Values], torch.Tensor, Values]:
    """Logits of the prompt (on both backends), a greedy answer, and the logits of its steps."""
    regions = [REGIONS] if intervention.name == "fixed_region" else None
    settings = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
    prompts = []
    if case.rows != ("generated",):
        for backend in ("sdpa", "eager"):  # eager also takes the reference execution
            model.set_attn_implementation({"text_config": backend})
            with intervene(model, intervention) as log:
                log.expect([UID], regions=regions)
                prompts.append(model(**inputs).logits[0].double().numpy())
        model.set_attn_implementation({"text_config": "sdpa"})
    with intervene(model, intervention) as log:
        log.expect([UID], regions=regions)
        output = model.generate(
            **inputs, **settings, output_logits=True, return_dict_in_generate=True
        )
    steps = torch.cat(output.logits).double().numpy()
    return prompts, output.sequences[0, -STEPS:], steps


def test_every_file_is_computed_by_hand() -> None:
    elsewhere = {f"sap_{family}" for family in ("llava", "llava_onevision", "qwen2_5_vl")}
    assert {name.split(",")[0] for name in CASES} | elsewhere == set(available())


def test_numbers_that_the_cases_replace_are_the_published_ones() -> None:
    assert load("pai").layers == "2-"
    sinks = load("var_sinks")
    assert (sinks.layers, sinks.probe.threshold) == ("2-", 20.0)
    rules = sinks.heads.rules
    assert (rules["few_sinks"].most, rules["visual"].least) == (0.5, 0.2)
    adapt = load("adapt_vis").pattern
    assert (adapt.threshold, adapt.unsure, adapt.sure) == (0.3, 0.5, 1.5)
    assert load("caac").pattern.threshold == 0.25
    assert load("spin").heads.share == 0.95
    assert load("ad_hh").heads.rules["textual"].least == 0.4

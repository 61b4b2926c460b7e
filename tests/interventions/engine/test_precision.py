"""Compiled layers, half precision and mixtures of precisions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from interventions import intervene, load
from tests.interventions.every_method import EDITS, opened, prompt_part
from tests.interventions.generating import (
    LENGTHS,
    STEPS,
    UIDS,
    Inputs,
    chosen_logits,
    generate,
    in_one_forward,
    twin,
)
from tests.random_models import random_inputs, random_model


@pytest.fixture(params=["llava", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return twin(request.param)


@pytest.fixture(params=["uniform", "gaussian"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_compiled_layers_are_edited(compiler: None, name: str) -> None:
    """Compiled before the context, with other samples inside it, and plain again after it."""
    model, twin_model = random_model("llava"), twin("llava")
    inputs = random_inputs(model, LENGTHS)
    model.get_decoder().layers[1].self_attn.compile(backend="eager")
    plain = model(**inputs).logits
    for uids in (UIDS, ("third", "fourth")):
        with intervene(model, load(name)) as log:
            log.expect(uids)
            compiled = model(**inputs).logits
        with intervene(twin_model, load(name)) as log:
            log.expect(uids)
            assert torch.equal(compiled, twin_model(**inputs).logits)
        assert torch.equal(plain, model(**inputs).logits)


def half(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(model: PreTrainedModel, name: str, dtype: torch.dtype) -> None:
    """As far from float32 as the unpatched model is; the control stays bit-identical."""
    inputs = random_inputs(model, LENGTHS)
    low, short = random_model(model.config.model_type).to(dtype), half(inputs, dtype)
    real = inputs["attention_mask"].bool()
    plain = low(**short).logits
    error = (plain.float() - model(**inputs).logits)[real].abs().mean()
    with intervene(model, load(name)), intervene(low, load(name)) as log:
        edited = low(**short).logits
        assert edited.dtype == dtype
        assert (edited.float() - model(**inputs).logits)[real].abs().mean() < 2 * error
        log.expect(UIDS)
        output = generate(low, short)
        answers = output.sequences[:, -STEPS:]
        for row, answer in enumerate(answers):
            again = in_one_forward(low, log, short, row, answer)
            assert (chosen_logits(output, row) - again).abs().mean() < 2 * error
    with intervene(low, load("learned")):
        assert torch.equal(plain, low(**short).logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mixture", ["autocast", "encoder", "answers"])
def test_mixed_precision(model: PreTrainedModel, mixture: str, dtype: torch.dtype) -> None:
    inputs = random_inputs(model, LENGTHS)
    mixed = random_model(model.config.model_type)
    if mixture == "encoder":
        mixed.get_encoder(modality="image").to(dtype)
        getattr(mixed.model, "multi_modal_projector", nn.Identity()).to(dtype)
        inputs = half(inputs, dtype)
    context = torch.autocast("cpu", dtype=dtype, enabled=mixture == "autocast")
    if mixture == "answers":  # a head in another precision than the layers
        mixed.to(dtype).lm_head.to(torch.float32)
        mixed.lm_head.register_forward_pre_hook(lambda _, given: (given[0].float(),))
        inputs = half(inputs, dtype)
    with context:
        plain = mixed(**inputs).logits
        with intervene(mixed, load("learned")):
            assert torch.equal(plain, mixed(**inputs).logits)
        with intervene(mixed, load("uniform")), intervene(model, load("uniform")):
            edited = mixed(**inputs).logits
    real = inputs["attention_mask"].bool()
    exact = model(**random_inputs(model, LENGTHS)).logits
    with intervene(model, load("uniform")):
        wanted = model(**random_inputs(model, LENGTHS)).logits
    error = (plain - exact)[real].abs().mean()
    assert 0 < (edited - wanted)[real].abs().mean() < 2 * error


@pytest.mark.parametrize("name", EDITS)
def test_a_float64_model_is_edited_in_float64(name: str) -> None:
    """Both executions agree far beyond float32 (what is left is that of the model's own norms)."""
    model = random_model("llava").double()
    inputs = random_inputs(model, (9, 6))
    inputs["pixel_values"] = inputs["pixel_values"].double()
    logits = []
    for execution in ("fused", "reference"):
        lengths = prompt_part(name, inputs)
        with opened(model, name, inputs, lengths=lengths, execution=execution):
            logits.append(model(**inputs).logits)
    assert logits[0].dtype == torch.float64
    torch.testing.assert_close(*logits, atol=1e-9, rtol=1e-9)

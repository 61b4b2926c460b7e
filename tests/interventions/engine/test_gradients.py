"""Gradients through an intervention: finite everywhere, alike however it is executed, and right.

Right: `torch.autograd.gradcheck` compares them with finite differences in float64, call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from interventions import Intervention, InterventionError, available, intervene, load
from interventions.engine import fused
from interventions.engine.execution import Outcome, execute
from interventions.engine.view import Call, Rows
from interventions.methods.heads import HeadRule
from interventions.methods.masses import (
    Acausal,
    Constant,
    Drop,
    FromPattern,
    Keep,
    Leak,
    Shift,
    Transfer,
)
from interventions.methods.patterns import Inverted, Normal, OneHot, UniformNoise
from interventions.methods.scaling import MatchEntropy, MatchMass, MatchMean, MatchMeanStd
from interventions.patching import patch
from tests.interventions.conftest import _model
from tests.interventions.engine.test_fused import gemma3, gemma3_inputs
from tests.interventions.every_method import EDITS, Inputs, describe, opened, prepared, prompt_part
from tests.random_models import random_inputs, random_model

Heads = Sequence[int] | HeadRule | None
Execution = Callable[[Call, Rows, Intervention, Heads], Outcome]
EXECUTIONS: tuple[Execution, ...] = (execute, fused.execute)
STATES = ("query", "key", "value")
MODELS: dict[str, Callable[[], tuple[PreTrainedModel, Inputs]]] = {
    "alone": lambda: (_model("llava"), random_inputs(_model("llava"), (9, 9))),
    "padded": lambda: (_model("llava"), random_inputs(_model("llava"), (9, 5))),
    "windowed": lambda: (gemma3(), gemma3_inputs()),  # some rows see none of the image
}
WAYS = (("sdpa", "fused"), ("sdpa", "reference"), ("eager", "reference"))


def gradients(
    model: PreTrainedModel, name: str, inputs: Inputs, way: tuple[str, str]
) -> list[Tensor]:
    """Of a random combination of the logits of all tokens but padding; that of all is finite.

    With respect to every parameter and the pixels: what lies before attention, in it and behind.
    """
    backend, execution = way
    leaves = [inputs["pixel_values"].clone().requires_grad_(), *model.parameters()]
    lengths = prompt_part(name, inputs)
    model.set_attn_implementation(backend)
    try:
        with opened(model, name, inputs, lengths=lengths, execution=execution) as log:
            logits = model(**{**inputs, "pixel_values": leaves[0]}).logits
    finally:
        model.set_attn_implementation("sdpa")
    assert name == "learned" or log.entries_edited > 0
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    real = inputs["attention_mask"][..., None]
    everything = torch.autograd.grad(
        (logits * weights).sum(), leaves, allow_unused=True, retain_graph=True
    )
    assert all(part is None or part.isfinite().all() for part in everything)
    found = torch.autograd.grad((logits * weights * real).sum(), leaves, allow_unused=True)
    return [
        torch.zeros_like(leaf) if part is None else part
        for leaf, part in zip(leaves, found, strict=True)
    ]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", available())
def test_gradients_are_finite_and_the_same_in_every_execution(name: str, kind: str) -> None:
    model, inputs = MODELS[kind]()
    first, *others = (gradients(model, name, inputs, way) for way in WAYS)
    largest = max(part.norm() for part in first)
    assert largest > 0
    for other in others:
        for fast, slow in zip(first, other, strict=True):
            assert fast.isfinite().all()
            assert slow.isfinite().all()
            # some are zero by symmetry (the bias of keys), up to rounding
            assert (fast - slow).norm() <= 1e-4 * slow.norm() + 1e-6 * largest


KINDS: dict[str, Callable[[], Intervention]] = {
    **{name: partial(prepared, name) for name in EDITS},
    **{
        f"calibration {type(calibration).__name__}": partial(
            replace, load("gaussian"), pattern=Normal(std=1.0), calibration=calibration
        )
        for calibration in (MatchMean(), MatchMeanStd(), MatchMass(), MatchEntropy())
    },
    **{
        f"pattern {type(pattern).__name__}": partial(replace, load("uniform"), pattern=pattern)
        for pattern in (Inverted(), OneHot(key=1), UniformNoise())
    },
    "mass Constant": partial(replace, load("uniform"), mass=Constant(share=0.3)),
    "half, scores": partial(load, "gaussian", mix=0.5, mix_domain="score"),
    "half, weights": partial(load, "gaussian", mix=0.5, mix_domain="weight"),
}


MASSES = (
    Acausal(), Constant(share=0.3), Drop(), FromPattern(), Keep(), Leak(factor=0.0),
    Leak(factor=2.0), Shift(factor=2.0), Transfer(fraction=1.0, to=("question",)),
)  # fmt: skip
PARTS: dict[str, dict[str, object]] = {
    **{f"mass {mass}": {"mass": mass} for mass in MASSES},
    **{
        f"calibration {type(calibration).__name__}": {
            "pattern": Normal(std=1.0), "calibration": calibration
        }
        for calibration in (MatchMean(), MatchMeanStd(), MatchMass(), MatchEntropy())
    },
    "Inverted": {"pattern": Inverted()},
    "OneHot": {"pattern": OneHot(key=1)},
}  # fmt: skip
MIXES = {"whole": {}, "half, scores": {"mix": 0.5, "mix_domain": "score"},
         "half, weights": {"mix": 0.5, "mix_domain": "weight"}}  # fmt: skip


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("part", PARTS)
def test_rows_without_an_image_do_not_spoil_gradients(part: str, mix: str) -> None:
    """A text alone beside a picture, and rows before it: their block is empty."""
    model = _model("llava")
    inputs = random_inputs(model, (9, 5), images=(0, 1))
    every = ("system", "image", "question", "last")
    edit = replace(load("gaussian", rows=every), **PARTS[part], **MIXES[mix])
    plain, found = [], []
    for execution in ("fused", "reference"):
        with intervene(model, edit, execution):
            with torch.no_grad():
                plain.append(model(**inputs).logits)
            logits = model(**inputs).logits
        found.append(torch.autograd.grad(logits.square().mean(), list(wanted(model))))
        torch.testing.assert_close(logits, plain[-1])
    largest = max(gradient.norm() for gradient in found[0])
    for fast, slow in zip(*found, strict=True):
        assert fast.isfinite().all()
        assert slow.isfinite().all()
        assert (fast - slow).norm() <= 2e-3 * slow.norm() + 1e-6 * largest


def wanted(model: PreTrainedModel) -> list[Tensor]:
    """Parameters of the decoder, behind which every image lies."""
    return list(model.get_decoder().layers.parameters())


def test_second_derivatives_are_finite() -> None:
    model = _model("llava")
    inputs, table = random_inputs(model, (9, 5)), model.get_input_embeddings().weight
    with sdpa_kernel(SDPBackend.MATH), opened(model, "var_sinks", inputs):
        loss = model(**inputs).logits.square().mean()
        (first,) = torch.autograd.grad(loss, table, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), table)
    assert second.isfinite().all()


@pytest.mark.parametrize("name", KINDS)
def test_gradients_of_a_call_are_those_of_finite_differences(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def check(call: Call, rows: Rows, intervention: Intervention, heads: Heads) -> Outcome:
        if heads is not None and rows.edits and not checked:
            checked.extend(right(run, call, rows, intervention, heads) for run in EXECUTIONS)
        return execute(call, rows, intervention, heads)

    monkeypatch.setitem(patch.EXECUTIONS, "checked", check)
    model = _model("llava")
    inputs = random_inputs(model, (5, 4))
    intervention, lengths = KINDS[name](), prompt_part(name, inputs)
    with intervene(model, intervention, "checked") as log:
        describe(log, model, intervention, inputs, ("first", "second"), lengths)
        model(**inputs)
    assert checked == [True, True]


def right(run: Execution, call: Call, rows: Rows, intervention: Intervention, heads: Heads) -> bool:
    """Whether the edited rows of a call have the gradients of finite differences."""
    states = [getattr(call, name).detach().double().requires_grad_() for name in STATES]

    def edited(*states: Tensor) -> Tensor:
        outcome = run(
            replace(call, **dict(zip(STATES, states, strict=True))), rows, intervention, heads
        )
        return torch.where(outcome.touched[..., None], outcome.output, 0.0)

    assert edited(*states).dtype == torch.float64
    return gradcheck(edited, states, fast_mode=True)


def test_gradients_flow_through_the_confidence_of_the_first_pass() -> None:
    """A whole model, by central differences along its own gradient; its norms are float32.

    With confidence as a constant the gradient would be off by a tenth.
    """
    model = random_model("llava", seed=1)
    inputs = random_inputs(model, (9,))
    table = model.get_input_embeddings().weight

    def read() -> Tensor:
        with opened(model, "caac", inputs, ("first",), **{"pattern.highest": 6.0}):
            return model(**inputs).logits[0, -1, :5].sum()

    (gradient,) = torch.autograd.grad(read(), table)
    step = 3e-3 * gradient / gradient.norm()
    with torch.no_grad():
        table += step
        above = read()
        table -= 2 * step
        below = read()
    torch.testing.assert_close((above - below) / 6e-3, gradient.norm(), rtol=1e-2, atol=0)


def checkpointed(model: PreTrainedModel, reentrant: bool) -> PreTrainedModel:
    """With gradient checkpointing, under whichever name this release has for it."""
    old = "gradient_checkpointing_enable"
    getattr(model, "activation_checkpointing_enable", getattr(model, old))(
        {"use_reentrant": reentrant}
    )
    return model.train()


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", available())
def test_gradient_checkpointing_changes_nothing(name: str, reentrant: bool) -> None:
    model = random_model("llava")
    inputs = random_inputs(model, (9, 5))
    if reentrant:  # then it sees no gradient
        model.get_encoder(modality="image").requires_grad_(False)
    leaves = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            checkpointed(model, reentrant)
            if reentrant and load(name).pattern.needs_confidence:
                with (
                    pytest.raises(InterventionError, match='"use_reentrant": False'),
                    intervene(model, prepared(name)),
                ):
                    pass
                return
        lengths = prompt_part(name, inputs)
        with opened(model, name, inputs, lengths=lengths) as log:
            for _ in range(2):
                describe(log, model, prepared(name), inputs, ("first", "second"), lengths)
                model(**inputs).logits.square().mean().backward()
        found.append([leaf.grad for leaf in leaves])
        model.zero_grad()
        measured = log.take()
        found[-1] += [torch.tensor(measured.layer_mass_after), torch.tensor(log.entries_edited)]
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, atol=1e-6, rtol=1e-5)


def test_the_encoder_is_seen_once_however_often_it_runs() -> None:
    """Its last layer runs again in the backward pass, before the next picture comes."""
    model, found = random_model("qwen2_5_vl"), []
    for _ in range(2):
        with intervene(model, load("fixed_encoder")) as log:
            for seed in range(2):
                inputs = random_inputs(model, (9, 5), seed=seed)
                describe(log, model, prepared("fixed_encoder"), inputs, ("first", "second"))
                loss = model(**inputs).logits.square().mean()
                loss.backward()
        found.append(loss.detach())
        model = checkpointed(model, reentrant=False)
    torch.testing.assert_close(*found)


def test_a_checkpointed_backward_outside_the_block_is_refused() -> None:
    model = checkpointed(random_model("llava"), reentrant=False)
    with intervene(model, load("uniform")):
        loss = model(**random_inputs(model)).logits.sum()
    with pytest.raises(InterventionError, match="call backward before leaving it"):
        loss.backward()
    model(**random_inputs(model)).logits.sum().backward()  # nothing is left behind


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_that_is_switched_on_inside_is_refused(reentrant: bool) -> None:
    model = random_model("llava")
    with intervene(model, load("uniform")):
        checkpointed(model, reentrant)
        with pytest.raises(InterventionError, match="do so before the block"):
            model(**random_inputs(model))
    run = model.get_decoder().layers[0]._gradient_checkpointing_func
    assert run.keywords == {"use_reentrant": reentrant}  # what was set inside stays


def test_functional_transforms_are_refused() -> None:
    model = random_model("llava")
    inputs = random_inputs(model)

    def loss(pixels: Tensor) -> Tensor:
        return model(**{**inputs, "pixel_values": pixels}).logits.square().mean()

    with (
        pytest.raises(InterventionError, match=r"use torch\.autograd\.grad or backward"),
        intervene(model, load("uniform")),
    ):
        torch.func.grad(loss)(inputs["pixel_values"])


def test_a_patched_model_is_not_copied() -> None:
    model = random_model("llava")
    with (
        pytest.raises(InterventionError, match="copy it before or after"),
        intervene(model, load("uniform")),
    ):
        deepcopy(model)
    deepcopy(model)

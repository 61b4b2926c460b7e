"""What is fitted has the formulas of what is stored, and its gradients are true."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from interventions import intervene, load
from interventions.methods.fitting import choice_loss, matching_loss
from interventions.methods.tensor_files import read_tensor
from interventions.methods.trainable import trainable
from tests.interventions.every_method import HEADS, LAYERS, image_tokens, prepared
from tests.random_models import random_inputs

LENGTHS = (9, 12)


def test_it_equals_the_stored_pattern_and_mass(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, LENGTHS)
    stored = prepared("learned_prior", image_tokens(llava, inputs))
    with intervene(llava, stored):
        expected = llava(**inputs).logits
    pattern = read_tensor(stored.pattern.file, "pattern", torch.device("cpu"))[0]
    mass = read_tensor(stored.mass.file, "mass_logit", torch.device("cpu"))
    same = trainable(load("learned_prior"), pattern.log() + 3.0, mass)
    with intervene(llava, same, execution="reference"):
        logits = llava(**inputs).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_finite_differences(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, LENGTHS)
    generator = torch.Generator().manual_seed(0)
    shapes = ((LAYERS, HEADS, image_tokens(llava, inputs)), (LAYERS, HEADS))
    logits = [torch.randn(shape, generator=generator) for shape in shapes]

    def loss(*values: torch.Tensor) -> torch.Tensor:
        with intervene(llava, trainable(load("learned_prior"), *values), execution="reference"):
            return llava(**inputs).logits[:, -1].log_softmax(dim=-1)[:, 3].sum()

    for place, tensor in enumerate(logits):
        wanted = [value.clone().requires_grad_() for value in logits]
        with torch.enable_grad():
            gradient = torch.autograd.grad(loss(*wanted), wanted)[place]
        direction = gradient / gradient.norm()
        assert gradient.norm() > 1e-3
        moved = []
        for step in (0.05, -0.05):
            shifted = list(logits)
            shifted[place] = tensor + step * direction
            moved.append(loss(*shifted).item())
        numeric = (moved[0] - moved[1]) / 0.1
        torch.testing.assert_close(numeric, gradient.norm().item(), rtol=0.03, atol=0)


def test_losses_by_hand() -> None:
    old = torch.tensor([[0.5, 0.5]]).log()
    new = torch.tensor([[0.25, 0.75]]).log()
    missing = torch.tensor([[0.5, 0.25, 0.0]]).log()
    expected = 0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log()
    nothing = torch.zeros(1, 0)
    torch.testing.assert_close(matching_loss((new, nothing), (old, nothing)), expected)
    torch.testing.assert_close(matching_loss((new, missing), (old, missing)), expected)
    torch.testing.assert_close(choice_loss(missing, torch.tensor([1])), torch.tensor(3.0).log())

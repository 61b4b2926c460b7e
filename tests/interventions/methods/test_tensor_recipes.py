"""Recipes with a scripted model: what becomes of the attention that was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from interventions import InterventionError
from interventions.looking.capture import Attention
from interventions.methods.tensor_recipes import Donors, FlatteningScale, MeanPattern


@dataclass(frozen=True)
class Prompt:
    uid: str
    images: tuple[Image.Image, ...]
    text: str


@dataclass
class ScriptedModel:
    """Attends as it is told, sample by sample."""

    patterns: dict[str, torch.Tensor]  # (layer, head, row, token)
    shown: list[Prompt] = field(default_factory=list)

    @contextmanager
    def capture(self, rows: int) -> Iterator[Any]:
        self.shown = []
        yield SimpleNamespace(take=self.take)

    def encode(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        return prompts

    def generate(self, batch: Sequence[Prompt], tokens: int) -> None:
        self.shown += batch

    def take(self) -> list[Attention]:
        found = [(prompt.uid, self.patterns[prompt.uid]) for prompt in self.shown]
        return [Attention(uid=uid, pattern=p, mass=p.sum(dim=-1)) for uid, p in found]


def group(*uids: str) -> Any:
    picture = Image.new("RGB", (3, 2), (200, 0, 0))
    prompts = [Prompt(uid, (picture,), "Is there a star?") for uid in uids]
    return SimpleNamespace(prompts=lambda: prompts)


def random_pattern(seed: int, tokens: int = 4) -> torch.Tensor:
    return torch.rand(2, 3, 1, tokens, generator=torch.Generator().manual_seed(seed))


def make(recipe: Any, model: ScriptedModel, groups: Sequence[Any]) -> dict[str, torch.Tensor]:
    calls: list[int] = []
    made = recipe.make(model, None, groups, lambda: calls.append(1))
    assert len(calls) == recipe.passes(len(groups))
    return made.tensors


def test_mean_and_donors() -> None:
    patterns = {uid: random_pattern(seed) for seed, uid in enumerate("abc")}
    model, groups = ScriptedModel(patterns), [group("a", "b"), group("c")]
    expected = torch.stack([pattern[:, :, 0] for pattern in patterns.values()])
    mean = make(MeanPattern(), model, groups)["pattern"]
    torch.testing.assert_close(mean, expected.mean(dim=0, keepdim=True))
    donors = make(Donors(), model, groups)["pattern"]
    assert donors.dtype == torch.float16
    torch.testing.assert_close(donors.float(), expected, atol=1e-3, rtol=0)


def test_unequal_images_are_refused() -> None:
    model = ScriptedModel({"a": random_pattern(0), "b": random_pattern(1, tokens=5)})
    with pytest.raises(InterventionError, match=r"samples have \[4, 5\] image tokens"):
        make(MeanPattern(), model, [group("a", "b")])


def test_the_flattening_scale_by_hand_on_a_painted_picture() -> None:
    weights = torch.tensor([[[[0.1, 0.3], [0.2, 0.2]]]])  # one layer, one head, two rows
    model = ScriptedModel({"reference": weights})
    recipe = FlatteningScale(beta=0.5, rows=2, colour=[1, 2, 3], question="What is it?")
    scale = make(recipe, model, [group("a", "b")])["scale"]
    rows = torch.tensor([[0.15 / 0.1, 0.25 / 0.3], [1.0, 1.0]])
    torch.testing.assert_close(scale, rows.mean(dim=0)[None, None, None])
    (prompt,) = model.shown
    assert prompt.text == "What is it?"
    assert prompt.images[0].getcolors() == [(6, (1, 2, 3))]


def test_layers_without_attention_are_refused() -> None:
    pattern = random_pattern(0)
    pattern[1] = torch.nan
    with pytest.raises(InterventionError, match="some layers of this model have no attention"):
        make(MeanPattern(), ScriptedModel({"a": pattern}), [group("a")])

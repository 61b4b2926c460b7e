"""What is measured of updates is of the prompt's own tokens, whoever stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import interventions
from solvent.core.types import Prompt
from solvent.diagnostics.residual.layer_geometry import Variant
from solvent.diagnostics.residual.lens import UpdateLens
from solvent.models.refusals import ModelError
from solvent.models.updates import Seen
from solvent.models.vlm import VLM
from tests.models.plain_answers import IMAGE_TOKENS, Reference
from tests.models.test_states import alone
from tests.models.test_vlm import CANDIDATES, prompts
from tests.random_models import IDS, LAYERS

__all__ = ["prompts"]  # the fixture: prompts with one image, none, and two
VARIANT = Variant(
    combine="mean",
    rows="mean",
    alphas=(1.0, 8.0),
    reference="own",
    rtol=None,
    centre=False,
    route="fast",
    at_once=3,
)
NAMES = ("one", "none", "two")


@dataclass(eq=False)
class Lengths:
    """A lens that measures lengths of states, of every other token and of image tokens."""

    asked: dict[str, int] = field(default_factory=dict)  # image tokens of a prompt
    largest: int = 0  # numbers in a tensor that it is shown

    def choose(self, uid: str, image: np.ndarray, width: int) -> Mapping[str, np.ndarray]:
        self.asked[uid] = int(image.sum())
        some = np.arange(0, len(image), 2)
        chosen = {"some": np.stack([some[:5], some[-5:]])}
        return chosen | ({"image": np.flatnonzero(image)[None, :4]} if image.any() else {})

    def measure(self, places: Sequence[tuple[str, str, int]], updates: Any) -> Mapping[str, Tensor]:
        self.largest = max(self.largest, updates.before.numel())
        parts = ("before", "after_attention", "after_ffn")
        states = {name: getattr(updates, name).double() for name in parts}
        return {name: torch.linalg.matrix_norm(each) for name, each in states.items()}


@pytest.fixture
def reference(vlm: VLM, checkpoints: dict[str, Path]) -> Reference:
    return Reference(vlm.family, checkpoints[vlm.family])


def lens(uids: Sequence[str] = NAMES) -> UpdateLens:
    """The one that the diagnostic uses, on models 32 wide."""
    return UpdateLens(
        sizes={"all": 16},
        width_share=2,
        draws=3,
        variant=VARIANT,
        curve=[],
        nulls=["haar", "norms"],
        uids=frozenset(uids),
        seed=0,
    )


def measured(
    vlm: VLM, some: Sequence[Prompt], wanted: Any, name: str = "learned"
) -> dict[str, Seen]:
    candidates = [CANDIDATES[NAMES.index(prompt.uid)] for prompt in some]
    with (
        vlm.intervene(interventions.load(name), must_edit=False),
        vlm.watch_updates(wanted) as seen,
    ):
        vlm.rank(vlm.encode(some), candidates)
    found = seen.take()
    assert seen.take() == {}
    return found


def test_they_are_of_the_states_that_transformers_gives(
    vlm: VLM, reference: Reference, prompts: list[Prompt]
) -> None:
    wanted = Lengths()
    found = measured(vlm, prompts, wanted)  # of different lengths: padded
    assert list(found) == list(NAMES)
    for prompt in prompts:
        ids, states = alone(vlm, reference, prompt)
        image = [place for place, token in enumerate(ids) if token == IDS[IMAGE_TOKENS[vlm.family]]]
        assert wanted.asked[prompt.uid] == len(image)
        some = list(range(0, len(ids), 2))
        draws = {"some": [some[:5], some[-5:]]} | ({"image": [image[:4]]} if image else {})
        assert set(found[prompt.uid]) == set(draws)
        for name, places in draws.items():
            numbers = found[prompt.uid][name]
            lengths = np.array(
                [[np.linalg.norm(layer[rows]) for layer in states[:-1]] for rows in places]
            )
            assert numbers["before"].shape == (len(places), LAYERS)
            np.testing.assert_allclose(numbers["before"], lengths, rtol=1e-4)
            # What a layer gives is what enters the next one.
            np.testing.assert_allclose(numbers["after_ffn"][:, :-1], lengths[:, 1:], rtol=1e-4)


def test_chosen_tokens_alone_are_kept(vlm: VLM, prompts: list[Prompt]) -> None:
    """What a lens is shown at a time does not grow with layers or prompts that came before."""
    wanted = Lengths()
    for _ in range(2):
        measured(vlm, prompts, wanted)
        assert wanted.largest == len(prompts) * 2 * 5 * 32


def test_company_and_measuring_change_nothing(vlm: VLM, prompts: list[Prompt]) -> None:
    batch = vlm.encode(prompts)
    plain = vlm.rank(batch, CANDIDATES)
    together = measured(vlm, prompts, lens())
    with vlm.watch_updates(lens()) as seen:
        assert vlm.rank(batch, CANDIDATES) == plain
    assert set(seen.take()) == set(NAMES)
    assert any(together.values())
    for prompt in prompts:
        (own,) = measured(vlm, [prompt], lens([prompt.uid])).values()
        assert set(own) == set(together[prompt.uid])
        for tokens, numbers in own.items():
            for name, values in numbers.items():
                np.testing.assert_allclose(
                    together[prompt.uid][tokens][name], values, rtol=2e-3, atol=2e-4, err_msg=name
                )


def test_samples_that_are_not_asked_for_are_not_measured(vlm: VLM, prompts: list[Prompt]) -> None:
    found = measured(vlm, prompts, lens(["two"]))
    assert found["two"]
    assert not found["one"]
    assert not measured(vlm, prompts[:1], lens(["two"]))["one"]  # a batch without any


def test_under_an_intervention_they_are_of_the_edited_model(
    vlm: VLM, prompts: list[Prompt]
) -> None:
    plain, edited = (measured(vlm, prompts, Lengths(), name) for name in ("learned", "uniform"))
    for uid, moves in (("one", True), ("none", False)):
        pair = [each[uid]["some"] for each in (plain, edited)]
        np.testing.assert_array_equal(*(each["before"][:, 0] for each in pair))
        same = np.allclose(*(each["after_attention"][1] for each in pair), rtol=1e-5)
        assert same is not moves


def test_nothing_is_measured_twice_at_a_time_or_while_paused(
    vlm: VLM, prompts: list[Prompt]
) -> None:
    intervening = vlm.intervene(interventions.load("learned"))
    with intervening as log, vlm.watch_updates(Lengths()) as seen:
        with log.paused():
            vlm.rank(vlm.encode(prompts), CANDIDATES)
        assert seen.take() == {}
        with pytest.raises(ModelError, match="already watched"), vlm.watch_updates(Lengths()):
            pass

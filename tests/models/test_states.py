"""States of prompts against transformers' own `output_hidden_states`, one prompt at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from transformers import AutoImageProcessor

import interventions
from interventions import InterventionError
from solvent.core.types import Prompt
from solvent.diagnostics.statistics.projection import project
from solvent.diagnostics.statistics.strata import Strata
from solvent.diagnostics.stored_states import stack
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError
from solvent.models.states import SampleStates, StateWatch, prompt_roles, summaries
from solvent.models.vlm import VLM, load
from tests.conftest import ROOT
from tests.diagnostics.seeing import seen
from tests.diagnostics.test_consistency import FAST
from tests.models.conftest import SETTINGS
from tests.models.plain_answers import IMAGE_TOKENS, PROMPTS, Reference
from tests.models.test_vlm import CANDIDATES, picture, prompts, written
from tests.random_models import IDS, LAYERS

__all__ = ["prompts"]  # the fixture: prompts with one image, none, and two
EDIT = {"real": "learned", "swap": "learned", "knock": "knockout"}
ROLES = ("image", "last", "question")


@pytest.fixture
def reference(vlm: VLM, checkpoints: dict[str, Path]) -> Reference:
    return Reference(vlm.family, checkpoints[vlm.family])


def alone(
    vlm: VLM, reference: Reference, prompt: Prompt
) -> tuple[list[int], Float[np.ndarray, "layer token hidden"]]:
    """Token ids of a prompt, and the hidden states that transformers gives for it alone."""
    family, images = vlm.family, list(prompt.images)
    ids = reference.ids(PROMPTS[family].format(written(vlm, prompt)), images)
    row = torch.tensor([ids])
    inputs = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    if images:
        inputs |= AutoImageProcessor.from_pretrained(vlm._source.location, backend="pil")(
            [images], return_tensors="pt"
        )
    if family == "qwen2_5_vl":
        inputs["mm_token_type_ids"] = (row == IDS["<|image_pad|>"]).int()
    reference.model.base_model.rope_deltas = None
    with torch.no_grad():
        layers = reference.model(**inputs, output_hidden_states=True).hidden_states
    return ids, np.concatenate([layer.numpy() for layer in layers])


def expected(vlm: VLM, reference: Reference, prompt: Prompt) -> dict[str, np.ndarray]:
    """By hand, from the hidden states that transformers gives for this prompt alone.

    Its last layer comes behind the final norm, which has weights of one: dividing by the RMS twice
    is dividing once.
    """
    family = vlm.family
    ids, tokens = alone(vlm, reference, prompt)
    tokens = tokens / np.sqrt((tokens**2).mean(axis=-1, keepdims=True))
    where = [place for place, token in enumerate(ids) if token == IDS[IMAGE_TOKENS[family]]]
    nothing = np.full_like(tokens[:, 0], np.nan)
    return {
        "image": tokens[:, where].mean(axis=1) if where else nothing,
        "last": tokens[:, -1],
        "question": tokens[:, where[-1] + 1 if where else 0 :].mean(axis=1),
    }


def test_states_are_those_of_transformers(
    vlm: VLM, reference: Reference, prompts: list[Prompt]
) -> None:
    with vlm.watch_states() as seen:
        vlm.rank(vlm.encode(prompts), CANDIDATES)  # of different lengths: padded
    states = seen.take()
    assert list(states) == ["one", "none", "two"]
    for prompt in prompts:
        wanted = expected(vlm, reference, prompt)
        for role in ROLES:
            found = getattr(states[prompt.uid], role)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted[role], atol=3e-5, err_msg=role)
    assert seen.take() == {}


def test_watching_changes_no_answer(vlm: VLM, prompts: list[Prompt]) -> None:
    batch = vlm.encode(prompts)
    plain, words = vlm.rank(batch, CANDIDATES), vlm.generate(batch, 3)
    with vlm.watch_states() as seen:
        assert vlm.rank(batch, CANDIDATES) == plain
        ranked = seen.take()
        assert vlm.generate(batch, 3) == words
    generated = seen.take()
    assert vlm.rank(batch, CANDIDATES) == plain
    assert not vlm.model.get_decoder().layers[0]._forward_hooks
    for uid, states in ranked.items():  # states of the prompt, not of the answer
        assert np.array_equal(states.last, generated[uid].last)


def seen_with(vlm: VLM, prompts: list[Prompt], name: str) -> dict[str, SampleStates]:
    with vlm.intervene(interventions.load(name)), vlm.watch_states() as seen:
        vlm.rank(vlm.encode(prompts), [["yes", "no"]] * len(prompts))
    return seen.take()


def questions(vlm: VLM, seed: int) -> list[Prompt]:
    """The same questions, of two lengths, with other pictures per seed."""
    family = vlm.family
    return [
        Prompt(uid="long", images=(picture(family, seed),), text="Is there a red square here?"),
        Prompt(uid="short", images=(picture(family, seed + 1),), text="Red?"),
    ]


def test_without_sight_of_the_image_states_do_not_depend_on_it(vlm: VLM) -> None:
    for name, depends in (("knockout", False), ("learned", True)):
        real, swap = (seen_with(vlm, questions(vlm, seed), name) for seed in (0, 10))
        for uid in ("long", "short"):
            assert not np.allclose(real[uid].image, swap[uid].image)
            for role in ("last", "question"):
                ours, theirs = getattr(real[uid], role), getattr(swap[uid], role)
                assert np.array_equal(ours, theirs) != depends
                assert np.array_equal(ours[0], theirs[0])  # of layer 0: the text alone


def test_an_intervention_may_be_opened_inside(vlm: VLM) -> None:
    outside = seen_with(vlm, questions(vlm, 0), "knockout")
    prompts = questions(vlm, 0)
    with vlm.watch_states() as seen, vlm.intervene(interventions.load("knockout")):
        vlm.rank(vlm.encode(prompts), [["yes", "no"]] * 2)
    for uid, states in seen.take().items():
        assert np.array_equal(states.last, outside[uid].last)


def test_a_paused_log_sees_nothing(vlm: VLM) -> None:
    """The prompt without its image, whose scores are subtracted, has the same uid."""
    batch, learned = vlm.encode(questions(vlm, 0)), interventions.load("learned")
    for context in (vlm.intervene(learned), vlm.watch_shares(learned)):
        with vlm.watch_states() as seen, context as log:
            with getattr(log, "log", log).paused():
                vlm.rank(batch, [["yes", "no"]] * 2)
            assert not seen.take()
            vlm.rank(batch, [["yes", "no"]] * 2)
        assert list(seen.take()) == ["long", "short"]


def test_the_shipped_model_is_watched_as_well() -> None:
    folder = str(ROOT / "solvent/models/checkpoints/tiny")
    tiny = load(**SETTINGS | {"name": "tiny", "checkpoint": folder})
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    prompts = [
        Prompt(uid=str(k), images=(image,), text="What?") for k, image in enumerate((red, blue))
    ]
    with tiny.watch_states() as seen:
        tiny.rank(tiny.encode(prompts), [["yes", "no"]] * 2)
    one, two = seen.take().values()
    assert one.last.shape == (len(tiny.model.get_decoder().layers) + 1, 128)
    assert np.isfinite(one.image).all()
    assert np.array_equal(one.last[0], two.last[0])
    assert not np.allclose(one.last[-1], two.last[-1])
    assert np.allclose((one.last**2).mean(axis=-1), 1, atol=1e-5)


def test_roles_and_means_by_hand() -> None:
    ids = torch.tensor([[0, 5, 9, 5, 9, 6, 7], [5, 6, 7, 6, 7, 6, 7]])  # 9 is the image
    real = torch.ones_like(ids, dtype=torch.bool)
    real[0, 0] = False
    roles = prompt_roles(ids, real, image_token_id=9)
    assert roles[0].nonzero().tolist() == [[0, 2], [0, 4]]
    assert roles[1, 0].tolist() == [False] * 5 + [True] * 2
    assert roles[1, 1].all()
    hidden = torch.zeros(2, 7, 2)
    hidden[0, 0] = torch.nan  # padding
    hidden[0, 2], hidden[0, 4] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 100.0])
    found = summaries(hidden, real, roles)
    assert found[0, 0].tolist() == pytest.approx([2**0.5 / 2, 2**0.5 / 2])
    assert found[0, 2].tolist() == [0, 0]  # a token of zeros stays one
    assert found[1, 0].isnan().all()


def reads_a_chunk(vlm: VLM, seen: StateWatch, batch: EncodedBatch) -> None:
    with seen.reading(batch):
        vlm.model(input_ids=batch.inputs["input_ids"][:1, -2:])


def test_mistakes_are_told(vlm: VLM, prompts: list[Prompt]) -> None:
    batch = vlm.encode(prompts)
    with vlm.watch_states() as seen:
        with pytest.raises(ModelError, match="already watched"), vlm.watch_states():
            pass
        with pytest.raises(ModelError, match=r"whole prompts of .* called with 2"):
            reads_a_chunk(vlm, seen, batch)
    with pytest.raises(InterventionError), vlm.intervene(interventions.load("knockout")):
        vlm.rank(vlm.encode(prompts[1:2]), [["yes"]])  # no image: nothing to cut


def test_controls_equal_the_real_run_before_the_first_layer(loaded: dict[str, VLM]) -> None:
    """From a model's states to the fusion gain: exactly 0 bits at layer 0, where nothing is mixed.

    With its question's tokens the text shares bits with the image there already, in all runs alike.
    """
    vlm, test = loaded["llava"], replace(FAST, dimensions=1, sweep=[1], halves=5, permutations=9)
    uids, found = [str(number) for number in range(40)], {}
    for name, offset in (("real", 0), ("swap", 100), ("knock", 0)):
        asked = [
            Prompt(uid=uid, images=(picture("llava", int(uid) + offset),), text=f"{int(uid) % 7}?")
            for uid in uids
        ]
        found[name] = stack(seen_with(vlm, asked, EDIT[name]))
    names = tuple("yes" if int(uid) < 20 else "no" for uid in uids)
    strata = Strata(uids=tuple(uids), names=names, clusters=np.arange(40), left_out={})
    series = test.judge(seen(scores=project(found, strata, 1))).series
    assert series["layers"] == list(range(LAYERS + 1))
    assert series["last"]["gain_bits"][0] == series["question"]["gain_bits"][0] == 0
    assert series["last"]["information_bits"]["real"][0] == 0  # one token ends all prompts
    assert series["question"]["information_bits"]["real"][0] != 0
    assert all(series["last"]["gain_bits"][1:])

"""Noise in the place of image embeddings: what the decoder gets, and what it then can know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import interventions
from interventions.patching.decoders import innermost, named_arguments
from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.types import Prompt
from solvent.diagnostics.conditions import NoiseEmbeddings
from solvent.models import noised_embeddings
from solvent.models.noised_embeddings import noised
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError
from solvent.models.vlm import VLM
from tests.models.test_tiny_interventions import numbers, prompt, tiny
from tests.models.test_vlm import CANDIDATES, picture

__all__ = ["tiny"]  # a fixture


@contextmanager
def entering(vlm: VLM) -> Iterator[list[Tensor]]:
    """What enters the first layer of the decoder, prompt after prompt."""
    found: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.append(named_arguments(module, args, kwargs)["hidden_states"].clone())

    first = innermost(vlm.model.get_decoder()).layers[0]
    handle = first.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()


def asked(vlm: VLM, noise: str | None) -> list[Prompt]:
    one, two = picture(vlm.family, 1), picture(vlm.family, 2)
    return [
        Prompt(uid="one", images=(one,), text="Is there a red square in it?", noise=noise),
        Prompt(uid="none", images=(), text="How many?", noise=noise),
        Prompt(uid="two", images=(two, one), text="Same colour?", noise=None),
    ]


def expected(real: Tensor, image: Tensor, seed: str) -> Tensor:
    """By NumPy: one mean and one standard deviation of all numbers of the image tokens."""
    values = real[image].double().numpy()
    number = int.from_bytes(blake2b(f"{seed}/0".encode(), digest_size=16).digest(), "big")
    drawn = np.random.default_rng(number).standard_normal(values.shape)
    changed = real.clone()
    changed[image] = torch.from_numpy(values.mean() + values.std() * drawn).float()
    return changed


def test_embeddings_are_those_of_the_formula_in_any_company(vlm: VLM) -> None:
    """Only where asked for: the text, and prompts without a seed, stay bit for bit."""
    batch = vlm.encode(asked(vlm, "0/one"))
    plain = vlm.encode(asked(vlm, None))
    image = batch.inputs["input_ids"] == vlm.image_token_id
    with entering(vlm) as found:
        vlm.rank(plain, CANDIDATES)
        before = found[0]
        found.clear()
        scores = vlm.rank(batch, CANDIDATES)
        now = found[0]
        found.clear()
        vlm.rank(vlm.encode(asked(vlm, "0/one")[:1]), CANDIDATES[:1])
        alone = found[0][0]
    assert torch.equal(now[1:], before[1:])
    assert torch.equal(now[0][~image[0]], before[0][~image[0]])
    np.testing.assert_allclose(
        now[0].numpy(), expected(before[0], image[0], "0/one").numpy(), atol=1e-5
    )
    shared = alone[-image[0].nonzero()[:, 0].numel() - 1 :]
    np.testing.assert_allclose(now[0][-len(shared) :].numpy(), shared.numpy(), atol=1e-5)
    assert numbers(scores[:1]) != pytest.approx(numbers(vlm.rank(plain, CANDIDATES)[:1]))
    assert vlm.rank(plain, CANDIDATES)[1:] == scores[1:]


def test_nothing_of_the_picture_is_left_but_two_numbers(
    vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same mean and spread any two pictures of one size give the same answers."""
    prompts = [
        Prompt(uid="a", images=(picture(vlm.family, seed),), text="Is it red?", noise="0/a")
        for seed in (3, 4)
    ]
    batches = [vlm.encode([each]) for each in prompts]
    real = [numbers(vlm.rank(replace(each, noise=()), CANDIDATES[:1])) for each in batches]
    assert real[0] != pytest.approx(real[1], abs=1e-6)

    def alike(level: Tensor, image: Tensor, batch: EncodedBatch, layer: int) -> Tensor:
        return noise(torch.randn(level.shape, generator=torch.Generator().manual_seed(0)), image,
                     batch, layer)  # fmt: skip

    noise = noised_embeddings._noise
    monkeypatch.setattr(noised_embeddings, "_noise", alike)
    one, two = (numbers(vlm.rank(each, CANDIDATES[:1])) for each in batches)
    np.testing.assert_array_equal(one, two)


def test_tiny_is_at_chance_and_edits_still_act(tiny: VLM) -> None:
    """60 questions of 8 colours: 1 in 8 is right by chance, 3 standard errors above it 25 %."""
    samples = Shapes(law="balanced", kinds=["colour"], questions=60, seed=5)()
    views = NoiseEmbeddings(name="noise_embeddings", seed=0).views(samples)
    options = [sample.options for sample in samples]
    real = tiny.encode([prompt(sample) for sample in samples])
    batch = tiny.encode([replace(prompt(each), noise=each.noise) for each in views])

    def right(encoded: EncodedBatch) -> float:
        scores = np.reshape(numbers(tiny.rank(encoded, options)), (60, 8))
        return float(np.mean(scores.argmax(axis=1) == [sample.gold for sample in samples]))

    assert right(real) > 0.9
    assert right(batch) < 0.25
    found = []
    for encoded in (real, batch):
        with tiny.intervene(interventions.load("knockout")) as log:
            found.append(numbers(tiny.rank(encoded, options)))
            assert (log.take().entries_edited > 0).all()
    np.testing.assert_allclose(*found, atol=1e-4)  # who sees no image sees no noise


class Scripted(nn.Module):
    """A decoder that says what it was given."""

    def forward(self, inputs_embeds: Tensor, **others: Any) -> tuple[Tensor, dict[str, Any]]:
        return inputs_embeds, others


def scripted() -> tuple[EncodedBatch, Tensor]:
    ids = torch.tensor([[0, 7, 7, 1], [7, 7, 7, 2]])
    empty: Any = None
    batch = EncodedBatch(
        uids=("a", "b"), inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        positions=empty, texts=(), token_ids=(), prompt_tokens=(), image_tokens=(2, 3),
        noise=("0/a", None),
    )  # fmt: skip
    return batch, torch.arange(2 * 4 * 3.0).view(2, 4, 3)


def test_image_features_of_later_layers_are_replaced_too() -> None:
    batch, embeddings = scripted()
    decoder, deep = Scripted(), [torch.full((5, 3), 1.0), torch.arange(15.0).view(5, 3)]
    with noised(decoder, batch, 7):
        first, others = decoder(embeddings, deepstack_visual_embeds=deep, visual_pos_masks=None)
    assert torch.equal(first[:, -1], embeddings[:, -1])
    assert torch.equal(first[1], embeddings[1])
    assert not torch.isclose(first[0, 1:3], embeddings[0, 1:3]).any()
    flat, ramp = others["deepstack_visual_embeds"]
    assert torch.equal(flat, deep[0])  # without spread there is no noise
    assert torch.equal(ramp[2:], deep[1][2:])
    assert not torch.isclose(ramp[:2], deep[1][:2]).any()
    again, _ = decoder(embeddings)
    assert torch.equal(again, embeddings)  # nothing is left behind


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"vision_features": torch.ones(5, 3)}, "but vision_features is another thing"),
        ({"image_rows": [torch.ones(4, 3)]}, "a row for each of 5 image tokens"),
    ],
)
def test_what_is_not_known_is_refused(others: dict[str, Any], words: str) -> None:
    batch, embeddings = scripted()
    decoder = Scripted()
    with noised(decoder, batch, 7):
        with pytest.raises(ModelError, match=words):
            decoder(embeddings, **others)
        with pytest.raises(ModelError, match="Expected the decoder to read a whole prompt of 4"):
            decoder(embeddings[:, 1:])

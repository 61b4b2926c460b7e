"""The shipped model under every intervention, on real questions and through the VLM interface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from interventions import Intervention, load
from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.paths import CONF
from solvent.core.types import CandidateScore, Prompt, Sample
from solvent.models.vlm import VLM
from tests.interventions.every_method import DECODING, EDITS, LEAKY, prepared

SAMPLES = Shapes(law="balanced", kinds=["existence", "where", "override"], questions=2, seed=3)()
KINDS = (  # one of every kind; tests/interventions try all of them on smaller models
    "adapt_vis", "dirichlet", "fastv_mask", "fixed_region", "gaussian", "knockout",
    "learned_prior", "sap_llava", "spin", "uniform", "var_sinks",
)  # fmt: skip
TOKENS, LAYERS, HEADS = 64, 6, 4  # of the shipped model


def edit(name: str) -> Intervention:
    """The intervention of a file, applicable to the shipped model."""
    return prepared(name, TOKENS, LAYERS, HEADS)


@pytest.fixture(scope="module")
def tiny() -> VLM:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("evaluate").model)


def prompt(sample: Sample) -> Prompt:
    return Prompt(
        uid=sample.uid,
        images=tuple(image.load() for image in sample.images),
        text=sample.text,
        regions=tuple(image.regions for image in sample.images),
    )


def ranked(vlm: VLM, samples: Sequence[Sample] = SAMPLES) -> list[list[CandidateScore]]:
    return vlm.rank(vlm.encode([prompt(s) for s in samples]), [s.options for s in samples])


def numbers(scores: list[list[CandidateScore]]) -> np.ndarray:
    return np.array([score.log_probability for row in scores for score in row])


def test_learned_is_the_unpatched_model_bit_for_bit(tiny: VLM) -> None:
    batch = tiny.encode([prompt(sample) for sample in SAMPLES])
    plain, words = ranked(tiny), tiny.generate(batch, 4)
    with tiny.intervene(load("learned")) as log:
        assert ranked(tiny) == plain
        assert tiny.generate(batch, 4) == words
    before, after = log.visual_mass
    assert before == after
    assert 0.05 < before < 0.95


@pytest.mark.parametrize("name", EDITS)
def test_every_intervention_edits_and_leaves_no_trace(tiny: VLM, name: str) -> None:
    plain = ranked(tiny)
    with tiny.intervene(edit(name)) as log:
        scored = ranked(tiny)
        assert name in DECODING or scored != plain  # every answer here is one word, and its end
    assert log.entries_edited > 0
    assert ranked(tiny) == plain


@pytest.mark.parametrize("name", KINDS)
def test_batch_size_and_padding_do_not_matter(tiny: VLM, name: str) -> None:
    with tiny.intervene(edit(name)) as log:
        together = numbers(ranked(tiny))
        measured = log.take()
        alone = [ranked(tiny, [sample]) for sample in SAMPLES]
        single = log.take()
    np.testing.assert_allclose(together, numbers([r for (r,) in alone]), atol=2e-4)
    assert measured.uids == single.uids
    np.testing.assert_allclose(measured.layer_mass_after, single.layer_mass_after, atol=1e-5)
    np.testing.assert_array_equal(measured.entries_edited, single.entries_edited)


@pytest.mark.parametrize("name", KINDS)
def test_one_prefill_for_all_candidates_equals_whole_sequences(tiny: VLM, name: str) -> None:
    sample = SAMPLES[0]
    tokenizer = tiny.processor.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    with tiny.intervene(edit(name)) as log, torch.no_grad():
        (scores,) = ranked(tiny, [sample])
        inputs = dict(tiny.encode([prompt(sample)]).inputs)
        length = inputs["input_ids"].shape[1]
        for option, score in zip(sample.options, scores, strict=True):
            answer = torch.tensor([[*tokenizer.encode(option, add_special_tokens=False), end]])
            whole = torch.cat([inputs["input_ids"], answer], dim=1)
            log.expect([sample.uid], [length], regions=[[sample.images[0].regions]])
            logits = tiny.model(
                input_ids=whole,
                attention_mask=torch.ones_like(whole),
                pixel_values=inputs["pixel_values"],
            ).logits[0, length - 1 : -1]
            chosen = logits.log_softmax(-1).gather(1, answer[0][:, None])
            assert score.log_probability == pytest.approx(chosen.sum().item(), abs=2e-4)
            assert score.tokens == answer.shape[1]


@pytest.mark.parametrize("name", KINDS)
def test_rows_sum_to_one_and_masked_keys_are_zero(tiny: VLM, name: str) -> None:
    batch = tiny.encode([prompt(sample) for sample in SAMPLES])
    inputs = batch.inputs
    tiny.model.set_attn_implementation({"text_config": "eager"})  # returns its weights
    try:
        with tiny.intervene(edit(name)) as log, torch.no_grad():
            log.expect(batch.uids, regions=batch.regions)
            attentions = tiny.model(**inputs, output_attentions=True).attentions
    finally:
        tiny.model.set_attn_implementation({"text_config": "sdpa"})
    real = inputs["attention_mask"].bool()
    length = real.shape[1]
    allowed = torch.ones(length, length).tril().bool() & real[:, None, None, :]
    for weights in attentions:
        rows = weights.sum(-1).transpose(1, 2)[real]
        rows = torch.ones_like(rows) if name in LEAKY else rows
        torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-5, rtol=0)
        forbidden = ~allowed & real[:, None, :, None]
        assert (weights[forbidden.expand_as(weights)] == 0).all()

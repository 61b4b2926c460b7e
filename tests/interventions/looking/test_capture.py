"""What `capture` sees is what the model's own eager attention says."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from interventions import InterventionError, capture, intervene, load
from tests.random_models import random_inputs

ROWS = 2


def eager_attention(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """(layer, batch, head, query, key), from the unpatched model."""
    model.set_attn_implementation({"text_config": "eager"})
    try:
        return torch.stack(model(**inputs, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_patterns_and_masses_are_those_of_the_model(model: PreTrainedModel, backend: str) -> None:
    inputs = random_inputs(model, (9, 12))
    weights = eager_attention(model, inputs)
    plain = model(**inputs).logits
    model.set_attn_implementation({"text_config": backend})
    try:
        with capture(model, ROWS) as seen:
            seen.expect(["a", "b"])
            logits = model(**inputs).logits
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})
    if backend == "sdpa":
        assert torch.equal(logits, plain)
    samples = seen.take()
    assert [sample.uid for sample in samples] == ["a", "b"]
    image = inputs["input_ids"] == model.config.image_token_id
    for row, sample in enumerate(samples):
        last = int(inputs["attention_mask"][row].nonzero().max())
        expected = weights[:, row, :, last - ROWS + 1 : last + 1][..., image[row]]
        mass = expected.sum(dim=-1)
        torch.testing.assert_close(sample.mass, mass, atol=1e-5, rtol=0)
        torch.testing.assert_close(sample.pattern, expected / mass[..., None], atol=1e-5, rtol=0)
    assert seen.take() == []


@pytest.mark.parametrize("name", ["uniform", "knockout", "gaussian", "pai"])
def test_under_an_intervention_it_sees_what_is_left_of_attention(
    model: PreTrainedModel, name: str
) -> None:
    """The weights that the model is given back, and what the algebra says of two of them."""
    inputs = random_inputs(model, (9, 12))
    intervention = load(name, layers=[0])
    model.set_attn_implementation({"text_config": "eager"})
    try:
        with intervene(model, intervention) as log:
            log.expect(["a", "b"])
            weights = torch.stack(model(**inputs, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})
    learned = eager_attention(model, inputs)[0]
    with capture(model, ROWS, intervention) as seen:
        seen.expect(["a", "b"])
        model(**inputs)
    image = inputs["input_ids"] == model.config.image_token_id
    for row, sample in enumerate(seen.take()):
        last = int(inputs["attention_mask"][row].nonzero().max())
        rows = slice(last - ROWS + 1, last + 1)
        expected = weights[:, row, :, rows][..., image[row]]
        found = sample.pattern * sample.mass[..., None]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        if name == "knockout":
            assert not sample.mass[0].any()
            assert not sample.pattern[0].any()
        if name == "uniform":
            mass = learned[row, :, rows][..., image[row]].sum(dim=-1)
            torch.testing.assert_close(sample.mass[0], mass, atol=1e-5, rtol=0)
            even = torch.full_like(sample.pattern[0], 1 / int(image[row].sum()))
            torch.testing.assert_close(sample.pattern[0], even, atol=1e-6, rtol=0)


def test_a_prompt_that_comes_in_chunks_is_seen_whole(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 12))
    with capture(llava, ROWS) as seen:
        llava.generate(**inputs, max_new_tokens=1, do_sample=False)
    whole = seen.take()
    with capture(llava, ROWS) as seen:
        llava.generate(**inputs, max_new_tokens=2, do_sample=False, prefill_chunk_size=5)
    for one, other in zip(seen.take(), whole, strict=True):
        torch.testing.assert_close(one.pattern, other.pattern, atol=1e-5, rtol=0)


def test_rows_that_did_not_come_are_named(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9, 12))
    with capture(llava, 500) as seen:
        llava(**inputs)
    with pytest.raises(InterventionError, match="last 500 prompt rows"):
        seen.take()
    with pytest.raises(ValueError, match="at least 1"), capture(llava, 0):
        pass

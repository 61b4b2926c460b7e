"""What must hold for every file in conf/intervention, in every family.

Fixed patterns that compare patches are given by hand where a picture is cut into tiles.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from interventions import (
    AttentionLog,
    Intervention,
    InterventionError,
    available,
    intervene,
    load,
)
from interventions.engine.noise import SCOPES
from interventions.methods.selectors import select_layers
from tests.interventions.conftest import _model
from tests.interventions.every_method import (
    EDITS,
    LEAKY,
    WHOLE_PROMPT,
    Inputs,
    describe,
    image_tokens,
    opened,
    prepared,
    prompt_part,
)
from tests.random_models import CACHE, random_inputs, random_model, single_row

LENGTHS = (9, 6)
UIDS = ("first", "second")


@pytest.fixture(params=["llava", "qwen2_5_vl"])
def family(request: pytest.FixtureRequest) -> PreTrainedModel:
    """The two families in which every file is tried."""
    return _model(request.param)


def answer_rows(inputs: Inputs, logits: torch.Tensor) -> list[torch.Tensor]:
    """Logits of the real tokens of every row."""
    real = inputs["attention_mask"].bool()
    return [row[keep] for row, keep in zip(logits, real, strict=True)]


def close(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def positions(model: PreTrainedModel, mask: torch.Tensor, count: int) -> Inputs:
    """Qwen cannot place several tokens behind a padded prompt by itself."""
    if model.config.model_type != "qwen2_5_vl":
        return {}
    placed = (mask.cumsum(dim=1) - 1)[:, -count:] + model.model.rope_deltas
    return {"position_ids": placed.expand(3, -1, -1)}


def greedy(model: PreTrainedModel, inputs: Inputs, **settings: Any) -> Any:
    return model.generate(
        **inputs,
        **{"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, **settings},
        output_logits=True,
        return_dict_in_generate=True,
    )


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_learned_is_bit_identical(model: PreTrainedModel, backend: str, padding: str) -> None:
    model.set_attn_implementation(backend)
    try:
        for lengths in ((9,), LENGTHS):
            inputs = random_inputs(model, lengths, padding=padding)
            plain, generated = model(**inputs).logits, greedy(model, inputs)
            with intervene(model, load("learned")):
                patched, regenerated = model(**inputs).logits, greedy(model, inputs)
            assert torch.equal(plain, patched)
            assert torch.equal(generated.sequences, regenerated.sequences)
            for step, again in zip(generated.logits, regenerated.logits, strict=True):
                assert torch.equal(step, again)
    finally:
        model.set_attn_implementation("sdpa")


def test_untouched_layers_and_rows_are_bit_identical(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, (9,))
    plain = model(**inputs, output_hidden_states=True).hidden_states
    with intervene(model, load("uniform", layers=[1], rows=["last"])):
        edited = model(**inputs, output_hidden_states=True).hidden_states
    assert torch.equal(plain[1], edited[1])  # what layer 1 reads
    for before, after in zip(plain[2:], edited[2:], strict=True):
        assert torch.equal(before[:, :-1], after[:, :-1])
        assert not torch.equal(before[:, -1], after[:, -1])


def snapshot(model: PreTrainedModel) -> dict[str, Any]:
    """Everything of a model that a patch could leave behind."""
    return {
        "config": model.config.to_dict(),
        "implementations": {
            name: module.config._attn_implementation
            for name, module in model.named_modules()
            if hasattr(module, "config")
        },
        "attributes": {
            name: sorted(key for key in vars(module) if "hook" not in key)
            for name, module in model.named_modules()
        },
        "hooks": {
            name: [list(table) for table in vars(module).values() if isinstance(table, OrderedDict)]
            for name, module in model.named_modules()
        },
    }


def test_the_model_is_restored(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, LENGTHS)
    plain, before = model(**inputs).logits, snapshot(model)
    with opened(model, "fixed_center", inputs) as log:
        assert snapshot(model) != before
        edited = model(**inputs).logits
    assert log.entries_edited > 0
    assert not torch.equal(plain, edited)
    assert snapshot(model) == before
    assert torch.equal(plain, model(**inputs).logits)


def named_forward(
    log: AttentionLog, model: PreTrainedModel, inputs: Inputs, names: Sequence[str]
) -> None:
    log.expect(names)
    model(**inputs)


def test_the_model_is_restored_after_exceptions(llava: PreTrainedModel) -> None:
    inputs, before = random_inputs(llava, LENGTHS), snapshot(llava)
    with pytest.raises(RuntimeError, match="from inside"), intervene(llava, load("uniform")):
        raise RuntimeError("from inside")
    assert snapshot(llava) == before
    with (
        pytest.raises(InterventionError, match="3 samples were expected"),
        intervene(llava, load("uniform")) as log,
    ):
        named_forward(log, llava, inputs, ["a", "b", "c"])
    assert snapshot(llava) == before
    with (
        pytest.raises(ValueError, match="The model has 3 layers"),
        intervene(llava, load("uniform", layers=[3])),
    ):
        pass
    assert snapshot(llava) == before


@pytest.mark.parametrize("name", EDITS)
def test_rows_sum_to_one_and_masked_keys_are_zero(family: PreTrainedModel, name: str) -> None:
    model = family
    model.set_attn_implementation("eager")  # the backend that returns weights
    inputs = random_inputs(model, LENGTHS)
    try:
        plain = model(**inputs, output_attentions=True).attentions
        with opened(model, name, inputs, lengths=prompt_part(name, inputs)):
            attentions = model(**inputs, output_attentions=True).attentions
    finally:
        model.set_attn_implementation("sdpa")
    real = inputs["attention_mask"].bool()
    length = real.shape[1]
    forbidden = ~torch.ones(length, length).tril().bool() | ~real[:, None, None, :]
    layers = select_layers(prepared(name).layers, len(plain))
    for layer, (before, weights) in enumerate(zip(plain, attentions, strict=True)):
        assert not (layer in layers and torch.equal(before, weights))
        rows = weights.sum(dim=-1).transpose(1, 2)[real]
        if name not in LEAKY:
            torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-5, rtol=0)
        selected = real[:, None, :, None] & forbidden
        assert (weights[selected.expand_as(weights)] == 0).all()
        assert (weights >= 0).all()


@pytest.mark.parametrize("name", EDITS)
def test_batch_size_and_padding_do_not_matter(family: PreTrainedModel, name: str) -> None:
    model, results = family, {}
    for padding in ("left", "right"):
        inputs = random_inputs(model, LENGTHS, padding=padding)
        with opened(model, name, inputs, lengths=prompt_part(name, inputs)) as log:
            results[padding] = answer_rows(inputs, model(**inputs).logits)
            measured = log.take()
        for row, uid in enumerate(UIDS):
            alone = single_row(inputs, row, (1, 1))
            with opened(model, name, alone, (uid,), prompt_part(name, alone)) as log:
                close(results[padding][row], model(**alone).logits[0])
                single = log.take()
            np.testing.assert_allclose(
                measured.layer_mass_after[row], single.layer_mass_after[0], atol=1e-5
            )
            np.testing.assert_allclose(
                measured.layer_entropy_after[row], single.layer_entropy_after[0], atol=1e-4
            )
            assert measured.entries_edited[row] == single.entries_edited[0]
    for left, right in zip(results["left"], results["right"], strict=True):
        close(left, right)


@pytest.mark.parametrize("name", available())
def test_batch_order_does_not_matter(family: PreTrainedModel, name: str) -> None:
    inputs = random_inputs(family, (7, 7))
    parts = [single_row(inputs, row, (1, 1)) for row in (1, 0)]
    turned = {key: torch.cat([part[key] for part in parts]) for key in inputs}
    lengths = prompt_part(name, inputs)
    with opened(family, name, inputs, lengths=lengths):
        logits = family(**inputs).logits
    with opened(family, name, turned, UIDS[::-1], lengths):
        reverse = family(**turned).logits
    torch.testing.assert_close(logits, reverse.flip(0), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", EDITS)
def test_cache_and_chunks_do_not_matter(family: PreTrainedModel, name: str) -> None:
    model = family
    inputs = random_inputs(model, LENGTHS)
    few = {"max_new_tokens": 3, "min_new_tokens": 3}  # the prompt, and two steps behind it
    with opened(model, name, inputs) as log:
        cached = greedy(model, inputs, **few)
        with_cache = log.take()
        for settings in ({"use_cache": False}, {"prefill_chunk_size": 3}):
            describe(log, model, prepared(name, image_tokens(model, inputs)), inputs, UIDS)
            if name in WHOLE_PROMPT and "prefill_chunk_size" in settings:
                with pytest.raises(InterventionError, match="leave out prefill_chunk_size"):
                    greedy(model, inputs, **few, **settings)
                continue
            other = greedy(model, inputs, **few, **settings)
            measured = log.take()
            assert torch.equal(cached.sequences, other.sequences)
            for step, again in zip(cached.logits, other.logits, strict=True):
                close(step, again)
            np.testing.assert_allclose(
                with_cache.layer_mass_after, measured.layer_mass_after, atol=1e-5
            )
    assert with_cache.entries_edited.min() > 0


@pytest.mark.parametrize("name", EDITS)
def test_candidates_on_a_cropped_cache_equal_whole_sequences(
    family: PreTrainedModel, name: str
) -> None:
    model = family
    inputs = random_inputs(model, LENGTHS)
    mask = inputs["attention_mask"]
    lengths = mask.sum(dim=1).tolist()
    candidates = [torch.tensor([[40, 41, 42], [50, 0, 0]]), torch.tensor([[60], [61]])]
    with opened(model, name, inputs) as log:
        cache = model(**inputs, use_cache=True)[CACHE]
        scored = []
        for ids in candidates:
            grown = torch.cat([mask, (ids != 0).long()], dim=1)
            extra = positions(model, grown, ids.shape[1])
            output = model(input_ids=ids, attention_mask=grown, **{CACHE: cache}, **extra)
            scored.append(output.logits)
            cache.crop(-ids.shape[1])
        assert log.take().uids == UIDS
        for ids, continued in zip(candidates, scored, strict=True):
            whole = dict(inputs)
            whole["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
            whole["attention_mask"] = torch.cat([mask, (ids != 0).long()], dim=1)
            if "mm_token_type_ids" in inputs:
                types = torch.zeros_like(ids, dtype=torch.int)
                whole["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], types], dim=1)
            intervention = prepared(name, image_tokens(model, inputs))
            describe(log, model, intervention, inputs, UIDS, lengths)
            together = model(**whole).logits[:, -ids.shape[1] :]
            close(continued[ids != 0], together[ids != 0])


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ["gaussian", "dirichlet", "permuted"])
def test_noise_is_the_same_in_a_batch_alone_and_behind_a_cache(
    llava: PreTrainedModel, name: str, scope: str
) -> None:
    inputs, added = random_inputs(llava, LENGTHS), torch.tensor([[40, 41], [50, 51]])
    mask = torch.cat([inputs["attention_mask"], torch.ones_like(added)], dim=1)
    with opened(llava, name, inputs, scope=scope):
        cache = llava(**inputs, use_cache=True)[CACHE]
        batched = llava(input_ids=added, attention_mask=mask, **{CACHE: cache}).logits
    for row, uid in enumerate(UIDS):
        alone = single_row(inputs, row, (1, 1))
        length = alone["input_ids"].shape[1]
        alone["input_ids"] = torch.cat([alone["input_ids"], added[row : row + 1]], dim=1)
        alone["attention_mask"] = torch.ones_like(alone["input_ids"])
        with opened(llava, name, alone, (uid,), [length], scope=scope):
            close(batched[row], llava(**alone).logits[0, -2:])


def test_beams_and_returned_sequences_share_their_sample(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, LENGTHS)
    with intervene(llava, load("gaussian")) as log:
        one = greedy(llava, inputs)
        log.take()
        settings = {"num_beams": 3, "num_return_sequences": 2, "output_scores": True}
        beams = greedy(llava, inputs, **settings)
        assert len(log.take().uids) == 2
    for row in range(2):
        for beam in range(3):
            close(beams.logits[0][3 * row + beam], one.logits[0][row])


@pytest.mark.parametrize("name", ["fixed_complexity", "fixed_encoder"])
def test_patches_are_not_compared_across_tiles(name: str) -> None:
    model = random_model("llava_onevision")
    inputs = random_inputs(model, LENGTHS)
    with (
        pytest.raises(InterventionError, match="'llava_onevision' shows a picture in 2 grids"),
        intervene(model, load(name)),
    ):
        model(**inputs)


IMAGE_COUNTS = {"none": (0, 0), "several": (2, 2), "mixed": (0, 1)}


@pytest.mark.parametrize("images", IMAGE_COUNTS)
@pytest.mark.parametrize("name", EDITS)
def test_no_image_and_several_images(family: PreTrainedModel, name: str, images: str) -> None:
    """Samples without an image keep their numbers where the block is the image."""
    inputs = random_inputs(family, LENGTHS, images=IMAGE_COUNTS[images])
    plain, lengths = family(**inputs).logits, prompt_part(name, inputs)
    with suppress(InterventionError), opened(family, name, inputs, lengths=lengths) as log:
        edited = family(**inputs).logits
        measured = log.take()
        nothing_to_do = log.entries_edited == 0
    assert edited.isfinite().all()
    assert images == "none" or not nothing_to_do
    for row, count in enumerate(IMAGE_COUNTS[images]):
        same = torch.equal(plain[row], edited[row])
        assert same == (measured.entries_edited[row] == 0)
        assert np.isnan(measured.visual_mass_after[row]) == (count == 0)
        if count == 0 and load(name).keys == ("image",):
            assert same


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": ["generated"]},
        {"phase": "decode"},
        {"rows": ["system"]},
    ],
)
def test_editing_nothing_raises(llava: PreTrainedModel, changes: dict[str, Any]) -> None:
    inputs = random_inputs(llava, LENGTHS)
    with (
        pytest.raises(InterventionError, match="'uniform' edited no attention in 1 forwards"),
        intervene(llava, load("uniform", **changes)),
    ):
        llava(**inputs)


def test_editing_nothing_is_fine_when_it_is_the_point(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, LENGTHS)
    plain = llava(**inputs).logits
    with intervene(llava, load("uniform", mix=0.0)):
        assert torch.equal(plain, llava(**inputs).logits)
    with intervene(llava, load("uniform")):
        pass  # no forward ran


def intervention_of_each_phase() -> list[Intervention]:
    return [load("knockout", phase=phase) for phase in ("prefill", "decode", "both")]


def test_phases_edit_prompt_and_generated_rows(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, (9,))
    cells = []
    for intervention in intervention_of_each_phase():
        with intervene(llava, intervention) as log:
            greedy(llava, inputs)
        cells.append(log.entries_edited)
    # 3 layers x 4 heads x 4 image tokens; 8 text rows after the image; 3 decoded rows of 4 tokens
    assert cells == [48 * 8, 48 * 3, 48 * 11]

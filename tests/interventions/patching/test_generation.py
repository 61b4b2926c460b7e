"""Every way of calling and generating gives what one forward of the whole sequence gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import QuantizedLayer

from interventions import intervene, load
from tests.interventions.generating import (
    IMAGES,
    LENGTHS,
    STEPS,
    UIDS,
    Inputs,
    Looking,
    chosen_logits,
    close,
    generate,
    in_one_forward,
    twin,
)
from tests.random_models import CACHE, IDS, random_inputs, random_model, single_row


@pytest.fixture(params=["llava", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return twin(request.param)


@pytest.fixture(params=["uniform", "gaussian"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


class Lossless(QuantizedLayer):
    """A quantized cache whose codes are the numbers themselves."""

    def _quantize(self, tensor: Tensor, axis: int) -> Tensor:
        return tensor.clone()

    def _dequantize(self, q_tensor: Tensor) -> Tensor:
        return q_tensor


def quantized() -> DynamicCache:
    stored = DynamicCache()
    stored.layers = [Lossless(residual_length=3) for _ in range(3)]
    return stored


def placed(arguments: dict[str, Any], step: int) -> Inputs:
    """Positions of a token that two copies of every row read."""
    positions = arguments["position_ids"]
    if positions.ndim == 2:
        return {"position_ids": (positions.amax(dim=1) + step).repeat_interleave(2)[:, None]}
    position = positions[1:].amax(dim=(0, 2)) + step  # Qwen's first axis counts text only
    return {"position_ids": position.repeat_interleave(2)[:, None].expand(3, -1, -1)}


def two_ahead(model: PreTrainedModel, input_ids: Tensor, **arguments: Any) -> Any:
    """A decoding loop that tries the two likeliest tokens of every row side by side."""
    mask, stored, steps = arguments["attention_mask"], DynamicCache(), []
    prompt = {key: arguments[key] for key in PROMPT if key in arguments}
    output = model(input_ids=input_ids, attention_mask=mask, **{CACHE: stored}, **prompt)
    for step in range(1, STEPS + 1):
        steps.append(output.logits[:, -1])
        tried = steps[-1].topk(2, dim=-1).indices
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        stored.batch_repeat_interleave(2)
        output = model(
            input_ids=tried.flatten()[:, None],
            attention_mask=mask.repeat_interleave(2, dim=0),
            **{CACHE: stored},
            **placed(arguments, step),
        )
        kept = torch.arange(len(tried)) * 2  # the likelier of both
        stored.batch_select_indices(kept)
        output.logits = output.logits[kept]
        input_ids = torch.cat([input_ids, tried[:, :1]], dim=1)
    return type("Output", (), {"sequences": input_ids, "logits": steps})


PROMPT = ("position_ids", "mm_token_type_ids", "mm_encoder_outputs")
PICTURES = [IDS[name] for name in ("<image>", "<video>", "<|image_pad|>", "<|video_pad|>")]
SAMPLED = {"do_sample": True, "temperature": 2.0, "top_k": 0, "suppress_tokens": PICTURES}
MODES: dict[str, Callable[[], dict[str, Any]]] = {
    "greedy": dict,
    "without a cache": lambda: {"use_cache": False},
    "prompt in chunks": lambda: {"prefill_chunk_size": 4},
    "attentions": lambda: {"output_attentions": True},
    "sampled": lambda: SAMPLED,
    "sampled three times": lambda: {**SAMPLED, "num_return_sequences": 3},
    "beams": lambda: {"num_beams": 4, "num_return_sequences": 3},
    "beams, prompt in chunks": lambda: {"num_beams": 3, "prefill_chunk_size": 4},
    "beams without a cache": lambda: {"num_beams": 3, "use_cache": False},
    "sampled beams": lambda: {**SAMPLED, "num_beams": 3, "num_return_sequences": 2},
    "dynamic": lambda: {"cache_implementation": "dynamic"},
    "quantized": lambda: {CACHE: quantized()},
    "beams on a quantized cache": lambda: {CACHE: quantized(), "num_beams": 3},
    "custom": lambda: {"custom_generate": two_ahead},
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_equals_whole_sequences(model: PreTrainedModel, name: str, mode: str) -> None:
    torch.manual_seed(0)
    inputs = random_inputs(model, LENGTHS)
    with intervene(model, load(name)) as log:
        log.expect(UIDS)
        output = generate(model, inputs, **MODES[mode]())
        assert log.take().uids == UIDS
        answers = output.sequences[:, inputs["input_ids"].shape[1] :]
        for number, answer in enumerate(answers):
            row = number * len(UIDS) // len(answers)
            assert len(answer) == STEPS
            close(chosen_logits(output, number), in_one_forward(model, log, inputs, row, answer))
    if len(answers) > len(UIDS):
        assert len(answers.unique(dim=0)) > len(UIDS)


@pytest.mark.parametrize("mode", ["beams", "sampled beams"])
def test_the_beams_that_are_tested_trade_places(llava: PreTrainedModel, mode: str) -> None:
    torch.manual_seed(0)
    with intervene(llava, load("gaussian")):
        output = generate(llava, random_inputs(llava, LENGTHS), **MODES[mode]())
    moves = output.beam_indices[:, 1:STEPS] != output.beam_indices[:, : STEPS - 1]
    assert moves.any()


@pytest.mark.parametrize("draft", ["itself", "another", "lookup"])
def test_assisted_is_greedy(model: PreTrainedModel, name: str, draft: str) -> None:
    inputs, widths, drafts = random_inputs(model, (60,)), [], []
    assistant = random_model(model.config.model_type, seed=int(draft == "another"))
    settings = {"assistant_model": assistant}
    if draft == "lookup":
        settings = {"prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 1}
    assistant.register_forward_hook(lambda *given: drafts.append(given[2].logits))
    generate(model, inputs, **settings)
    unpatched, drafts = drafts, []
    with intervene(model, load(name)):
        greedy = generate(model, inputs)
        watch = model.register_forward_hook(lambda *given: widths.append(given[2].logits.shape[1]))
        assisted = generate(model, inputs, **settings)
        watch.remove()
    assert torch.equal(greedy.sequences, assisted.sequences)
    for step, again in zip(greedy.logits, assisted.logits, strict=True):
        close(step, again)
    assert sum(widths) > STEPS  # several tokens at once, some of them for nothing
    if draft != "lookup":
        assert torch.equal(unpatched[0], drafts[0])  # the assistant is not patched


def test_a_rejected_draft_was_in_the_cache(llava: PreTrainedModel) -> None:
    """Otherwise the test above shows nothing about caches that shrink."""
    crops = []
    with pytest.MonkeyPatch.context() as patch, intervene(llava, load("uniform")):
        crop = DynamicCache.crop
        patch.setattr(DynamicCache, "crop", lambda *given: (crops.append(given[1]), crop(*given)))
        generate(llava, random_inputs(llava, (9,)), assistant_model=twin("llava", 1))
    assert crops


def test_generating_twice_in_one_context(model: PreTrainedModel, name: str) -> None:
    batches = [random_inputs(model, LENGTHS, seed=0), random_inputs(model, (5, 12), seed=1)]
    with intervene(model, load(name)) as log:
        together = [generate(model, inputs).logits for inputs in batches]
        measured = [log.take()]
        assert len(measured[0].uids) == 4
    for number, inputs in enumerate(batches):
        with intervene(model, load(name)) as log:
            for step, again in zip(together[number], generate(model, inputs).logits, strict=True):
                assert torch.equal(step, again)
            alone, part = log.take(), slice(2 * number, 2 * number + 2)
        assert measured[0].uids[part] == alone.uids
        assert np.array_equal(measured[0].layer_mass_after[part], alone.layer_mass_after)


def test_an_answer_that_is_over_is_not_measured(model: PreTrainedModel, name: str) -> None:
    """Answers of one batch end at different steps; each counts as it does alone."""
    inputs = random_inputs(model, LENGTHS)
    with intervene(model, load(name)) as log:
        log.expect(UIDS)
        free = generate(model, inputs).sequences[:, -STEPS:]
        ends = {"eos_token_id": [free[0, 1].item()], "pad_token_id": 0, "min_new_tokens": None}
        log.take()
        log.expect(UIDS)
        assert generate(model, inputs, **ends).sequences.shape[1] > inputs["input_ids"].shape[1] + 2
        together = log.take()
        for row, uid in enumerate(UIDS):
            log.expect((uid,))
            generate(model, single_row(inputs, row, IMAGES), **ends)
            alone = log.take()
            assert together.entries_edited[row] == alone.entries_edited[0]
            np.testing.assert_allclose(
                together.layer_mass_after[row], alone.layer_mass_after[0], atol=1e-5
            )


def test_stopping_by_a_rule_changes_nothing_before(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava, LENGTHS)
    columns = inputs["input_ids"].shape[1]

    def after_two(ids: Tensor, _: Any, **__: Any) -> Tensor:
        return torch.tensor([ids.shape[1] >= columns + 2, ids.shape[1] >= columns + 4])

    with intervene(llava, load("gaussian")):
        free = generate(llava, inputs)
        stopped = generate(llava, inputs, stopping_criteria=[after_two], pad_token_id=0)
    for row, count in enumerate((2, 4)):
        for step in range(count):
            assert torch.equal(free.logits[step][row], stopped.logits[step][row])


def reread(model: PreTrainedModel, ids: Tensor, inputs: Inputs) -> Tensor:
    whole = {**inputs, "input_ids": ids}
    mask = inputs["attention_mask"]
    whole["attention_mask"] = torch.cat([mask, mask.new_ones(len(mask), ids.shape[1] - 13)], dim=1)
    return model(**whole, use_cache=False).logits[:, -1]


def test_the_prompt_may_be_read_again_during_generate(llava: PreTrainedModel, name: str) -> None:
    inputs = random_inputs(llava, LENGTHS)
    looking = Looking(llava, inputs, reread)
    with intervene(llava, load(name)) as log:
        plain, before = generate(llava, inputs), log.take()
        output, after = generate(llava, inputs, logits_processor=[looking]), log.take()
    assert torch.equal(plain.sequences, output.sequences)
    for step, again in zip(output.logits, looking.seen, strict=True):
        close(step, again)
    np.testing.assert_allclose(before.layer_mass_after, after.layer_mass_after, atol=1e-5)

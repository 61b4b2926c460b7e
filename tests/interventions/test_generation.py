"""Every way of calling and generating gives what one forward of the whole sequence gives, or is
refused in one sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, StaticCache
from transformers.cache_utils import QuantizedLayer

from interventions import AttentionLog, InterventionError, intervene, load
from tests.random_models import random_inputs, random_model, single_row

Inputs = dict[str, Tensor]
LENGTHS, UIDS, IMAGES = (9, 6), ("first", "second"), (1, 1)
STEPS = 6


@cache
def twin(family: str, seed: int = 0) -> PreTrainedModel:
    return random_model(family, seed)


@pytest.fixture(params=["llava", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return twin(request.param)


@pytest.fixture(params=["uniform", "gaussian"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def close(first: Tensor, second: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(first, second, atol=tolerance, rtol=tolerance)


def generate(model: PreTrainedModel, inputs: Inputs, **settings: Any) -> Any:
    defaults = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
    return model.generate(
        **inputs, **{**defaults, **settings}, output_logits=True, return_dict_in_generate=True
    )


def in_one_forward(
    model: PreTrainedModel, log: AttentionLog, inputs: Inputs, row: int, answer: Tensor
) -> Tensor:
    """Logits (token, vocabulary) of an answer's tokens, from its whole sequence read at once."""
    whole = single_row(inputs, row, IMAGES)
    length, answer = whole["input_ids"].shape[1], answer[None]
    whole["input_ids"] = torch.cat([whole["input_ids"], answer], dim=1)
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    if "mm_token_type_ids" in whole:
        types = torch.zeros_like(answer, dtype=torch.int)
        whole["mm_token_type_ids"] = torch.cat([whole["mm_token_type_ids"], types], dim=1)
    log.expect((UIDS[row],), (length,))
    return model(**whole).logits[0, length - 1 : -1]


def chosen_logits(output: Any, row: int) -> Tensor:
    """Logits (token, vocabulary) from which the tokens of a returned sequence were chosen."""
    steps = torch.stack(output.logits)
    if getattr(output, "beam_indices", None) is None:
        return steps[:, row]
    came_from = output.beam_indices[row, : len(steps)]
    return steps[torch.arange(len(steps)), came_from]


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
    output = model(input_ids=input_ids, attention_mask=mask, past_key_values=stored, **prompt)
    for step in range(1, STEPS + 1):
        steps.append(output.logits[:, -1])
        tried = steps[-1].topk(2, dim=-1).indices
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        stored.batch_repeat_interleave(2)
        output = model(
            input_ids=tried.flatten()[:, None],
            attention_mask=mask.repeat_interleave(2, dim=0),
            past_key_values=stored,
            **placed(arguments, step),
        )
        kept = torch.arange(len(tried)) * 2  # the likelier of both
        stored.batch_select_indices(kept)
        output.logits = output.logits[kept]
        input_ids = torch.cat([input_ids, tried[:, :1]], dim=1)
    return type("Output", (), {"sequences": input_ids, "logits": steps})


PROMPT = ("position_ids", "mm_token_type_ids", "mm_encoder_outputs")
SAMPLED = {"do_sample": True, "temperature": 2.0, "top_k": 0}
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
    "quantized": lambda: {"past_key_values": quantized()},
    "beams on a quantized cache": lambda: {"past_key_values": quantized(), "num_beams": 3},
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
            assert together.cells_edited[row] == alone.cells_edited[0]
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


class Looking:
    """A logits processor that calls the model itself, as contrastive decoding of images does."""

    def __init__(self, model: PreTrainedModel, inputs: Inputs, call: Callable[..., Any]) -> None:
        self.model, self.inputs, self.call, self.seen = model, inputs, call, []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.seen.append(self.call(self.model, input_ids, self.inputs))
        return scores


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


def refused() -> dict[str, tuple[str, Callable[[PreTrainedModel, Inputs], Any]]]:
    """What is refused: the message, and the call."""

    def looking(call: Callable[..., Any]) -> Callable[[PreTrainedModel, Inputs], Any]:
        def generating(model: PreTrainedModel, inputs: Inputs) -> Any:
            return generate(model, inputs, logits_processor=[Looking(model, inputs, call)])

        return generating

    def embedded(model: PreTrainedModel, inputs: Inputs) -> Any:
        given = {key: inputs[key] for key in inputs if key != "input_ids"}
        return generate(
            model, {**given, "inputs_embeds": model.get_input_embeddings()(inputs["input_ids"])}
        )

    def with_settings(**settings: Any) -> Callable[[PreTrainedModel, Inputs], Any]:
        return lambda model, inputs: generate(model, inputs, **settings)

    paged = "continuous batching"
    return {
        "its own assistant": (
            "give a second copy as assistant_model",
            lambda model, inputs: generate(
                model, random_inputs(model, (9,)), assistant_model=model
            ),
        ),
        "guidance": ("leave guidance_scale out", with_settings(guidance_scale=1.5)),
        "paged": (paged, with_settings(cache_implementation="paged")),
        "a batch queue": (
            paged, lambda model, inputs: model.generate_batch(inputs["input_ids"].tolist())
        ),
        "static": ("give a DynamicCache", with_settings(cache_implementation="static")),
        "static in advance": (
            "a StaticCache came",
            lambda model, inputs: model(
                **inputs, past_key_values=StaticCache(model.config.text_config, 32)
            ),
        ),
        "right padding": (
            'padding_side="left"',
            lambda model, _: generate(model, random_inputs(model, LENGTHS, padding="right")),
        ),
        "embeddings": ("not with inputs_embeds", embedded),
        "generate inside": ("generate was called inside generate", looking(
            lambda model, ids, inputs: model.generate(**inputs))),
        "another prompt": ("on its own prompt, but other tokens", looking(
            lambda model, ids, inputs: model(**random_inputs(model, LENGTHS, seed=5)))),
    }  # fmt: skip


@pytest.mark.parametrize("what", refused())
def test_what_cannot_be_right_is_refused(model: PreTrainedModel, what: str) -> None:
    message, call = refused()[what]
    inputs = random_inputs(model, LENGTHS)
    plain = generate(model, inputs).logits
    with intervene(model, load("uniform")) as log:
        with pytest.raises(InterventionError, match=message):
            call(model, inputs)
        edited = generate(model, inputs)  # the context goes on
        assert log.cells_edited
    assert not torch.equal(plain[0], edited.logits[0])
    assert "init_continuous_batching" not in vars(model)
    for step, again in zip(plain, generate(model, inputs).logits, strict=True):
        assert torch.equal(step, again)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_wrappers_are_refused(
    llava: PreTrainedModel, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    with (
        pytest.raises(InterventionError, match="patch the model inside it"),
        intervene(wrap(llava), load("uniform")),
    ):
        pass


def test_a_wrapper_may_be_called(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava)
    with intervene(llava, load("uniform")):
        assert torch.equal(llava(**inputs).logits, nn.DataParallel(llava)(**inputs).logits)


def test_a_part_of_the_heads_is_refused() -> None:
    """A layer as tensor parallelism leaves it in each of two processes."""
    model = random_model("llava")
    attention = model.get_decoder().layers[1].self_attn
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight = nn.Parameter(projection.weight[: len(projection.weight) // 2])
    attention.o_proj.weight = nn.Parameter(attention.o_proj.weight[:, :16])
    model(**random_inputs(model))  # runs
    with (
        pytest.raises(InterventionError, match=r"Expected 4 heads .* has 2: tensor parallelism"),
        intervene(model, load("uniform")),
    ):
        model(**random_inputs(model))


def in_thread(call: Callable[[], Any]) -> Any:
    """The result of a call in a thread of its own, or the exception it raised."""
    results: list[Any] = []

    def run() -> None:
        try:
            with torch.no_grad():
                results.append(call())
        except InterventionError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_a_second_thread_has_to_wait(llava: PreTrainedModel) -> None:
    inputs, met = random_inputs(llava), []
    plain = llava(**inputs).logits

    def meanwhile(*_: Any) -> None:
        for call in (lambda: llava(**inputs), lambda: generate(llava, inputs)):
            met.append(in_thread(call))

    with intervene(llava, load("gaussian")) as log:
        alone = generate(llava, inputs)
        log.take()
        layer = llava.get_decoder().layers[1].register_forward_hook(meanwhile)
        disturbed = generate(llava, inputs)
        layer.remove()
        between = Looking(llava, inputs, meanwhile)
        generate(llava, inputs, logits_processor=[between])
        assert len(met) == 2 * STEPS + 2 * STEPS
        assert all(isinstance(result, InterventionError) for result in met)
        assert "another thread is still calling" in str(met[0])
        again = in_thread(lambda: generate(llava, inputs))  # nobody else is calling
    for first, second, third in zip(alone.logits, disturbed.logits, again.logits, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, third)
    assert torch.equal(plain, llava(**inputs).logits)


def test_threads_with_a_model_each_do_not_meet(model: PreTrainedModel) -> None:
    models = [model, twin(model.config.model_type, 1)]
    inputs = random_inputs(model, LENGTHS)

    def run(patched: PreTrainedModel, name: str) -> list[Tensor]:
        with torch.no_grad(), intervene(patched, load(name)):
            return list(generate(patched, inputs).logits)

    work = list(zip(models, ("uniform", "gaussian"), strict=True))
    expected = [run(*pair) for pair in work]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda pair: run(*pair), work))
    for steps, again in zip(expected, found, strict=True):
        assert all(torch.equal(*pair) for pair in zip(steps, again, strict=True))


@pytest.fixture
def compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_compiled_layers_are_edited(compiler: None, name: str) -> None:
    """Compiled before the context, with other samples inside it, and plain again after it."""
    model, twin_model = random_model("llava"), twin("llava")
    inputs = random_inputs(model, LENGTHS)
    model.get_decoder().layers[1].self_attn.compile(backend="eager")
    plain = model(**inputs).logits
    for uids in (UIDS, ("third", "fourth")):
        with intervene(model, load(name)) as log:
            log.expect(uids)
            compiled = model(**inputs).logits
        with intervene(twin_model, load(name)) as log:
            log.expect(uids)
            assert torch.equal(compiled, twin_model(**inputs).logits)
        assert torch.equal(plain, model(**inputs).logits)


def half(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(model: PreTrainedModel, name: str, dtype: torch.dtype) -> None:
    """As far from float32 as the unpatched model is; the control stays bit-identical."""
    inputs = random_inputs(model, LENGTHS)
    low, short = random_model(model.config.model_type).to(dtype), half(inputs, dtype)
    real = inputs["attention_mask"].bool()
    plain = low(**short).logits
    error = (plain.float() - model(**inputs).logits)[real].abs().mean()
    with intervene(model, load(name)), intervene(low, load(name)) as log:
        edited = low(**short).logits
        assert edited.dtype == dtype
        assert (edited.float() - model(**inputs).logits)[real].abs().mean() < 2 * error
        log.expect(UIDS)
        output = generate(low, short)
        answers = output.sequences[:, -STEPS:]
        for row, answer in enumerate(answers):
            again = in_one_forward(low, log, short, row, answer)
            assert (chosen_logits(output, row) - again).abs().mean() < 2 * error
    with intervene(low, load("learned")):
        assert torch.equal(plain, low(**short).logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mixture", ["autocast", "encoder", "answers"])
def test_mixed_precision(model: PreTrainedModel, mixture: str, dtype: torch.dtype) -> None:
    inputs = random_inputs(model, LENGTHS)
    mixed = random_model(model.config.model_type)
    if mixture == "encoder":
        mixed.get_encoder(modality="image").to(dtype)
        getattr(mixed.model, "multi_modal_projector", nn.Identity()).to(dtype)
        inputs = half(inputs, dtype)
    context = torch.autocast("cpu", dtype=dtype, enabled=mixture == "autocast")
    if mixture == "answers":  # a head in another precision than the layers
        mixed.to(dtype).lm_head.to(torch.float32)
        mixed.lm_head.register_forward_pre_hook(lambda _, given: (given[0].float(),))
        inputs = half(inputs, dtype)
    with context:
        plain = mixed(**inputs).logits
        with intervene(mixed, load("learned")):
            assert torch.equal(plain, mixed(**inputs).logits)
        with intervene(mixed, load("uniform")), intervene(model, load("uniform")):
            edited = mixed(**inputs).logits
    real = inputs["attention_mask"].bool()
    exact = model(**random_inputs(model, LENGTHS)).logits
    with intervene(model, load("uniform")):
        wanted = model(**random_inputs(model, LENGTHS)).logits
    error = (plain - exact)[real].abs().mean()
    assert 0 < (edited - wanted)[real].abs().mean() < 2 * error

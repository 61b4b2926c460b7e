"""What cannot be addressed while generating is refused in one sentence; threads wait in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, StaticCache

from interventions import InterventionError, intervene, load
from tests.interventions.generating import (
    LENGTHS,
    STEPS,
    Inputs,
    Looking,
    generate,
    twin,
)
from tests.random_models import CACHE, random_inputs, random_model


@pytest.fixture(params=["llava", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return twin(request.param)


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
                **inputs, **{CACHE: StaticCache(model.config.text_config, 32)}
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
        assert log.entries_edited
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

"""What the patch refuses, in one sentence each, and what it survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from interventions import AttentionLog, InterventionError, intervene, load
from tests.random_models import CACHE, random_inputs, random_model


def test_a_model_without_images_is_refused() -> None:
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2,
    )  # fmt: skip
    with (
        pytest.raises(InterventionError, match="no text decoder inside a vision-language model"),
        intervene(LlamaForCausalLM(config), load("uniform")),
    ):
        pass


def flash(model: PreTrainedModel) -> None:
    model.config.text_config._attn_implementation_internal = "flash_attention_2"


def linear(model: PreTrainedModel) -> None:
    model.config.text_config.layer_types = ["linear_attention"] * 3


def crossing(model: PreTrainedModel) -> None:
    layer = model.get_decoder().layers[1]
    layer.cross_attn = layer.self_attn
    del layer.self_attn


def imageless(model: PreTrainedModel) -> None:
    model.config.image_token_id = None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flash, "runs on 'flash_attention_2'; load it with attn_implementation"),
        (linear, "has no decoder layer with self-attention"),
        (crossing, "without self-attention over the token sequence"),
        (imageless, "names no image token"),
    ],
)
def test_unsupported_models_are_refused(
    spoil: Callable[[PreTrainedModel], None], message: str
) -> None:
    model = random_model("llava")
    spoil(model)
    with pytest.raises(InterventionError, match=message), intervene(model, load("uniform")):
        pass


def test_two_contexts_on_one_model_are_refused(llava: PreTrainedModel) -> None:
    with (
        intervene(llava, load("uniform")),
        pytest.raises(InterventionError, match="already has an intervention"),
        intervene(llava, load("knockout")),
    ):
        pass


def test_two_models_at_once_do_not_meet(llava: PreTrainedModel) -> None:
    other = random_model("llava", seed=1)
    inputs = random_inputs(llava)
    plain = other(**inputs).logits
    with intervene(llava, load("uniform")) as log, intervene(other, load("learned")) as second:
        llava(**inputs)
        assert torch.equal(plain, other(**inputs).logits)
    assert log.entries_edited
    assert not second.entries_edited


def test_a_model_that_shares_the_configuration_is_untouched(llava: PreTrainedModel) -> None:
    twin = type(llava)(llava.config).eval()
    inputs = random_inputs(llava)
    plain = twin(**inputs).logits
    with intervene(llava, load("uniform")) as log:
        assert torch.equal(plain, twin(**inputs).logits)
        llava(**inputs)
    assert log.forwards == 1


def test_calls_that_cannot_be_addressed_are_refused(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava)
    embedded = llava.get_input_embeddings()(inputs["input_ids"])
    cache = llava(**inputs, use_cache=True)[CACHE]
    square = torch.ones(2, 1, 13, 13, dtype=torch.bool).tril()
    calls = {
        "not with inputs_embeds": lambda: llava(inputs_embeds=embedded),
        "ran outside the model": lambda: llava.get_decoder()(inputs_embeds=embedded),
        "not seen in this context": lambda: llava(
            input_ids=torch.full((2, 1), 50), **{CACHE: cache}
        ),
        "attention mask of shape": lambda: llava(**{**inputs, "attention_mask": square}),
        "static": lambda: llava.generate(
            **inputs, cache_implementation="static", max_new_tokens=2, disable_compile=True
        ),
    }
    for message, call in calls.items():
        with (
            pytest.raises(InterventionError, match=message),
            intervene(llava, load("uniform")),
        ):
            call()


def test_dropout_is_refused() -> None:
    model = random_model("llava")
    for layer in model.get_decoder().layers:
        layer.self_attn.attention_dropout = 0.5
    model.train()
    with (
        pytest.raises(InterventionError, match=r"call model.eval\(\) first"),
        intervene(model, load("uniform")),
    ):
        model(**random_inputs(model))


def test_a_layer_that_bypasses_the_interface_is_noticed() -> None:
    model = random_model("llava")
    model.get_decoder().layers[1].self_attn.forward = lambda hidden_states, **_: (
        hidden_states,
        None,
    )
    with (
        pytest.raises(InterventionError, match=r"layers \[1\] did not pass through"),
        intervene(model, load("uniform")),
    ):
        model(**random_inputs(model))


def named_forward(log: AttentionLog, model: PreTrainedModel, names: Sequence[str]) -> None:
    log.expect(names)
    model(**random_inputs(model))


def test_broken_scores_name_layer_and_sample() -> None:
    model = random_model("llava")
    model.get_decoder().layers[1].self_attn.q_proj.weight.data.fill_(float("nan"))
    with (
        pytest.raises(InterventionError, match=r"decoder layer 1 are not finite .*'second'"),
        intervene(model, load("learned")) as log,
    ):
        named_forward(log, model, ["first", "second"])


@pytest.mark.parametrize("name", ["uniform", "fixed_center"])
def test_candidates_may_outnumber_their_prompts(llava: PreTrainedModel, name: str) -> None:
    inputs = random_inputs(llava)
    mask = inputs["attention_mask"]
    with intervene(llava, load(name)) as log:
        cache = llava(**inputs, use_cache=True)[CACHE]
        cache.batch_repeat_interleave(3)
        grown = torch.cat([mask, torch.ones(2, 1, dtype=torch.long)], dim=1)
        ids = torch.arange(50, 56)[:, None]
        llava(
            input_ids=ids,
            attention_mask=grown.repeat_interleave(3, dim=0),
            **{CACHE: cache},
        )
        assert len(log.take().uids) == 2


def test_half_precision_is_edited_in_float32_and_cast_once() -> None:
    model, inputs = random_model("llava"), random_inputs(random_model("llava"))
    with intervene(model, load("uniform")):
        exact = model(**inputs).logits
    with intervene(model.to(torch.bfloat16), load("uniform")):
        rounded = model(**{**inputs, "pixel_values": inputs["pixel_values"].bfloat16()}).logits
    assert rounded.dtype == torch.bfloat16
    real = inputs["attention_mask"].bool()
    error = (rounded.float() - exact)[real].abs().mean() / exact[real].abs().mean()
    assert error < 0.05

"""What is assumed of transformers, one test for each line of `interventions.patching.upstream`.

When a release breaks other tests too, begin with what fails here.
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    DynamicCache,
    MistralConfig,
    PreTrainedModel,
    Qwen3NextConfig,
    StaticCache,
    masking_utils,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from interventions import intervene, uniform
from interventions.patching import upstream
from tests.interventions.engine.test_gradients import checkpointed
from tests.random_models import CACHE, IDS, random_inputs, random_model

Call = dict[str, Any]


@pytest.fixture
def calls(model: PreTrainedModel) -> Any:
    """Every attention call of a forward, as it came in."""
    found: list[Call] = []
    plain = upstream.attention_function("sdpa", model)

    def record(module: nn.Module, query: Any, key: Any, value: Any, mask: Any, **rest: Any) -> Any:
        found.append({"module": module, "query": query, "key": key, "value": value, "mask": mask})
        found[-1]["keywords"] = rest
        return plain(module, query, key, value, mask, **rest)

    upstream.register("recorded", record, like="sdpa")
    restore = upstream.keep_backends(model)
    model.set_attn_implementation({"text_config": "recorded"})
    yield found
    restore()


def test_registries(model: PreTrainedModel, calls: list[Call]) -> None:
    inputs = random_inputs(model, (9,))
    expected = model(**inputs).logits
    assert len(calls) == 3  # layers
    AttentionInterface.register("without a mask", lambda *a, **k: calls.append({}) or (a[1], None))
    assert "without a mask" not in masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
    AttentionMaskInterface.register("masked", masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    assert "masked" in masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
    model.set_attn_implementation({"text_config": "sdpa"})
    assert torch.equal(model(**inputs).logits, expected)
    assert len(calls) == 3  # looked up at every call: the old function is not called again


def test_eager(model: PreTrainedModel) -> None:
    layer = model.get_decoder().layers[0].self_attn
    own = upstream.attention_function("eager", layer)
    assert own.__name__ == "eager_attention_forward"
    assert own.__module__ == type(layer).__module__


def test_backend(model: PreTrainedModel) -> None:
    found = upstream.configurations(model)
    parts = [model.config, *(getattr(model.config, name) for name in model.config.sub_configs)]
    assert {id(part) for part in parts} <= {id(config) for config in found}
    restore = upstream.keep_backends(model)
    model.set_attn_implementation("eager")
    assert {upstream.backend_of(config) for config in found} == {"eager"}
    restore()
    assert {upstream.backend_of(config) for config in found} == {"sdpa"}


def test_calls(model: PreTrainedModel, calls: list[Call]) -> None:
    model(**random_inputs(model, (9, 6)))
    for call in calls:
        batch, heads, rows, width = call["query"].shape
        assert (batch, heads, width) == (2, 4, 8)
        assert call["key"].shape == call["value"].shape == (batch, 2, rows, width)
        assert call["mask"].shape == (batch, 1, rows, rows)
        assert call["keywords"]["scaling"] == width**-0.5
        assert not call["keywords"]["dropout"]
        assert call["keywords"].get("is_causal") is None
        assert call["module"].is_causal is True
        assert not [name for name in upstream.UNSUPPORTED if call["keywords"].get(name) is not None]


def test_decoder(model: PreTrainedModel) -> None:
    decoder = model.get_decoder()
    kinds = getattr(decoder.config, "layer_types", None)
    assert kinds is None or len(kinds) == len(decoder.layers)
    for layer in decoder.layers:
        assert type(layer.self_attn).__name__.endswith("Attention")
    assert re.search(upstream.BACKEND_TEST, 'if self.config._attn_implementation == "eager":')


def test_encoder(model: PreTrainedModel) -> None:
    encoder = model.get_encoder(modality="image")
    names = [type(part).__name__ for part in encoder.modules()]
    assert any(name.endswith("Attention") for name in names)
    assert "pixel_values" in inspect.signature(model.get_image_features).parameters


def test_image_token(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, (9,))
    token = upstream.image_token(model)
    features = model.get_image_features(
        **{key: value for key, value in inputs.items() if key not in (*MASKS, "input_ids")}
    ).pooler_output
    assert sum(len(part) for part in features) == (inputs["input_ids"] == token).sum()


def test_other_media(model: PreTrainedModel) -> None:
    """Read from configurations of families as they come, and what stands between a video's ends."""
    names = {"llava": None, "llava_onevision": "<video>", "qwen2_5_vl": "<|video_pad|>"}
    expected = names[model.config.model_type]
    found = upstream.other_media(model)
    assert found.video == (None if expected is None else IDS[expected])
    assert (found.audio, found.video_ends) == (None, None)
    named: dict[str, set[str]] = {}
    for family in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        source = inspect.getsource(sys.modules[CONFIG_MAPPING[family].__module__])
        for name in re.findall(r"^    ((?:video|audio)\w*_(?:id|index))\b", source, re.MULTILINE):
            named.setdefault(name, set()).add(family)
    known = {*upstream.VIDEO_TOKENS, *upstream.AUDIO_TOKENS, *upstream.VIDEO_ENDS}
    assert known <= set(named)  # and what else there is opens or closes a sound:
    assert all(
        re.fullmatch("audio_(start|end|bos|eos)_token_id", name) for name in {*named} - known
    )
    assert {"glm4v", "ernie4_5_vl_moe"} <= named["video_start_token_id"]


MASKS = ("attention_mask", "mm_token_type_ids")


def test_cache(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, (9,))
    assert upstream.cache_argument(model) == CACHE
    given = upstream.new_cache(model)
    assert isinstance(given, DynamicCache)
    output = model(**inputs, **{CACHE: given}, use_cache=True)
    assert upstream.returned_cache(output) is given
    assert upstream.given_cache({CACHE: given, "use_cache": True}) is given
    assert upstream.returned_cache(model(**inputs, use_cache=False)) is None
    length = inputs["input_ids"].shape[1]
    assert given.get_seq_length() == length
    given.crop(-2)
    assert given.get_seq_length() == length - 2
    sliding = DynamicCache(config=MistralConfig(num_hidden_layers=1, sliding_window=4))
    sliding.update(*torch.ones(2, 1, 1, 6, 8), 0)
    sliding.activate_past_recording()
    sliding.update(*torch.zeros(2, 1, 1, 3, 8), 0)
    sliding.crop(-3)
    assert sliding.get_seq_length() == 6
    assert sliding.layers[0].keys.all()
    assert not upstream.is_static(given)
    assert upstream.is_static(StaticCache(model.config.get_text_config(), 32))


def test_generation(model: PreTrainedModel) -> None:
    inputs, seen = random_inputs(model, (9,)), []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    hook.remove()
    assert len(seen) == 3
    assert not any(args for args, _ in seen)
    assert torch.equal(seen[0][1]["input_ids"], inputs["input_ids"])
    caches = [upstream.given_cache(kwargs) for _, kwargs in seen]
    assert caches[0] is caches[1] is caches[2] is not None
    assert callable(model.init_continuous_batching)


def test_logits(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, (9,))
    whole = model(**inputs).logits
    assert "logits_to_keep" in upstream.parameters(model)
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)
    close(model(**inputs, logits_to_keep=2).logits, whole[:, -2:])
    some = torch.tensor([1, 4])
    close(model(**inputs, logits_to_keep=some).logits, whole[:, some])


def test_checkpointing(model: PreTrainedModel) -> None:
    model = checkpointed(random_model(model.config.model_type), reentrant=False)
    assert not upstream.checkpoints_reentrantly(model)
    runs: list[str] = []

    def wrap(run: Any) -> Any:
        def again(function: Any, *inputs: Any) -> Any:
            return run(lambda *inputs: runs.append("run") or function(*inputs), *inputs)

        return again

    restore = upstream.wrap_checkpoints(model, wrap)
    loss = model(**random_inputs(model, (9,))).logits.sum()
    forward = len(runs)
    assert forward >= 3
    loss.backward()
    assert len(runs) > forward
    restore()
    model(**random_inputs(model, (9,)))
    assert len(runs) < 3 * forward


def test_features(model: PreTrainedModel) -> None:
    inputs = random_inputs(model, (9,))
    assert upstream.IMAGE_FEATURES in upstream.parameters(model)
    pixels = {k: v for k, v in inputs.items() if k not in (*MASKS, "input_ids")}
    features = model.get_image_features(**pixels)
    given = {key: value for key, value in inputs.items() if key != "pixel_values"}
    given[upstream.IMAGE_FEATURES] = {"image": features}
    assert torch.equal(model(**given).logits, model(**inputs).logits)


def test_a_cache_is_understood_under_either_name(llava: PreTrainedModel) -> None:
    """An old program on a new release: one step behind a prompt."""
    model = llava
    inputs, answer = random_inputs(model, (9,)), torch.tensor([[40]])
    names = [name for name in upstream.CACHE if name == CACHE or CACHE == "cache"]
    found = []
    for name in names:
        with intervene(model, uniform()) as log, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it is the old name's
            cache = upstream.returned_cache(model(**inputs, use_cache=True))
            mask = torch.ones(1, inputs["input_ids"].shape[1] + 1, dtype=torch.long)
            step = model(input_ids=answer, attention_mask=mask, **{name: cache})
            assert log.entries_edited_decode > 0
        found.append(step.logits)
    assert all(torch.equal(found[0], other) for other in found)


def test_a_model_without_a_cache_is_refused_in_a_sentence() -> None:
    class Odd(nn.Module):
        def forward(self, input_ids: Any) -> Any: ...

    with pytest.raises(ValueError, match="to take a cache as one of cache, past_key_values"):
        upstream.cache_argument(Odd())


def test_positions(model: PreTrainedModel) -> None:
    """Given ones are those that the model finds by itself, of padded rows as well."""
    inputs = random_inputs(model, (9, 6), padding="left")
    found = upstream.prompt_positions(model, inputs)
    real = inputs["attention_mask"].bool()
    given = model(**inputs, position_ids=found).logits
    torch.testing.assert_close(given[real], model(**inputs).logits[real], atol=1e-4, rtol=0)
    assert found.shape[:-2] == ((3,) if "qwen" in model.config.model_type else ())


SMALL = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3,
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sliding", "recurrent"])
def test_a_cache_is_held_whatever_its_layers_are(kind: str) -> None:
    config = MistralConfig(**SMALL, sliding_window=4)
    if kind == "recurrent":
        config = Qwen3NextConfig(
            **SMALL, layer_types=["linear_attention", "full_attention"], mlp_only_layers=[0, 1],
            linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8,
            linear_value_head_dim=8,
        )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    ids, answers = torch.arange(3, 12)[None], torch.arange(20, 26).view(2, 1, 3)
    cache = upstream.new_cache(model)
    model(input_ids=ids, **{CACHE: cache})
    for answer in answers:
        with upstream.held(cache):
            came = model(input_ids=answer, **{CACHE: cache}).logits
        whole = model(input_ids=torch.cat([ids, answer], dim=1)).logits[:, -3:]
        assert torch.allclose(came, whole, atol=1e-5)
    assert cache.get_seq_length() == ids.shape[1]


def test_every_assumption_has_a_test() -> None:
    lines = re.findall(r"^([a-z][a-z ]*?)  +\S", upstream.__doc__, flags=re.MULTILINE)
    assert len(lines) == 14
    for name in lines:
        assert f"test_{name.replace(' ', '_')}" in globals(), name

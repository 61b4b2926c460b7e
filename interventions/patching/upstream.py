"""All that is assumed of transformers beyond its documented interface, in one place.

Each line is stated by a test of its name in its test file (test_upstream.py), so that a release
that changes one fails there first. Seen to hold in transformers 5.23 and 5.24.

registries      `AttentionInterface.register` and `AttentionMaskInterface.register` add a name that
                `set_attn_implementation` accepts; a name without a mask function of its own gets no
                causal mask. Attention functions are looked up at every call.
eager           a modelling file that can run eagerly has a function `eager_attention_forward`.
backend         every configuration, nested ones (`sub_configs`) included, keeps its backend in
                `_attn_implementation_internal`; `_attn_implementation` reads it.
calls           an attention function is called as (module, query, key, value, mask, **keywords),
                the tensors (batch, head, token, width), the mask (batch, 1, query, key) or None;
                keywords `scaling`, `softcap`, `is_causal`, `dropout`. A module says `is_causal`
                itself where no keyword does. What `UNSUPPORTED` ask for is not computed here.
decoder         `get_decoder()` leads to the module that holds `layers`; a layer's self-attention is
                its `self_attn` or `mixer`, of a class named ...Attention; `layer_types` names kinds
                of layers, those in `LINEAR` without weights; `cross_attn` is another thing.
encoder         `get_encoder(modality="image")` is the vision encoder, and its attention modules are
                of classes named ...Attention; `get_vision_window_index` orders what windows see.
image token     one of the attributes in `IMAGE_TOKENS` of the model's configuration; those of other
                media and of marks around them have names that `MEDIA_TOKENS` matches.
other media     tokens of videos and sounds: likewise `VIDEO_TOKENS` and `AUDIO_TOKENS`. Where the
                attributes `VIDEO_ENDS` name two tokens, image tokens between them are a video's.
                A family that names none of these shows the frames of a video as images.
cache           the argument and the output of a forward are called `cache` since 5.24 and
                `past_key_values` before; `get_seq_length` says how many tokens it holds; its
                layers are in `layers`, and one that reads on replaces its keys and values and
                changes states, which lie in dictionaries, in place; layers of a cache with a fixed
                length are `StaticLayer`.
positions       `_prepare_position_ids_for_generation(ids, arguments)` gives the positions of a
                padded prompt: (batch, token), or with M-RoPE (axis, batch, token), in some families
                behind a row of plain positions, one more than `mrope_section` has parts (three
                where it is not said). A fourth axis numbers pictures through the batch, in the
                order of `image_grid_thw`, each a run of ones in `mm_token_type_ids`.
generation      `generate` calls the model itself with keywords, the prompt's ids as `input_ids`;
                paged generation starts from `init_continuous_batching`.
logits          `logits_to_keep` takes a number of last tokens, or the indices of tokens.
checkpointing   a layer with `gradient_checkpointing` runs in training through its attribute
                `_gradient_checkpointing_func(function, *inputs)`, a partial whose `use_reentrant`
                says how, and again in the backward pass.
features        a model whose forward takes `mm_encoder_outputs` reads image features from there,
                under "image", as `get_image_features` of the model or its `base_model` gives them:
                in `pooler_output` a tensor, or one per picture or tile, and where the decoder
                takes more of them the same per layer in `deepstack_features`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    DynamicCache,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import StaticLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interventions.methods.selectors import OtherMedia

Attention = Callable[..., tuple[Tensor, Tensor | None]]

CACHE = ("cache", "past_key_values")  # argument and output of a forward, newest name first
IMAGE_TOKENS = ("image_token_id", "image_token_index", "image_patch_id")
VIDEO_TOKENS = ("video_token_id", "video_token_index")
AUDIO_TOKENS = ("audio_token_id", "audio_token_index")
VIDEO_ENDS = ("video_start_token_id", "video_end_token_id")
LINEAR = ("linear", "conv", "mamba", "recurrent")  # how kinds of layers without weights begin
UNSUPPORTED = ("s_aux", "position_bias", "cache")  # attention sinks, relative biases, paged caches
IMAGE_FEATURES = "mm_encoder_outputs"  # argument that takes features in place of pixels
MEDIA_TOKENS = re.compile(r".*(image|video|vision|audio|patch).*_(id|index)$")
BACKEND_TEST = re.compile(r"_attn_implementation (in|==|!=) \(?[\"'](eager|sdpa)")


def register(name: str, attention: Attention, like: str) -> None:
    """Make an attention function known by a name, with the mask of the backend `like`."""
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[like])


def attention_function(name: str, module: nn.Module) -> Attention | None:
    """The attention function that a module calls on a backend; None where it cannot run on it."""
    if name == "eager":
        return getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    return ALL_ATTENTION_FUNCTIONS[name]


def backend_of(config: PreTrainedConfig) -> str:
    """Name of the attention function that a configuration chooses."""
    return config._attn_implementation


def keep_backends(model: PreTrainedModel) -> Callable[[], None]:
    """What puts back the attention functions that a model's configurations choose now."""
    chosen = [(each, each._attn_implementation_internal) for each in configurations(model)]

    def restore() -> None:
        for config, name in chosen:
            config._attn_implementation_internal = name

    return restore


def configurations(model: PreTrainedModel) -> list[PreTrainedConfig]:
    """Every distinct configuration object whose attention function may be changed."""
    found: dict[int, PreTrainedConfig] = {}
    waiting = [m.config for m in model.modules() if isinstance(m, PreTrainedModel)]
    while waiting:
        config = waiting.pop()
        if id(config) not in found:
            found[id(config)] = config
            children = (getattr(config, key, None) for key in config.sub_configs)
            waiting += [child for child in children if child is not None]
    return list(found.values())


def is_causal(module: nn.Module, keyword: bool | None) -> bool:
    """Whether attention without a mask is causal."""
    return getattr(module, "is_causal", True) if keyword is None else keyword


def image_token(model: PreTrainedModel) -> int | None:
    """Id of the tokens in whose place image features stand, None where the model has none."""
    return _token(model, IMAGE_TOKENS)


def other_media(model: PreTrainedModel) -> OtherMedia:
    """Tokens in whose place features of videos and sounds stand."""
    first, last = (_token(model, (name,)) for name in VIDEO_ENDS)
    return OtherMedia(
        video=_token(model, VIDEO_TOKENS),
        audio=_token(model, AUDIO_TOKENS),
        video_ends=None if first is None or last is None else (first, last),
    )


def _token(model: PreTrainedModel, names: Sequence[str]) -> int | None:
    """The first of these attributes of a model's configuration that names a token."""
    ids = (getattr(model.config, name, None) for name in names)
    return next((int(each) for each in ids if each is not None), None)


def media_tokens(config: PreTrainedConfig) -> frozenset[int]:
    """Ids of the tokens that a configuration names for images, videos and sound."""
    named = {name: value for name, value in vars(config).items() if MEDIA_TOKENS.match(name)}
    return frozenset(value for value in named.values() if isinstance(value, int))


def parameters(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of what a model's forward takes."""
    return tuple(inspect.signature(model.forward).parameters)


def cache_argument(model: PreTrainedModel) -> str:
    """The name under which a model's forward takes a cache. `ValueError` where it takes none."""
    for name in CACHE:
        if name in parameters(model):
            return name
    raise ValueError(
        f"Expected the forward of {type(model).__name__} to take a cache as one of "
        f"{', '.join(CACHE)}, but it takes {', '.join(parameters(model))}; install a release of "
        "transformers that pyproject.toml admits."
    )


def given_cache(arguments: Mapping[str, Any]) -> Any:
    """The cache among the arguments of a forward, under either name; None where there is none."""
    return next((arguments[name] for name in CACHE if arguments.get(name) is not None), None)


def returned_cache(output: Any) -> Any:
    """The cache in the output of a forward, under either name; None where there is none."""
    return next((getattr(output, name) for name in CACHE if hasattr(output, name)), None)


def new_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache that grows, with the kinds of layers that the model's decoder has."""
    return DynamicCache(config=model.get_decoder().config)


@contextmanager
def held(cache: DynamicCache) -> Iterator[None]:
    """What the cache holds now is what it holds behind the block, whatever is read inside.

    Rolling back by `crop` would do for plain layers only: not for states of a recurrence, nor for
    windows that slide.
    """
    layers = cache.layers
    cache.layers = [_set_apart(layer) for layer in layers]
    try:
        yield
    finally:
        cache.layers = layers


def _set_apart(layer: Any) -> Any:
    """A layer of a cache that reads on by itself: keys and values are replaced, states copied."""
    apart = copy(layer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):
            states = {
                key: state.clone() if isinstance(state, Tensor) else state
                for key, state in value.items()
            }
            setattr(apart, name, states)
    return apart


NUMBERING = ("input_ids", "attention_mask", "mm_token_type_ids")  # what pictures are counted in


def prompt_positions(
    model: PreTrainedModel, arguments: Mapping[str, Any]
) -> Int[Tensor, "*axis batch token"]:
    """Positions of a padded prompt, as the model itself would find them for each row alone.

    Arguments:
        arguments: of its forward.
    """
    found = _positions(model, arguments)
    if len(found) > 3 and found.ndim == 3 and "image_grid_thw" in arguments:
        image = arguments["mm_token_type_ids"] == 1
        begins = image & ~pad(image, (1, 0))[:, :-1]
        grids = arguments["image_grid_thw"].split(begins.sum(dim=1).tolist())
        for row, grid in enumerate(grids):
            if len(grid):
                alone = {name: arguments[name][row : row + 1] for name in NUMBERING}
                found[:, row : row + 1] = _positions(model, {**alone, "image_grid_thw": grid})
    return found


def _positions(
    model: PreTrainedModel, arguments: Mapping[str, Any]
) -> Int[Tensor, "*axis batch token"]:
    find: Any = model._prepare_position_ids_for_generation
    found = find(arguments["input_ids"], dict(arguments))
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    axes = len(rope.get("mrope_section") or (0, 0, 0))
    return found[1:] if found.ndim == 3 and len(found) == axes + 1 else found


def is_static(cache: Any) -> bool:
    """Whether a cache has its full length from the start."""
    return any(isinstance(layer, StaticLayer) for layer in getattr(cache, "layers", ()))


def wrap_checkpoints(model: PreTrainedModel, wrap: Callable[[Any], Any]) -> Callable[[], None]:
    """Put something around what runs layers that are computed again in the backward pass.

    Returns what takes it away again.
    """
    found = checkpointed(model)
    plain = [part._gradient_checkpointing_func for part in found]
    wrapped = [wrap(run) for run in plain]
    for part, run in zip(found, wrapped, strict=True):
        part._gradient_checkpointing_func = run

    def restore() -> None:
        for part, ours, run in zip(found, wrapped, plain, strict=True):
            if part._gradient_checkpointing_func is ours:  # nobody set another one meanwhile
                part._gradient_checkpointing_func = run

    return restore


def checkpoints_reentrantly(model: PreTrainedModel) -> bool:
    """Whether some backward pass runs inside another one."""
    runs = [part._gradient_checkpointing_func for part in checkpointed(model)]
    return any(getattr(run, "keywords", {}).get("use_reentrant", True) for run in runs)


def checkpointed(model: PreTrainedModel) -> list[nn.Module]:
    """Modules with layers that are computed again in the backward pass."""
    return [part for part in model.modules() if getattr(part, "gradient_checkpointing", False)]

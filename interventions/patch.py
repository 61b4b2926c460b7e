"""`with intervene(model, intervention) as log:` - the only file that knows transformers' internals.

Two names are registered with transformers' attention and mask registries, one per backend a model
may be running on. Each keeps the mask function of that backend and calls that backend first, so
whatever is not edited is what the unpatched model computes, bit for bit; the edited rows and heads
are then overwritten by `interventions.execution`.
See https://huggingface.co/docs/transformers/en/attention_interface

Axes: B batch, H heads, G key-value heads, Q queries (rows) of this call, K keys, T tokens (columns
of the padded batch, cached ones included).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interventions.execution import Call, Outcome, Rows, execute, overwritten, resolve_rows
from interventions.generation import (
    Turn,
    check_cache,
    check_generate,
    check_heads,
    refuse_paged,
    stop_tokens,
    whole_model,
)
from interventions.intervention import Intervention
from interventions.measurement import AttentionLog, Record
from interventions.pictures import GRIDS, fixed_weights
from interventions.selectors import select_heads, select_layers
from interventions.sequences import Expectation, InterventionError, Sequences, Tracker, begin

BACKENDS = {"sdpa": "solvent_sdpa", "eager": "solvent_eager"}
SESSION = "_solvent_session"  # attribute of an attention module while a context is open
ATTENDING_LAYERS = ("full_attention", "sliding_attention", "chunked_attention")
UNSUPPORTED = ("s_aux", "position_bias", "cache")  # attention sinks, relative biases, paged caches


def _backend(name: str, module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The attention function that the unpatched module would have called."""
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    return own if name == "eager" else ALL_ATTENTION_FUNCTIONS[name]


@torch.compiler.disable  # who the rows are changes from call to call: nothing to compile in
def _attend(
    module: nn.Module,
    query: Float[Tensor, "batch head query width"],
    key: Float[Tensor, "batch group key width"],
    value: Float[Tensor, "batch group key width"],
    attention_mask: Tensor | None,
    *,
    backend: str,
    **arguments: Any,
) -> tuple[Float[Tensor, "batch query head width"], Tensor | None]:
    """What transformers calls: the backend, then the edits of the open context, if there is one."""
    output, weights = _backend(backend, module)(
        module, query, key, value, attention_mask, **arguments
    )
    session: Session | None = module.__dict__.get(SESSION)
    if session is None:  # another model that shares the configuration object
        return output, weights
    _check_call(arguments, key, session.forward)
    check_heads(module, query.shape[1], session.decoder_config.num_attention_heads)
    shape = (query.shape[0], 1, query.shape[2], key.shape[2])
    causal = arguments.get("is_causal")
    call = Call(
        layer=session.numbers[id(module)],
        query=query,
        key=key,
        value=value,
        allowed=_allowed(module, backend, shape, attention_mask, causal).to(query.device),
        scaling=arguments.get("scaling"),
        softcap=arguments.get("softcap"),
    )
    return session.attend(module, call, output, weights)


for _plain, _ours in BACKENDS.items():
    AttentionInterface.register(_ours, partial(_attend, backend=_plain))
    AttentionMaskInterface.register(_ours, ALL_MASK_ATTENTION_FUNCTIONS[_plain])


def _allowed(
    module: nn.Module,
    backend: str,
    shape: tuple[int, int, int, int],
    mask: Tensor | None,
    causal: bool | None,
) -> Bool[Tensor, "batch 1 query key"]:
    """Which keys the backend lets every row see, also where it received no mask."""
    _, _, rows, keys = shape
    if mask is None:
        causal = getattr(module, "is_causal", True) if causal is None else causal
        everything = torch.ones(rows, keys, dtype=torch.bool)
        # Without a mask, scaled-dot-product attention is causal from the upper left corner.
        unmasked_causal = causal and rows > 1 and backend == "sdpa"
        return (everything.tril() if unmasked_causal else everything).expand(shape)
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise InterventionError(
            "Attention masks must have shape (batch, 1, query, key), got "
            f"{tuple(mask.shape)}; masks of one head each are not supported."
        )
    mask = mask[..., :keys]
    if mask.dtype != torch.bool:
        mask = mask > torch.finfo(mask.dtype).min / 2
    return mask.expand(shape)


@dataclass
class Forward:
    """State of the forward that is running."""

    sequences: Sequences
    expectation: Expectation
    at_prompt: Sequences | None  # of the rows that this forward continues
    rows: Rows | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # by layer


class Session:
    """One open context: hooks, the rows of the running forward, and the log."""

    def __init__(self, model: PreTrainedModel, intervention: Intervention) -> None:
        self.model, self.intervention = model, intervention
        self.modules, self.image_token_id = _decoder_attention(model), _image_token_id(model)
        self.numbers = {id(module): layer for layer, module in enumerate(self.modules)}
        self.decoder_config = model.get_decoder().config
        count = self.decoder_config.num_attention_heads
        self.layers = select_layers(intervention.layers, len(self.modules))
        self.heads = select_heads(intervention.heads, count)
        self.log = AttentionLog(layers=len(self.modules))
        self.forward: Forward | None = None
        self.generation: Expectation | None = None
        self.pictures: list[Any] = []
        self.tracker, self.turn = Tracker(), Turn()
        self._restore: list[Callable[[], None]] = []

    def enter(self) -> None:
        """Put everything in place; `leave` undoes as much of it as was reached."""
        model = self.model
        for config in _configs(model):
            value = config._attn_implementation_internal
            self._restore.append(partial(setattr, config, "_attn_implementation_internal", value))
        name = BACKENDS[self.decoder_config._attn_implementation]
        model.set_attn_implementation({"text_config": name})
        if self.decoder_config._attn_implementation != name:
            raise InterventionError(
                f"{type(model).__name__} does not let its attention function be replaced; "
                "it does not use transformers' attention interface."
            )
        for module in self.modules:
            setattr(module, SESSION, self)
            self._restore.append(partial(delattr, module, SESSION))
        begin, end = torch.compiler.disable(self._begin), torch.compiler.disable(self._end)
        self._hook(model.register_forward_pre_hook(self.turn.guarded(begin), with_kwargs=True))
        self._hook(model.register_forward_hook(end, always_call=True))
        if self.intervention.pattern.needs_picture and model.config.model_type in GRIDS:
            encoder = model.get_encoder(modality="image")
            self._hook(encoder.register_forward_pre_hook(self._see, with_kwargs=True))
        self._put("generate", partial(self._generate, model.generate))
        self._put("init_continuous_batching", refuse_paged)

    def leave(self) -> None:
        """Restore the model, last change first."""
        while self._restore:
            self._restore.pop()()

    def check_edited(self) -> None:
        """Raise when an intervention ran and touched nothing."""
        if self.intervention.is_identity or not self.log.forwards or self.log.cells_edited:
            return
        raise InterventionError(
            f"The intervention {self.intervention.name!r} edited no attention in "
            f"{self.log.forwards} forwards: no chosen layer, head and row (rows "
            f"{list(self.intervention.rows)}, phase {self.intervention.phase}) met a key with role "
            f"{list(self.intervention.keys)}."
        )

    def _hook(self, handle: Any) -> None:
        self._restore.append(handle.remove)

    def _put(self, name: str, method: Callable[..., Any]) -> None:
        """Replace a method of this model, not of its class."""
        own = self.model.__dict__.get(name)
        undo = partial(delattr, self.model, name)
        self._restore.append(undo if own is None else partial(setattr, self.model, name, own))
        setattr(self.model, name, method)

    def _generate(self, generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`model.generate`, with the whole prompt known before its first chunk runs."""
        check_generate(self.model, kwargs, edits=not self.intervention.is_identity)
        with self.turn.generate():
            self.generation, self.pictures = self._announced(args, kwargs), []
            try:
                return generate(*args, **kwargs)
            finally:
                self.generation = None

    def _announced(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Expectation:
        """What the arguments of `generate` say about the prompt."""
        expectation = self._expected()
        expectation.stops = stop_tokens(self.model, kwargs)
        ids = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
        if ids is not None:
            mask = kwargs.get("attention_mask")
            expectation.ids = ids
            expectation.real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask > 0
        return expectation

    def _expected(self) -> Expectation:
        expectation, self.log.expected = self.log.expected, None
        return expectation or Expectation()

    def _see(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the vision encoder: keep the pictures of the coming prompt."""
        grid = GRIDS[self.model.config.model_type]
        self.pictures += grid(self.model.config, _named(module, args, kwargs))

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the model: who are the rows of this forward."""
        arguments = _named(module, args, kwargs)
        ids, cache = arguments.get("input_ids"), arguments.get("past_key_values")
        check_cache(cache)
        if ids is None:
            raise InterventionError(
                "Image tokens are found by their ids: call the model with input_ids, "
                "not with inputs_embeds."
            )
        past = 0 if cache is None else int(cache.get_seq_length())
        real = _real_tokens(arguments.get("attention_mask"), past + ids.shape[1])
        if past:
            sequences, at_prompt = self.tracker.continued(cache, past, ids, real)
            self.forward = Forward(sequences, self.generation or Expectation(), at_prompt)
        else:
            expectation = self.generation or self._expected()
            self.pictures = self.pictures if self.generation else []
            real = torch.ones_like(ids, dtype=torch.bool) if real is None else real
            sequences = begin(ids, real, expectation, self.image_token_id, self._record)
            self.forward = Forward(sequences, expectation, None)

    def _record(self, uid: str) -> Record:
        return Record(uid, np.zeros(len(self.modules)), np.zeros(len(self.modules)))

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of the model: check that every layer was reached, book what was measured."""
        if self.forward is None or not self.turn.mine():  # refused, or another thread's
            return
        forward, self.forward = self.forward, None
        self.turn.give()
        if output is None:  # an exception is on its way
            return
        missing = [layer for layer in range(len(self.modules)) if layer not in forward.outcomes]
        if missing:
            raise InterventionError(
                f"The attention of decoder layers {missing} did not pass through the attention "
                f"interface in this forward; {type(self.model).__name__} is not supported."
            )
        self.log.forwards += 1
        self._book(forward)
        forward.expectation.measured = forward.sequences.ids.shape[1]
        cache = getattr(output, "past_key_values", None)
        self.tracker.remember(cache, forward.sequences, forward.at_prompt)

    def _book(self, forward: Forward) -> None:
        """Move the sums of one forward to the samples' records."""
        outcomes = [forward.outcomes[layer] for layer in range(len(self.modules))]
        before = torch.stack([outcome.before.cpu() for outcome in outcomes]).double().numpy()
        after = torch.stack([outcome.after.cpu() for outcome in outcomes]).double().numpy()
        cells = torch.stack([outcome.cells.cpu() for outcome in outcomes]).sum(dim=0).tolist()
        rows = forward.rows.measured.sum(dim=1).tolist()
        for row, record in enumerate(forward.sequences.records):
            self.log.add(record, before[:, row], after[:, row], rows[row], cells[row])

    def attend(
        self, module: nn.Module, call: Call, output: Tensor, weights: Tensor | None
    ) -> tuple[Float[Tensor, "batch query head width"], Tensor | None]:
        """Execute one call, and put what was edited in the place of what the backend gave."""
        forward = self.forward
        if forward.rows is None:
            self._with_priors(forward)
            forward.rows = resolve_rows(
                forward.sequences, call.query.shape[2], self.intervention, self.image_token_id
            )
        rows = forward.rows.to(call.query.device)
        editing = call.layer in self.layers and not self.intervention.is_identity
        outcome = execute(call, rows, self.intervention, self.heads if editing else None)
        forward.outcomes[call.layer] = replace(outcome, weights=None, output=None)
        if outcome.touched is None:
            return output, weights
        edited = outcome.output.transpose(1, 2)
        output = overwritten(output, 1, rows.index, outcome.touched.transpose(1, 2), edited)
        if weights is not None:
            weights = overwritten(weights, 2, rows.index, outcome.touched, outcome.weights)
        return output, weights

    def _with_priors(self, forward: Forward) -> None:
        """A fixed pattern's weights for every row, from the pictures unless they were given."""
        if self.intervention.is_identity or not self.intervention.pattern.needs_picture:
            return
        sequences = forward.sequences
        if sequences.priors is None:
            pictures, self.pictures = self.pictures, []
            forward.expectation.priors = fixed_weights(
                self.intervention.pattern,
                sequences.image_counts[:: sequences.expansion],
                pictures,
                self.model.config.model_type,
            )
            forward.sequences = sequences = sequences.with_priors(forward.expectation.priors)
        for prior, count in zip(sequences.priors, sequences.image_counts, strict=True):
            if len(prior) != count:
                raise InterventionError(
                    f"A row has {count} image tokens but its fixed pattern has {len(prior)} "
                    "weights; give one weight per image token to log.expect(priors=...)."
                )


@contextmanager
def intervene(model: PreTrainedModel, intervention: Intervention) -> Iterator[AttentionLog]:
    """Apply an intervention to a model's text decoder for the length of a `with` block.

    Works in forward and generate, batched and padded on either side, with and without cache. In a
    bare forward the whole input is the prompt; tokens of later forwards on its cache are generated.
    The model is restored on leaving, also after an exception.

    Raises `InterventionError` when the model cannot be patched, and on leaving when nothing was
    edited although a forward ran; `ValueError` for layers or heads the model does not have.
    """
    session = Session(whole_model(model), intervention)
    try:
        session.enter()
        yield session.log
    finally:
        session.leave()
    session.check_edited()


def _decoder_attention(model: PreTrainedModel) -> list[nn.Module]:
    """The self-attention module of every decoder layer, or one sentence why there is none."""
    decoder = model.get_decoder()
    config, name = decoder.config, type(model).__name__
    if config is model.config or "text_config" not in model.config.sub_configs:
        raise InterventionError(f"{name} has no text decoder inside a vision-language model.")
    kinds = set(getattr(config, "layer_types", None) or ATTENDING_LAYERS)
    if not kinds <= set(ATTENDING_LAYERS):
        odd = ", ".join(sorted(kinds - set(ATTENDING_LAYERS)))
        raise InterventionError(f"{name} has decoder layers without an attention matrix ({odd}).")
    if any(SESSION in module.__dict__ for module in decoder.modules()):
        raise InterventionError(f"This {name} already has an intervention; leave its block first.")
    if config._attn_implementation not in BACKENDS:
        raise InterventionError(
            f"The decoder of {name} runs on {config._attn_implementation!r}; "
            f"load it with attn_implementation set to one of {', '.join(BACKENDS)}."
        )
    modules = [getattr(layer, "self_attn", None) for layer in getattr(decoder, "layers", ())]
    if not modules or any(module is None for module in modules):
        raise InterventionError(
            f"{name} has decoder layers without self-attention over the token sequence "
            "(cross-attention to the image is not supported)."
        )
    if config._attn_implementation == "eager" and _backend("eager", modules[0]) is None:
        raise InterventionError(f"{name} has no eager attention function; load it with sdpa.")
    return modules


def _image_token_id(model: PreTrainedModel) -> int:
    for attribute in ("image_token_id", "image_token_index"):
        value = getattr(model.config, attribute, None)
        if value is not None:
            return int(value)
    raise InterventionError(f"The configuration of {type(model).__name__} names no image token.")


def _configs(model: PreTrainedModel) -> list[Any]:
    """Every distinct configuration object whose attention implementation may be changed."""
    found: dict[int, Any] = {}
    waiting = [m.config for m in model.modules() if isinstance(m, PreTrainedModel)]
    while waiting:
        config = waiting.pop()
        if id(config) not in found:
            found[id(config)] = config
            children = (getattr(config, key, None) for key in config.sub_configs)
            waiting += [child for child in children if child is not None]
    return list(found.values())


def _named(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a forward by name."""
    return dict(zip(inspect.signature(module.forward).parameters, args, strict=False)) | {**kwargs}


def _real_tokens(mask: Any, total: int) -> Bool[Tensor, "batch token"] | None:
    """Columns that hold a token rather than padding; None means all of them."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.shape[1] < total:
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise InterventionError(
            f"Padding is read from an attention mask of shape (batch, {total}), cached tokens "
            f"included; got {shape} (static caches are not supported)."
        )
    return mask[:, :total] > 0


def _check_call(
    arguments: Mapping[str, Any],
    key: Float[Tensor, "batch group key width"],
    forward: Forward | None,
) -> None:
    """Refuse what the reference execution would silently get wrong."""
    if forward is None:
        raise InterventionError(
            "The decoder ran outside the model that was given to `intervene`, so its rows have no "
            "roles; call that model itself."
        )
    given = [name for name in UNSUPPORTED if arguments.get(name) is not None]
    if given:
        raise InterventionError(f"Attention with {', '.join(given)} is not supported.")
    if arguments.get("dropout"):
        raise InterventionError("Attention dropout is on; call model.eval() first.")
    if key.shape[2] > forward.sequences.ids.shape[1]:
        raise InterventionError("Caches longer than the sequence (static) are not supported.")

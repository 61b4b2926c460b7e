"""`with intervene(model, intervention) as log:` - hooks that come and go.

Two names are registered with transformers' attention and mask registries, one per backend a model
may be running on. Each keeps the mask function of that backend and calls that backend first, so
whatever is not edited is what the unpatched model computes, bit for bit; the edited rows and heads
are then overwritten by `interventions.execution`.
See https://huggingface.co/docs/transformers/en/attention_interface

Axes: B batch, H heads, G key-value heads, Q queries (rows) of this call, K keys, T tokens (columns
of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from interventions.decoders import (
    BACKENDS,
    SESSION,
    allowed_keys,
    check_call,
    configurations,
    decoder_attention,
    image_token,
    named_arguments,
    own_attention,
    real_tokens,
)
from interventions.execution import Call, Outcome, Rows, execute, overwritten, resolve_rows
from interventions.intervention import Intervention
from interventions.measurement import AttentionLog, Record
from interventions.pictures import GRIDS, fixed_weights
from interventions.selectors import select_heads, select_layers
from interventions.sequences import Expectation, InterventionError, Sequences, Tracker, begin


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
    output, weights = own_attention(backend, module)(
        module, query, key, value, attention_mask, **arguments
    )
    session: Session | None = module.__dict__.get(SESSION)
    if session is None:  # another model that shares the configuration object
        return output, weights
    columns = None if session.forward is None else session.forward.sequences.ids.shape[1]
    check_call(arguments, key.shape[2], columns)
    shape = (query.shape[0], 1, query.shape[2], key.shape[2])
    causal = arguments.get("is_causal")
    call = Call(
        layer=session.numbers[id(module)],
        query=query,
        key=key,
        value=value,
        allowed=allowed_keys(module, backend, shape, attention_mask, causal).to(query.device),
        scaling=arguments.get("scaling"),
        softcap=arguments.get("softcap"),
    )
    return session.attend(module, call, output, weights)


for _plain, _ours in BACKENDS.items():
    AttentionInterface.register(_ours, partial(_attend, backend=_plain))
    AttentionMaskInterface.register(_ours, ALL_MASK_ATTENTION_FUNCTIONS[_plain])


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
        self.modules, self.image_token_id = decoder_attention(model), image_token(model)
        self.numbers = {id(module): layer for layer, module in enumerate(self.modules)}
        self.decoder_config = model.get_decoder().config
        count = self.decoder_config.num_attention_heads
        self.layers = select_layers(intervention.layers, len(self.modules))
        self.heads = select_heads(intervention.heads, count)
        self.log = AttentionLog(layers=len(self.modules))
        self.forward: Forward | None = None
        self.generation: Expectation | None = None
        self.pictures: list[Any] = []
        self.tracker = Tracker()
        self._restore: list[Callable[[], None]] = []

    def enter(self) -> None:
        """Put everything in place; `leave` undoes as much of it as was reached."""
        model = self.model
        for config in configurations(model):
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
        self._hook(model.register_forward_pre_hook(self._begin, with_kwargs=True))
        self._hook(model.register_forward_hook(self._end, always_call=True))
        if self.intervention.pattern.needs_picture and model.config.model_type in GRIDS:
            encoder = model.get_encoder(modality="image")
            self._hook(encoder.register_forward_pre_hook(self._see, with_kwargs=True))
        own = model.__dict__.get("generate")
        undo = (
            partial(delattr, model, "generate")
            if own is None
            else partial(setattr, model, "generate", own)
        )
        self._restore.append(undo)
        model.generate = partial(self._generate, model.generate)

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

    def _generate(self, generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`model.generate`, with the whole prompt known before its first chunk runs."""
        expectation = self._expected()
        ids = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
        if ids is not None:
            mask = kwargs.get("attention_mask")
            expectation.ids = ids
            expectation.real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask > 0
        self.generation, self.pictures = expectation, []
        try:
            return generate(*args, **kwargs)
        finally:
            self.generation = None

    def _expected(self) -> Expectation:
        expectation, self.log.expected = self.log.expected, None
        return expectation or Expectation()

    def _see(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the vision encoder: keep the pictures of the coming prompt."""
        grid = GRIDS[self.model.config.model_type]
        self.pictures += grid(self.model.config, named_arguments(module, args, kwargs))

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the model: who are the rows of this forward."""
        arguments = named_arguments(module, args, kwargs)
        ids, cache = arguments.get("input_ids"), arguments.get("past_key_values")
        if ids is None:
            raise InterventionError(
                "Image tokens are found by their ids: call the model with input_ids, "
                "not with inputs_embeds."
            )
        past = 0 if cache is None else int(cache.get_seq_length())
        real = real_tokens(arguments.get("attention_mask"), past + ids.shape[1])
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
        forward, self.forward = self.forward, None
        if output is None or forward is None:  # an exception is on its way
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
    session = Session(model, intervention)
    try:
        session.enter()
        yield session.log
    finally:
        session.leave()
    session.check_edited()

"""One open `with intervene(...)`: hooks that come and go, the running forward, and the log.

Axes: B batch, H heads, G key-value heads, Q queries (rows) of this call, K keys, T tokens (columns
of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.engine import execution, fused
from interventions.engine.execution import Sums
from interventions.engine.hiding import hidden_keys, hidden_sums
from interventions.engine.rows import resolve_rows, warn_uncovered
from interventions.engine.sequences import Expectation, Sequences, Tracker, begin
from interventions.engine.view import Call, Rows
from interventions.errors import InterventionError
from interventions.looking.log import SUMS, AttentionLog, Record
from interventions.looking.observation import mark_tokens, prompt_confidence, watch, watched_layer
from interventions.methods.cutting import Behind
from interventions.methods.heads import HeadRule, Shuffled
from interventions.methods.intervention import Intervention
from interventions.methods.selectors import random_heads, select_heads, several
from interventions.patching.checkpointing import check_followed, follow_checkpoints
from interventions.patching.decoders import (
    BACKENDS,
    SESSION,
    find_decoder,
    named_arguments,
    real_tokens,
)
from interventions.patching.encoder import EncoderWatch
from interventions.patching.generation import (
    Turn,
    check_cache,
    check_generate,
    refuse_paged,
    refuse_transforms,
    stop_tokens,
)
from interventions.patching.grids import fixed_weights
from interventions.patching.upstream import backend_of, given_cache, keep_backends, returned_cache

Observer = Callable[[Call, Rows, Any], None]
"""Is shown a call before it is edited, its rows, and the heads that are edited (None: none)."""


@dataclass
class Forward:
    """State of the forward that is running."""

    sequences: Sequences
    expectation: Expectation
    at_prompt: Sequences | None  # of the rows that this forward continues
    rows: Rows | None = None
    sums: dict[int, Sums] = field(default_factory=dict)  # by layer
    masks: dict[Any, tuple[Tensor, Any]] = field(default_factory=dict)

    def once(self, key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives, made once for all layers that share a mask."""
        name = (id(key[0]), *key[1:])
        if name not in self.masks:
            self.masks[name] = (make(), key[0])  # keeps the mask, so that its id stays its own
        return self.masks[name][0]


class Session:
    """One open context: hooks, the rows of the running forward, and the log."""

    def __init__(self, model: PreTrainedModel, intervention: Intervention, execute: Any) -> None:
        self.model, self.intervention, self.execute = model, intervention, execute
        self.decoder = decoder = find_decoder(model)
        self.numbers = {id(module): layer for layer, module in decoder.attention.items()}
        self.layers = decoder.select(intervention.layers)
        self.heads = _heads(intervention.heads, decoder.config.num_attention_heads)
        self.cut = intervention.cut if isinstance(intervention, Behind) else None
        self.cut_layers = () if self.cut is None else decoder.select(self.cut.layers)
        self.watched = watched_layer(intervention, self.layers)
        self.log = AttentionLog(layers=len(decoder.blocks))
        self.forward: Forward | None = None
        self.previewing = False  # whether the prompt is read unedited, before it is read
        self.observe: Observer | None = None  # is shown every call
        self.generation: Expectation | None = None
        self.warned = False  # that a prompt has tokens which are not covered
        self.open = False  # whether everything is in place: between `enter` and `leave`
        self.pictured: dict[str, Any] = {}  # arguments of the prompt, for what looks at pictures
        self.encoder_watch: EncoderWatch | None = None  # sees the pictures of the coming prompt
        self.tracker, self.turn = Tracker(), Turn()
        self._restore: list[Callable[[], None]] = []

    @property
    def untold(self) -> bool:
        """Whether the intervention names roles of turns, and nobody said whose the turns are."""
        latest = self.tracker.latest
        return self.intervention.needs_turns and latest is not None and latest[0].turns is None

    @property
    def plain_pass(self) -> bool:
        """Whether a forward of the unpatched model is running, neither edited nor measured."""
        return self.previewing or self.log.resting

    @property
    def running(self) -> Forward:
        """The forward that is running; asked for only inside of one."""
        assert self.forward is not None
        return self.forward

    def enter(self) -> None:
        """Put everything in place; `leave` undoes as much of it as was reached."""
        model = self.model
        self._restore.append(keep_backends(model))
        name = BACKENDS[backend_of(self.decoder.config)]
        self.decoder.module.set_attn_implementation({"": name})
        if backend_of(self.decoder.config) != name:
            raise InterventionError(
                f"{type(model).__name__} does not let its attention function be replaced; "
                "it does not use transformers' attention interface."
            )
        for module in self.decoder.attention.values():
            setattr(module, SESSION, self)
            self._restore.append(partial(delattr, module, SESSION))
        begin, end = torch.compiler.disable(self._begin), torch.compiler.disable(self._end)
        begin = self._unless_resting(self.turn.guarded(begin))
        self._hook(model.register_forward_pre_hook(begin, with_kwargs=True))
        self._hook(model.register_forward_hook(end, always_call=True))
        if self.intervention.probe is not None and self.intervention.probe.needs_hidden:
            for layer in self.layers:
                observe = partial(self._observe_hidden, layer)
                block = self.decoder.blocks[layer]
                self._hook(block.register_forward_pre_hook(observe, with_kwargs=True))
        pictured = self.intervention.pattern.pictured
        if pictured is not None and pictured.needs_attention:
            self.encoder_watch = EncoderWatch(model)
            self._restore.append(self.encoder_watch.close)
        self._restore.append(follow_checkpoints(self))
        self._put("generate", partial(self._generate, cast("Callable[..., Any]", model.generate)))
        self._put("init_continuous_batching", refuse_paged)
        self.open = True

    def leave(self) -> None:
        """Restore the model, last change first."""
        self.open = False
        while self._restore:
            self._restore.pop()()

    def check_edited(self) -> None:
        """Raise when an intervention ran and touched nothing."""
        if self.intervention.is_identity or not self.log.forwards or self.log.entries_edited:
            return
        raise InterventionError(
            f"The intervention {self.intervention.name!r} edited no attention in "
            f"{self.log.forwards} forwards: no chosen layer, head and row (rows "
            f"{list(several(self.intervention.rows))}, phase {self.intervention.phase}) met a key "
            f"with role {list(several(self.intervention.keys))}."
            + (" Only log.expect(turns=...) says what is preface and answer." * self.untold)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise InterventionError(
            f"Expected {type(self.model).__name__} not to be copied inside a `with intervene(...)` "
            "block, since the copy would keep hooks of a block that ends; copy it before or after."
        )

    def _unless_resting(self, hook: Callable[..., None]) -> Callable[..., None]:
        return lambda *args: None if self.log.resting else hook(*args)

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
            self.generation = self._announced(args, kwargs)
            self._look_at(kwargs)
            try:
                return generate(*args, **kwargs)
            finally:
                self.generation = None
                self.pictured = {}

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

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the model: who are the rows of this forward."""
        refuse_transforms()
        check_followed(self)
        arguments = named_arguments(module, args, kwargs)
        ids, cache = arguments.get("input_ids"), given_cache(arguments)
        check_cache(cache)
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
            if not self.generation:
                self._look_at(arguments)
            real = torch.ones_like(ids, dtype=torch.bool) if real is None else real
            known = (self.decoder.image_token_id, self.decoder.others)
            sequences = begin(ids, real, expectation, *known, self._record)
            self.forward = Forward(sequences, expectation, None)
        if self.intervention.pattern.needs_confidence:
            try:
                self._remember_confidence(arguments)
            except BaseException:
                self.forward = None  # it never began
                raise

    def _look_at(self, arguments: Mapping[str, Any]) -> None:
        """A prompt comes: keep its arguments, if the intervention looks at pictures."""
        if self.intervention.pattern.pictured is not None:
            self.pictured = dict(arguments)
        if self.encoder_watch is not None:
            self.encoder_watch.clear()

    def _record(self, uid: str) -> Record:
        return Record(uid, np.zeros((len(SUMS), len(self.decoder.blocks))))

    def _remember_confidence(self, arguments: dict[str, Any]) -> None:
        """Run the prompt unedited first, and keep the model's confidence in its first answer."""
        sequences = self.running.sequences
        if "confidence" in sequences.memory:
            return
        if sequences.cuts_prompt(arguments["input_ids"].shape[1]):
            raise InterventionError(
                f"The intervention {self.intervention.name!r} first looks at the whole prompt; "
                "leave out prefill_chunk_size."
            )
        self.previewing = True
        try:
            sequences.memory["confidence"] = prompt_confidence(
                self.model, arguments, sequences.last_columns()
            )
        finally:
            self.previewing = False

    def _observe_hidden(
        self, layer: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Pre-hook of a decoder layer: mark the tokens that a probe finds in what enters it."""
        if self.plain_pass or self.forward is None:
            return
        hidden = args[0] if args else kwargs["hidden_states"]
        mark_tokens(self.intervention.probe, layer, hidden, self.forward.sequences)

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of the model: check that every layer was reached, book what was measured."""
        if self.forward is None or not self.turn.mine():  # refused, or another thread's
            return
        forward, self.forward = self.forward, None
        self.turn.give()
        if output is None:  # an exception is on its way
            return
        missing = [layer for layer in self.decoder.attention if layer not in forward.sums]
        if missing:
            raise InterventionError(
                f"The attention of decoder layers {missing} did not pass through the attention "
                f"interface in this forward; {type(self.model).__name__} is not supported."
            )
        self.log.forwards += 1
        self._book(forward)
        forward.expectation.measured = forward.sequences.ids.shape[1]
        self.tracker.remember(returned_cache(output), forward.sequences, forward.at_prompt)

    def _book(self, forward: Forward) -> None:
        """Move the sums of one forward to the samples' records, once all scores are known sound."""
        layers = [forward.sums[layer] for layer in self.decoder.attention]
        records = forward.sequences.records
        broken = torch.stack([sums.broken.cpu() for sums in layers])
        if broken.any():
            first = int(broken.any(dim=1).int().argmax())
            names = [records[row].uid for row in broken[first].nonzero()[:, 0].tolist()]
            raise InterventionError(
                f"Attention scores of decoder layer {list(self.decoder.attention)[first]} are not "
                f"finite for samples {names}."
            )
        means = torch.stack([sums.means.cpu() for sums in layers]).double().numpy()
        values = np.full((len(self.decoder.blocks), *means.shape[1:]), np.nan)  # layer sum batch
        values[list(self.decoder.attention)] = means
        entries = torch.stack([sums.entries.cpu() for sums in layers]).sum(dim=0).numpy()
        assert forward.rows is not None  # a layer was reached
        rows = forward.rows.measured.sum(dim=1).tolist()
        for row, record in enumerate(records):
            self.log.add(record, values[:, :, row].T, rows[row], entries[:, row])

    def hidden(
        self, layer: int, allowed: Bool[Tensor, "batch 1 query key"]
    ) -> Bool[Tensor, "batch 1 query key"] | None:
        """Keys that rows would see, but for the cut that goes before the intervention."""
        cut, forward = self.cut, self.running
        if cut is None or layer not in self.cut_layers:
            return None
        known = (self.decoder.image_token_id, self.decoder.others)
        return forward.once(
            (allowed, "hidden"),
            lambda: allowed & hidden_keys(forward.sequences, cut, known, allowed.shape[2:]),
        )

    def attend(
        self,
        call: Call,
        output: Tensor,
        weights: Tensor | None,
        hidden: Bool[Tensor, "batch 1 query key"] | None,
    ) -> tuple[Float[Tensor, "batch query head width"], Tensor | None]:
        """Execute one call, and put what was edited in the place of what the backend gave."""
        rows = self._rows(call)
        if call.layer == self.watched:
            watch(self.intervention.probe, call, rows)
        if self.observe is not None:
            self.observe(call, rows, self._edited_heads(call))
        execute = execution.execute if weights is not None else self.execute
        outcome = execute(call, rows, self.intervention, self._edited_heads(call))
        sums = outcome.sums
        if hidden is not None:
            sums += hidden_sums(self.running.sequences, hidden, call.query.shape[1])
        self.running.sums[call.layer] = sums
        if outcome.index is None or outcome.touched is None or outcome.output is None:
            return output, weights
        edited = outcome.output.transpose(1, 2)
        output = overwritten(output, 1, outcome.index, outcome.touched.transpose(1, 2), edited)
        if weights is not None:
            assert outcome.weights is not None  # of the reference
            weights = overwritten(weights, 2, outcome.index, outcome.touched, outcome.weights)
        return output, weights

    def replaces_all(self, call: Call) -> bool:
        """Whether nothing of what the backend gives for the call would be kept."""
        if self.execute is not fused.execute:
            return False
        heads = self._edited_heads(call)
        return fused.replaces_all(call, self._rows(call), self.intervention, heads)

    def _edited_heads(self, call: Call) -> Any:
        """Heads, or the rule for them, in a layer that is edited; None in others."""
        edited = call.layer in self.layers and not self.intervention.is_identity
        return self.heads if edited else None

    def _rows(self, call: Call) -> Rows:
        """Who the rows are, found out in the first layer of a forward."""
        forward = self.running
        if forward.rows is None:
            self._with_priors(forward)
            known, count = (self.decoder.image_token_id, self.decoder.others), call.query.shape[2]
            roles = forward.sequences.roles(*known)
            if not self.warned and (count > 1 or forward.at_prompt is None):
                self.warned = warn_uncovered(self.intervention, roles)
            forward.rows = resolve_rows(
                forward.sequences, count, self.intervention, roles, len(self.decoder.blocks)
            )
        return forward.rows.to(call.query.device)

    def _with_priors(self, forward: Forward) -> None:
        """A fixed pattern's weights for every row, from the pictures unless they were given."""
        if self.intervention.is_identity or self.intervention.pattern.pictured is None:
            return
        sequences = forward.sequences
        priors = sequences.priors
        if priors is None:
            forward.expectation.priors = priors = fixed_weights(
                self.intervention.pattern.pictured,
                self.model.config,
                self.pictured,
                sequences.image_counts[:: sequences.expansion],
                forward.expectation.regions,
                self.encoder_watch.take() if self.encoder_watch is not None else None,
                forward.expectation.pictures,
            )
            self.pictured = {}
            forward.sequences = sequences = sequences.with_priors(priors)
            priors = sequences.priors or ()
        for prior, count in zip(priors, sequences.image_counts, strict=True):
            if len(prior) != count:
                raise InterventionError(
                    f"A row has {count} image tokens but its fixed pattern has {len(prior)} "
                    "weights; give one weight per image token to log.expect(priors=...)."
                )


def _heads(wanted: Any, count: int) -> tuple[int, ...] | HeadRule:
    """Heads that are edited: fixed ones, or the rule that finds them in every layer or row."""
    if isinstance(wanted, HeadRule):
        return wanted
    drawn = random_heads(wanted)
    if drawn is None:
        return select_heads(wanted, count)
    number, seed = drawn
    if number > count:
        raise ValueError(f"heads={wanted} draws {number} heads, but a layer has {count}.")
    return Shuffled(of=range(number), seed=seed)


def overwritten(original: Tensor, axis: int, index: Tensor, where: Tensor, new: Tensor) -> Tensor:
    """`original` with its rows `index` replaced by `new` where `where` says so.

    In place, unless gradients are wanted: what a backend returns belongs to nobody else.
    """
    kept = original.index_select(axis, index)
    chosen = torch.where(where[..., None], new.to(original.dtype), kept)
    if original.requires_grad or chosen.requires_grad:
        return original.index_copy(axis, index, chosen)
    return original.index_copy_(axis, index, chosen)

"""`with intervene(model, intervention) as log:` - the attention function that takes part.

Two names are registered with transformers' attention and mask registries, one per backend a model
may be running on. Each keeps the mask function of that backend and calls that backend first, so
untouched layers and heads are what the unpatched model computes, bit for bit; the edited rows and
heads are then overwritten. Where all of them are certain to be replaced, it is not called.
See https://huggingface.co/docs/transformers/en/attention_interface
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.engine import execution, fused
from interventions.engine.hiding import as_mask
from interventions.engine.view import Call
from interventions.errors import InterventionError
from interventions.looking.log import AttentionLog
from interventions.methods.definitions import check_intervention
from interventions.methods.intervention import Intervention
from interventions.methods.parts import shown
from interventions.methods.selectors import check_choice
from interventions.patching.decoders import (
    BACKENDS,
    SESSION,
    allowed_keys,
    check_call,
    full_precision,
)
from interventions.patching.generation import check_heads, whole_model
from interventions.patching.session import Observer, Session
from interventions.patching.upstream import attention_function, register

EXECUTIONS = {"fused": fused.execute, "reference": execution.execute}


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
    attention = attention_function(backend, module)
    assert attention is not None  # `find_decoder` refuses models without
    session: Session | None = module.__dict__.get(SESSION)
    if session is None or session.plain_pass:  # another model of this configuration
        return attention(module, query, key, value, attention_mask, **arguments)
    started = time.perf_counter()
    columns = None if session.forward is None else session.forward.sequences.ids.shape[1]
    check_call(arguments, key.shape[2], columns)
    check_heads(module, query.shape[1], session.decoder.config.num_attention_heads)
    shape = (query.shape[0], 1, query.shape[2], key.shape[2])
    causal = arguments.get("is_causal")
    allowed = session.running.once(
        (attention_mask, shape, causal, query.device),
        lambda: allowed_keys(module, backend, shape, attention_mask, causal).to(query.device),
    )
    hidden = session.hidden(session.numbers[id(module)], allowed)
    if hidden is not None:
        allowed = session.running.once((allowed, "seen"), lambda: allowed & ~hidden)
        attention_mask = as_mask(allowed, query.dtype, backend)
    call = Call(
        layer=session.numbers[id(module)],
        query=query,
        key=key,
        value=value,
        allowed=allowed,
        scaling=arguments.get("scaling"),
        softcap=arguments.get("softcap"),
    )
    spared = backend == "sdpa" and session.replaces_all(call)
    before_backend = time.perf_counter()
    if spared:
        output, weights = query.new_empty(*query.shape[:3], value.shape[-1]).transpose(1, 2), None
    else:
        output, weights = attention(module, query, key, value, attention_mask, **arguments)
    after_backend = time.perf_counter()
    with full_precision(query.device.type):
        result = session.attend(call, output, weights, hidden)
    session.log.seconds += time.perf_counter() - after_backend + before_backend - started
    return result


for _plain, _ours in BACKENDS.items():
    register(_ours, partial(_attend, backend=_plain), like=_plain)


@block('with intervene(model, load("uniform", layers="middle")) as log')
def intervene(
    model: PreTrainedModel,
    intervention: Intervention,
    execution: str = "fused",
    observe: Observer | None = None,
    must_edit: bool = True,
) -> Iterator[AttentionLog]:
    """Apply an intervention to a model's text decoder for the length of a `with` block.

    Works in forward and generate, batched and padded on either side, with and without cache. In a
    bare forward the whole input is the prompt; tokens of later forwards on its cache are generated.
    The model is restored on leaving, also after an exception. Inside, rows and layers that nobody
    edits are those of the unpatched model, bit for bit.

    Gradients flow through edits, in both executions; what is chosen from scores (heads, sinks,
    ranks, an order) and fixed patterns are constants to them. Under gradient checkpointing call
    `backward` inside the block.

    `execution` is "fused" or "reference": the definition, slower and larger, with the same numbers.
    `observe` is shown every attention call before it is edited, see `looking.capture` and
    `looking.shares`. `must_edit=False` is for inputs that may show no image.

    Raises `InterventionError` when the model cannot be patched, and on leaving when nothing was
    edited although a forward ran; `ValueError` for layers or heads the model does not have.
    """
    check_intervention(intervention, model)
    check_choice(execution, tuple(EXECUTIONS), "execution")
    if observe is not None and not callable(observe):
        raise InterventionError(
            f"observe must be a function that is shown every call, got {shown(observe)}; write "
            'intervene(model, load("uniform", layers="middle")).'
        )
    session = Session(whole_model(model), intervention, EXECUTIONS[execution])
    session.observe = observe
    try:
        session.enter()
        yield session.log
    finally:
        session.leave()
    if must_edit:
        session.check_edited()

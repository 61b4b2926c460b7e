"""What an intervention looks at before it edits: hidden states, a watched layer, a plain pass.

What is seen is kept in the memory of the sequences, so that later layers and forwards (cached
answers, beams) find it.

Axes: B batch, T tokens, D hidden width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from interventions.engine.sequences import Sequences
from interventions.engine.view import Call, Rows, View
from interventions.methods.intervention import Intervention
from interventions.patching.upstream import CACHE, parameters

PLAIN = {"use_cache": False, "output_attentions": False}
LEFT_OUT = (*CACHE, "logits_to_keep")  # the live cache is for the forward that counts


def watched_layer(intervention: Intervention, layers: Sequence[int]) -> int | None:
    """The layer whose attention a probe looks at; `ValueError` when edits would come before it."""
    probe = intervention.probe
    if probe is None or probe.watches is None:
        return None
    layer = getattr(probe, probe.watches)
    if min(layers) <= layer:
        raise ValueError(
            f"The probe looks at layer {layer}, so only layers after it can be edited, got "
            f"{min(layers)}."
        )
    return layer


def watch(probe: Any, call: Call, rows: Rows) -> None:
    """Show the last prompt row of a layer to a probe, when it is in this call."""
    last = rows.key_position == rows.prompt_lengths[:, None] - 1
    last = (last & ~rows.keys_with(("padding",)))[:, -call.query.shape[2] :]
    index = last.any(dim=0).nonzero()[:, 0]
    if len(index) == 0:
        return
    view = View(call=call, rows=rows.at(index, last[:, index]))
    rows.memory["least attended"] = probe.observe(view)


def mark_tokens(
    probe: Any, layer: int, hidden: Float[Tensor, "batch token width"], sequences: Sequences
) -> None:
    """Mark the sinks among the new prompt tokens of one layer."""
    memory, name = sequences.memory, f"sinks.{layer}"
    total, count = sequences.ids.shape[1], hidden.shape[1]
    device = hidden.device
    prompt = sequences.real & (sequences.positions() < sequences.prompt_lengths[:, None])
    new = prompt[:, -count:].to(device)
    if not new.any():
        return
    starts = new & (sequences.positions()[:, -count:].to(device) == 0)  # first tokens seen here
    first = hidden[torch.arange(len(hidden), device=device), starts.int().argmax(dim=1)]
    known = memory.get(f"{name}.first", first).to(device)
    memory[f"{name}.first"] = torch.where(starts.any(dim=1, keepdim=True), first, known)
    marked = probe.observe(hidden, memory[f"{name}.first"].to(device)) & new
    earlier = memory.get(name, marked[:, :0]).to(device)[:, : total - count]
    memory[name] = torch.cat([earlier, marked], dim=1)


def prompt_confidence(
    model: PreTrainedModel, arguments: dict[str, Any], columns: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Highest probability of the first answer token, from a forward of the whole prompt."""
    given = {key: value for key, value in arguments.items() if value is not None}
    plain = {key: value for key, value in given.items() if key not in LEFT_OUT} | PLAIN
    kept = columns.unique()
    if "logits_to_keep" in parameters(model):
        plain["logits_to_keep"] = kept
        place = torch.searchsorted(kept, columns)
    else:
        place = columns
    output = model.forward(**plain)
    logits = output.logits[torch.arange(len(columns), device=output.logits.device), place]
    return logits.float().softmax(dim=-1).amax(dim=-1)

"""What a model attends to in the picture: patterns and masses of the last prompt rows, learned or
as an intervention leaves them.

    with capture(model) as seen:
        seen.expect(["first", "second"])
        model(**inputs)
    for sample in seen.take():
        sample.pattern  # (layer, head, row, image token), sums to one over the image tokens

Axes: L layers, H heads, R last prompt rows, N image tokens of a sample; B batch, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.engine.execution import weights_after
from interventions.engine.view import Call, Rows, View
from interventions.errors import InterventionError
from interventions.looking.log import AttentionLog
from interventions.looking.shares import rows_at
from interventions.methods.definitions import load
from interventions.methods.intervention import Intervention
from interventions.methods.parts import shown
from interventions.patching.patch import intervene


@dataclass(frozen=True, kw_only=True, eq=False)
class Attention:
    """Attention of one sample, float32 on the CPU; rows end with the last prompt row.

    NaN in layers without an attention matrix.
    """

    uid: str
    pattern: Float[Tensor, "layer head row token"]  # sums to one over the image tokens, or is 0
    mass: Float[Tensor, "layer head row"]  # share of the row that is on the image, in [0, 1]


@dataclass(eq=False)
class Capture:
    """Yielded by `capture`: names the samples that come, and gives back what they attended to."""

    rows: int
    intervention: Intervention
    _log: AttentionLog | None = field(default=None, repr=False)
    _seen: dict[str, Float[Tensor, "layer head row token"]] = field(default_factory=dict)
    _layers: set[int] = field(default_factory=set, repr=False)  # with attention

    @property
    def resting(self) -> bool:
        """Whether what comes is not looked at."""
        assert self._log is not None  # it is set before anybody gets this
        return self._log.resting

    def expect(self, samples: Sequence[str], **known: Sequence[Any] | None) -> None:
        """Name the rows of the next prompt, as `AttentionLog.expect` does."""
        assert self._log is not None
        self._log.expect(samples, **known)

    def take(self) -> list[Attention]:
        """Return and forget the samples that had an image, in the order in which they came.

        Raises `InterventionError` when a prompt is shorter than the rows that were asked for.
        """
        seen, self._seen = self._seen, {}
        for uid, weights in seen.items():
            if weights[sorted(self._layers)].isnan().any():
                raise InterventionError(
                    f"The last {self.rows} prompt rows of {uid!r} were not all seen; run the whole "
                    "prompt, or capture fewer rows."
                )
        return [_attention(uid, weights) for uid, weights in seen.items()]

    def observe(self, call: Call, rows: Rows, heads: Any) -> None:
        """Keep the weights on image tokens of those last prompt rows that are in this call."""
        self._layers.add(call.layer)
        last = rows.prompt_lengths[:, None]
        chosen = (rows.key_position < last) & (rows.key_position >= last - self.rows)
        chosen = (chosen & ~rows.keys_with(("padding",)))[:, -call.query.shape[2] :]
        index = chosen.any(dim=0).nonzero()[:, 0]
        if len(index) == 0:
            return
        last_rows = rows_at(rows, index, call.query.shape[2])
        view = View(call=call, rows=last_rows, probe=self.intervention.probe)
        weights, _ = weights_after(view, self.intervention, heads)
        tokens = rows.key_role.shape[1]
        weights = pad(weights.detach(), (tokens - view.keys, 0)).cpu()  # keys behind a window
        place = rows.key_position[:, -call.query.shape[2] :][:, index] - last + self.rows
        image, counts = rows.keys_with(("image",)).cpu(), rows.image_counts.tolist()
        for row, uid in enumerate(rows.uids):
            if counts[row] == 0:
                continue
            whole = (rows.layers, view.heads, self.rows, counts[row])
            kept = self._seen.setdefault(uid, torch.full(whole, torch.nan))
            here = chosen[row, index].cpu()
            kept[call.layer, :, place[row].cpu()[here]] = weights[row][:, here][:, :, image[row]]


def _attention(uid: str, weights: Float[Tensor, "layer head row token"]) -> Attention:
    mass = weights.sum(dim=-1)
    pattern = weights / mass.clamp_min(torch.finfo(torch.float32).tiny)[..., None]
    return Attention(uid=uid, pattern=pattern, mass=mass)


@block("with capture(model, rows=1) as seen")
def capture(
    model: PreTrainedModel, rows: int = 1, intervention: Intervention | None = None
) -> Iterator[Capture]:
    """See where the last `rows` prompt rows look: of a model that is not changed, or while an
    intervention is active, which may meet prompts that it does not edit.

    Raises what `intervene` raises.
    """
    if not isinstance(rows, int) or rows < 1:
        raise ValueError(
            f"rows must be at least 1, got {shown(rows)}: it counts the last rows of the prompt "
            "that are seen; write with capture(model, rows=1) as seen."
        )
    seen = Capture(rows, load("learned") if intervention is None else intervention)
    with intervene(model, seen.intervention, observe=seen.observe, must_edit=False) as seen._log:
        yield seen

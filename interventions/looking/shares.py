"""How the attention of a prompt is shared out between image and text, under an intervention.

    with shares(model, load("uniform")) as seen:
        seen.expect(["first", "second"])
        model(**inputs)
    for sample in seen.take():
        sample.mass[..., 0, GROUPS.index("image")]  # (layer, head), of the answer's row

Axes: L layers, H heads, P places (where rows look from), G groups of keys; B batch, Q queries of a
call, R those at hand, K keys, T tokens, D width of a head, M width of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.engine.algebra import attention_output
from interventions.engine.execution import weights_after
from interventions.engine.sequences import check_expectation
from interventions.engine.view import Call, Rows, View
from interventions.looking.log import AttentionLog
from interventions.methods.definitions import check_intervention
from interventions.methods.intervention import Intervention
from interventions.methods.parts import shown
from interventions.patching.decoders import Decoder, find_decoder
from interventions.patching.generation import whole_model
from interventions.patching.output_projection import output_grams
from interventions.patching.patch import intervene

GROUPS = ("first", "system", "image", "question")
"""Keys: the prompt's first token (where attention sinks are), other text up to the last image
token, image tokens, text after them. Without an image all but the first token is question. A sample
with tokens of a video or a sound has one more group, the last, for these.
"""

OTHER = "other"  # the group of those
FILLER = "filler"
"""The group of text that has nothing to do with the question: tokens of none but this one. Where
`expect` was told of some, a sample has both more groups, `OTHER` and then this one.
"""

ALL_GROUPS = (*GROUPS, OTHER, FILLER)

PLACES = ("answer", "question")
"""Rows: the last of the prompt, which gives the first answer token; the mean of all after the last
image token, that one included, without filler.
"""

Tokens = tuple[int, int]  # the first of some tokens, the one after the last

CHUNK = 1 << 23  # weights held at a time: 32 MiB in float32


@dataclass(frozen=True, kw_only=True, eq=False)
class Budget:
    """Shares of one sample's attention; NaN in layers without attention. Axes L, H, P, G.

    `mass` sums to one over the groups, unless the intervention leaks or scales weights. `effective`
    weighs keys by what they add to the residual stream and always sums to one, or is 0. G is
    `GROUPS`, and `OTHER` where the sample has such tokens; `ALL_GROUPS` where it has filler.

        || sum_{k in g} A[q, k] v_k W_O ||_2  /  sum over groups of the same

    with the head's own slice of W_O (Kobayashi et al. 2020, https://arxiv.org/abs/2004.10102).
    `uniform` is the mass under equal weights: keys of the group / all visible keys.
    """

    uid: str
    mass: Float[np.ndarray, "layer head place group"]
    effective: Float[np.ndarray, "layer head place group"]
    uniform: Float[np.ndarray, "layer place group"]
    image_tokens: int


@dataclass(eq=False)
class _Sums:
    image_tokens: int
    mass: Float[Tensor, "layer head place group"]
    effective: Float[Tensor, "layer head place group"]
    uniform: Float[Tensor, "layer place group"]
    rows: Int[Tensor, "layer place"]
    groups: int = len(GROUPS)  # of `ALL_GROUPS`, up to the last that the sample has


@dataclass(eq=False)
class BudgetLog:
    """Yielded by `shares`: names the samples that come, and gives back their shares."""

    decoder: Decoder
    intervention: Intervention
    log: AttentionLog | None = None  # what `intervene` yields
    _sums: dict[str, _Sums] = field(default_factory=dict, repr=False)
    _grams: dict[int, Tensor] = field(default_factory=dict, repr=False)
    _filler: dict[str, Sequence[Tokens]] = field(default_factory=dict, repr=False)

    @property
    def resting(self) -> bool:
        """Whether the log is paused: prompts that are read meanwhile are not measured."""
        assert self.log is not None  # it is set before anybody gets this
        return self.log.resting

    def expect(
        self,
        samples: Sequence[str],
        filler: Sequence[Sequence[Tokens]] | None = None,
        **known: Sequence[Any] | None,
    ) -> None:
        """Name the rows of the next prompt, as `AttentionLog.expect` does.

        `filler` lists for each row where text stands that has nothing to do with the question, as
        (first token, token after the last), counted without padding; untold, it counts as other
        text does. What was seen of these samples before, in a prompt that broke off say, is
        forgotten.
        """
        assert self.log is not None
        check_expectation(samples, filler=filler)
        check_filler(filler)
        self.log.expect(samples, **known)
        if not self.resting:  # a prompt that is not measured takes nothing away
            for uid, places in zip(samples, filler or [()] * len(samples), strict=True):
                self._sums.pop(uid, None)
                self._filler[uid] = places

    def take(self) -> list[Budget]:
        """Return and forget the samples, in the order in which they came.

        Without those whose prompt broke off before its last row was through all layers.
        """
        seen, self._sums, self._filler = self._sums, {}, {}
        layers = list(self.decoder.attention)
        return [_means(uid, sums) for uid, sums in seen.items() if sums.rows[layers].all()]

    @torch.no_grad()
    def observe(self, call: Call, rows: Rows, heads: Any) -> None:
        """Add the prompt rows of one call; `heads` as in `engine.execution.execute`."""
        count = call.query.shape[2]
        groups, places = _tokens(rows, self._is_filler(rows))
        places = places[..., -count:]
        index = places.any(dim=1).any(dim=0).nonzero()[:, 0]
        batch, heads_here, _, _ = call.query.shape
        step = max(1, CHUNK // (batch * heads_here * call.key.shape[2]))
        for part in index.split(step):
            view = View(call=call, rows=rows_at(rows, part, count), probe=self.intervention.probe)
            self._add(view, heads, groups, places[..., part].float())

    def _add(
        self,
        view: View,
        heads: Any,
        groups: Int[Tensor, "batch token"],
        places: Float[Tensor, "batch place row"],
    ) -> None:
        weights, _ = weights_after(view, self.intervention, heads)
        keys = one_hot(view.of_keys(groups)[:, 0, 0] + 1)  # 0: padding, later removed
        there = [max(len(GROUPS), 1 + last) for last in groups.amax(dim=1).tolist()]
        count = max(there)  # as many as are there
        member = torch.nn.functional.pad(keys, (0, count + 1 - keys.shape[-1]))
        member = member[:, None, :, 1:].float()
        visible = view.allowed.float() @ member
        shares = (
            weights @ member,
            self._effective(view, weights, member),
            visible / visible.sum(dim=-1, keepdim=True).clamp_min(1.0),
        )
        sums = [torch.einsum("bpr,bhrg->bhpg", places, share).cpu() for share in shares]
        sums = [torch.nn.functional.pad(each, (0, len(ALL_GROUPS) - count)) for each in sums]
        rows, counts = places.sum(dim=-1).long().cpu(), view.rows.image_counts.tolist()
        for row, uid in enumerate(view.rows.uids):
            kept = self._sums.get(uid)
            if kept is None:
                kept = self._sums[uid] = _nothing(view.rows.layers, view.heads, counts[row])
            kept.mass[view.layer] += sums[0][row]
            kept.effective[view.layer] += sums[1][row]
            kept.uniform[view.layer] += sums[2][row, 0]
            kept.rows[view.layer] += rows[row]
            kept.groups = max(kept.groups, there[row])

    def _is_filler(self, rows: Rows) -> Bool[Tensor, "batch token"]:
        found = torch.zeros_like(rows.key_role, dtype=torch.bool)
        for row, uid in enumerate(rows.uids):
            for start, stop in self._filler.get(uid, ()):
                found[row] |= (rows.key_position[row] >= start) & (rows.key_position[row] < stop)
        return found

    def _effective(
        self,
        view: View,
        weights: Float[Tensor, "batch head row key"],
        member: Float[Tensor, "batch 1 key group"],
    ) -> Float[Tensor, "batch head row group"]:
        """||o W||_2 of what every group gives, from the Gram matrix of W: (o W W^T o^T)^(1/2)."""
        if view.layer not in self._grams:
            module, width = self.decoder.attention[view.layer], view.value.shape[-1]
            self._grams[view.layer] = output_grams(module, view.heads, width)
        gram = self._grams[view.layer].to(weights.device)
        squares = []
        for group in member.unbind(dim=-1):
            given = attention_output(weights * group[:, :, None], view.value)
            squares.append(torch.einsum("bhrd,hde,bhre->bhr", given, gram, given))
        norms = torch.stack(squares, dim=-1).clamp_min(0.0).sqrt()
        tiny = torch.finfo(norms.dtype).tiny
        return norms / norms.sum(dim=-1, keepdim=True).clamp_min(tiny)


def check_filler(filler: Sequence[Sequence[Tokens]] | None) -> None:
    """Raise `ValueError` unless these say where filler stands."""
    for span in (span for row in filler or () for span in row):
        if not (isinstance(span, tuple | list) and len(span) == 2 and 0 <= span[0] < span[1]):
            raise ValueError(
                "filler must hold, for every row, where it stands as (first token, token after "
                f"the last), got {shown(span)}; leave the list of a row empty that has none."
            )


def _tokens(
    rows: Rows, filler: Bool[Tensor, "batch token"]
) -> tuple[Int[Tensor, "batch token"], Bool[Tensor, "batch place token"]]:
    """Group of every token (-1: none), and the rows of both places."""
    real = ~rows.keys_with(("padding",))
    position = rows.key_position
    prompt = real & (position < rows.prompt_lengths[:, None])
    image, other = rows.keys_with(("image",)), rows.keys_with(("video", "audio"))
    after = prompt & ~image & ~other & (image.cumsum(dim=1) == rows.image_counts[:, None])
    group = torch.full_like(rows.key_role, -1)
    for name, where in (
        ("system", prompt),
        ("question", after),
        (FILLER, prompt & filler),
        ("first", prompt & (position == 0)),
        ("image", image),
        (OTHER, other),
    ):
        group = group.masked_fill(where, ALL_GROUPS.index(name))
    last = prompt & (position == rows.prompt_lengths[:, None] - 1)
    return group, torch.stack([last, (after & ~filler) | last], dim=1)


def rows_at(rows: Rows, index: Int[Tensor, " row"], count: int) -> Rows:
    """Some of the `count` rows of the call, each edited as the call edits it."""
    edited = torch.zeros_like(rows.key_position[:, -count:], dtype=torch.bool)
    edited[:, rows.index] = rows.edited
    return replace(
        rows,
        index=index,
        span=None,
        edited=edited[:, index],
        measured=torch.zeros_like(edited[:, index]),
        position=rows.key_position[:, -count:][:, index],
        _cache={},
    )


def _nothing(layers: int, heads: int, image_tokens: int) -> _Sums:
    shape = (layers, heads, len(PLACES), len(ALL_GROUPS))
    return _Sums(
        image_tokens=image_tokens,
        mass=torch.zeros(shape),
        effective=torch.zeros(shape),
        uniform=torch.zeros(layers, len(PLACES), len(ALL_GROUPS)),
        rows=torch.zeros(layers, len(PLACES), dtype=torch.long),
    )


def _means(uid: str, sums: _Sums) -> Budget:
    """Sums over rows as means; NaN where there was none."""
    rows, kept = sums.rows[..., None], sums.groups
    return Budget(
        uid=uid,
        mass=(sums.mass[..., :kept] / rows[:, None]).numpy(),
        effective=(sums.effective[..., :kept] / rows[:, None]).numpy(),
        uniform=(sums.uniform[..., :kept] / rows).numpy(),
        image_tokens=sums.image_tokens,
    )


@block('with shares(model, load("uniform", layers="middle")) as seen')
def shares(
    model: PreTrainedModel,
    intervention: Intervention,
    execution: str = "fused",
    must_edit: bool = True,
) -> Iterator[BudgetLog]:
    """See how attention is shared out while an intervention is active, in the same forwards.

    What the model computes is what it computes inside `intervene` with the same arguments.

    Raises what `intervene` raises, and `InterventionError` when the output projection of a layer
    cannot be read.
    """
    check_intervention(intervention, model)
    seen = BudgetLog(find_decoder(whole_model(model)), intervention)
    with intervene(model, intervention, execution, seen.observe, must_edit) as seen.log:
        yield seen

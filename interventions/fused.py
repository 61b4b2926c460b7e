"""The fast execution: the reference's numbers without a matrix of all rows by all keys.

Rows go through in chunks, so memory stays flat. Where the block is the image, the two segments of
keys (image, rest) never meet in one matrix: with l the log-mass and o the output of each,

    o' = m' o'_b + (1 - m') o_t,   m' = sigmoid(l'_b - l_t)

so a pattern that does not read the scores needs no weight per entry (o'_b is one product of p with
the values, once per key-value head where p is shared), and a dropped block is never looked at. Any
other intervention takes the reference's own arithmetic, chunk by chunk.

Axes: B batch, H heads, R rows, K keys (of one segment), W width of a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.blocks import attention_output, attention_weights, expand_groups, log_mass
from interventions.execution import (
    Outcome,
    chosen_heads,
    execute_view,
    no_sums,
    not_finite,
    summed,
)
from interventions.heads import HeadRule
from interventions.intervention import Intervention
from interventions.masses import Transfer
from interventions.reference import proposed_scores
from interventions.view import Call, Rows, View

CHUNK = 1 << 21  # scores of one chunk: 8 MiB in float32

Pair = tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]


def execute(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> Outcome:
    """Measure the rows, and edit those of `heads` (None: only measure)."""
    batch, count, _, _ = call.query.shape
    if len(rows.index) == 0:
        return Outcome(sums=no_sums(batch, call.query.device))
    step = max(1, CHUNK // (batch * count * call.key.shape[2]))
    starts = range(0, len(rows.index), step)
    shared = rows.edits and rows.share_block(call.allowed)
    parts = [
        _execute_chunk(call, rows.part(start, start + step), intervention, heads, shared)
        for start in starts
    ]
    sums = reduce(add, (part.sums for part in parts))
    if parts[0].touched is None:
        return Outcome(sums=sums)
    return Outcome(
        sums=sums,
        touched=torch.cat([part.touched for part in parts], dim=2),
        output=torch.cat([part.output for part in parts], dim=2),
    )


def _execute_chunk(
    call: Call,
    rows: Rows,
    intervention: Intervention,
    heads: Sequence[int] | HeadRule | None,
    shared: bool,
) -> Outcome:
    if heads is None or not rows.edits:
        return _measured(*_segments(call, rows.about_image()))
    if _splits(intervention):
        image, rest = _segments(call, rows)
        return _merged(image, rest, View(call=call, rows=rows), intervention, heads, shared)
    return execute_view(View(call=call, rows=rows, probe=intervention.probe), intervention, heads)


def _splits(intervention: Intervention) -> bool:
    """Whether the edit can be made from the two segments alone."""
    return (
        intervention.keys == ("image",)
        and intervention.probe is None
        and not isinstance(intervention.mass, Transfer)
        and (intervention.mix == 1.0 or intervention.mix_domain == "score")
    )


def _segments(call: Call, rows: Rows) -> tuple[View, View]:
    """The block's keys and the others."""
    inside, outside = rows.split(call.key.shape[2])
    rest = View(call=call, rows=rows, columns=outside)
    return View(call=call, rows=rows, columns=inside, rest=rest), rest


def _measured(image: View, rest: View) -> Outcome:
    before, broken = _before(image, rest), not_finite(image) | not_finite(rest)
    return Outcome(sums=summed(image, before, before, None, broken))


def _before(image: View, rest: View) -> Pair:
    """Learned share of the image, and the entropy of its pattern: l_b - sum_j p_j s_j."""
    mass = image.learned_log_mass
    share = _share(mass, rest.rest_log_mass)
    pattern = torch.exp(image.scores - mass[..., None]).masked_fill(~image.block, 0.0)
    expected = (pattern * image.scores.masked_fill(~image.block, 0.0)).sum(dim=-1)
    return share, torch.where(mass.isfinite(), mass - expected, 0.0)


def _share(block: Tensor, rest: Tensor) -> Tensor:
    """e^block / (e^block + e^rest), 0 where both are -inf."""
    return torch.sigmoid(block - rest).nan_to_num(0.0)


def _merged(
    image: View,
    rest: View,
    whole: View,
    intervention: Intervention,
    heads: Sequence[int] | HeadRule,
    shared: bool,
) -> Outcome:
    """The edit, by merging the two segments; `shared` as in `Rows.share_block`."""
    before = _before(image, rest)
    proposed = proposed_scores(image, intervention)
    block = image.block
    if proposed.shape[2] == 1 and shared:
        block = (block & image.rows.edited[:, None, :, None]).any(dim=2, keepdim=True)
    log_proposed = _log_mass(proposed, block)
    replaced = intervention.mass.log_mass(image, log_proposed.expand_as(image.learned_log_mass))
    editable = log_proposed.isfinite() & torch.logaddexp(replaced, rest.rest_log_mass).isfinite()
    if intervention.mix < 1.0:
        moved = proposed + (replaced - log_proposed)[..., None]
        proposed = (1.0 - intervention.mix) * image.scores + intervention.mix * moved
        block = image.block
        replaced = log_proposed = log_mass(proposed, block)
    pattern = torch.exp(proposed - log_proposed[..., None]).masked_fill(~block, 0.0)
    inside, outside = _shares(replaced, image, rest, intervention)
    output = inside[..., None] * _output(pattern, image.value, image.heads)
    outside_weights = attention_weights(rest.scores, rest.allowed & ~rest.block)
    output = output + outside[..., None] * attention_output(outside_weights, rest.value)
    touched = editable & image.rows.edited[:, None, :] & chosen_heads(whole, heads)
    entropy = -torch.special.xlogy(pattern, pattern).sum(dim=-1)
    after = (
        torch.where(touched, inside, before[0]),
        torch.where(touched, torch.where(inside > 0, entropy, 0.0), before[1]),
    )
    broken = not_finite(image) | not_finite(rest)
    return Outcome(
        sums=summed(image, before, after, touched, broken), touched=touched, output=output
    )


def _shares(
    replaced: Float[Tensor, "batch head row"],
    image: View,
    rest: View,
    intervention: Intervention,
) -> Pair:
    """What the block and the rest receive, gains included."""
    if intervention.mass.leaks:
        total = torch.logaddexp(image.learned_log_mass, rest.rest_log_mass)
        inside = torch.exp(replaced - total).nan_to_num(0.0)
        outside = torch.exp(rest.rest_log_mass - total).nan_to_num(0.0)
    else:
        inside = _share(replaced, rest.rest_log_mass)
        outside = _share(rest.rest_log_mass, replaced)
    gain = intervention.head_gain
    return inside * intervention.value_gain * gain, outside * gain


def _log_mass(
    proposed: Float[Tensor, "batch|1 head|1 row|1 key|1"],
    block: Bool[Tensor, "batch head|1 row|1 key"],
) -> Float[Tensor, "batch head|1 row|1"]:
    shape = torch.broadcast_shapes(proposed.shape, block.shape)
    return log_mass(proposed.expand(shape), block)


def _output(
    pattern: Float[Tensor, "batch head|1 row|1 key"],
    value: Float[Tensor, "batch group key width"],
    heads: int,
) -> Float[Tensor, "batch head row|1 width"]:
    """p V, once per key-value head where all heads share the pattern."""
    if pattern.shape[1] == 1 and heads > 1:
        return expand_groups(pattern @ value.float(), heads)
    return attention_output(pattern, value)

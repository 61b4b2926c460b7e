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
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interventions.engine.algebra import (
    attention_output,
    expand_groups,
    log_add,
    log_sum,
    precise,
    restricted,
)
from interventions.engine.execution import (
    Outcome,
    chosen_heads,
    execute_view,
    no_sums,
    summed,
)
from interventions.engine.reference import proposed_scores
from interventions.engine.unmeasured import (
    LearnedSums,
    WholeRow,
    edit_linear,
    edit_mean,
    is_linear,
    is_mean,
)
from interventions.engine.view import Call, Rows, View
from interventions.methods.heads import HeadRule
from interventions.methods.intervention import Intervention
from interventions.methods.masses import Transfer
from interventions.methods.patterns import Learned

CHUNK = 1 << 21  # scores of one chunk: 8 MiB in float32
WIDE_CHUNK = 1 << 23  # of rows that are only measured

FLOOR = -1e30  # in the place of -inf where that would be subtracted from itself

Pair = tuple[Float[Tensor, "batch head row"], Float[Tensor, "batch head row"]]


def execute(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> Outcome:
    """Measure the rows, and edit those of `heads` (None: only measure)."""
    batch, count, _, _ = call.query.shape
    if len(rows.index) == 0:
        return Outcome(sums=no_sums(batch, call.query.device))
    if heads is None or not rows.edits:
        return _joined(_measure(call, rows))
    parts = rows.parts()
    outcomes = _measure(call, parts.measured) if parts.measured is not None else []
    keys = call.key.shape[2]
    chunked = _execute_chunk, max(1, CHUNK // (batch * count * keys))
    both = edited = chunked
    if not call.softcap and is_mean(intervention):
        both = _execute_mean, max(1, WIDE_CHUNK // (batch * count * keys))
        every_row = rows.causal(call.allowed)  # then no matrix of rows by keys is needed
        edited = _execute_bare, len(rows.index) if every_row else max(1, CHUNK // (batch * keys))
    elif not call.softcap and is_linear(intervention):
        edited = _execute_bare, max(1, CHUNK // (batch * keys))
    for part, (run, width) in ((parts.edited, edited), (parts.both, both)):
        if part is not None:
            part.sight(call.allowed)  # of all its rows; its chunks find it there
            outcomes += [run(call, chunk, intervention, heads) for chunk in _chunks(part, width)]
    return _joined(outcomes)


def _measure(call: Call, rows: Rows) -> list[Outcome]:
    """Rows that stay as they are; few numbers are held at once, so the chunks are large."""
    rows = rows.about_image()
    rows.sight(call.allowed)
    step = max(1, WIDE_CHUNK // (call.query.shape[0] * call.query.shape[1] * call.key.shape[2]))
    return [_measured(*_segments(call, chunk)) for chunk in _chunks(rows, step)]


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome for rows that were executed apart."""
    sums = reduce(add, (part.sums for part in outcomes))
    index = [part.index for part in outcomes if part.index is not None]
    touched = [part.touched for part in outcomes if part.touched is not None]
    output = [part.output for part in outcomes if part.output is not None]
    if not touched:
        return Outcome(sums=sums)
    return Outcome(
        sums=sums,
        index=torch.cat(index),
        touched=torch.cat(touched, dim=2),
        output=torch.cat(output, dim=2),
    )


def _chunks(rows: Rows, step: int) -> list[Rows]:
    return [rows.part(start, start + step) for start in range(0, len(rows.index), step)]


def _execute_bare(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule
) -> Outcome:
    if is_mean(intervention):
        return edit_mean(WholeRow(call=call, rows=rows), intervention, heads, None)
    view = View(call=call, rows=rows, probe=intervention.probe)
    return edit_linear(view, intervention, heads)


def _execute_mean(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule
) -> Outcome:
    """Rows that are measured and get the mean of their values."""
    before = _on_image(*_segments(call, rows.about_image()))
    return edit_mean(WholeRow(call=call, rows=rows), intervention, heads, before)


def replaces_all(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule | None
) -> bool:
    """Whether every row and head of the call is certain to be replaced.

    Then the model's own backend need not run. It is never asked for some of the rows: kernels round
    differently for fewer rows, and rows that nobody edits are to stay as they are, bit for bit.
    """
    if heads is None or isinstance(heads, HeadRule) or len(heads) < call.query.shape[1]:
        return False
    known = _splits(intervention) or is_linear(intervention) or is_mean(intervention)
    if not (rows.edits and known and intervention.pattern.proper) or intervention.probe is not None:
        return False
    sight = rows.sight(call.allowed)
    return sight.inner if intervention.mass.needs_rest else sight.certain


def _execute_chunk(
    call: Call, rows: Rows, intervention: Intervention, heads: Sequence[int] | HeadRule
) -> Outcome:
    if _splits(intervention):
        image, rest = _segments(call, rows)
        return _merged(image, rest, View(call=call, rows=rows), intervention, heads)
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
    before = _on_image(image, rest)
    return Outcome(sums=summed(image, before.pair, before.pair, None, before.broken))


@torch.no_grad()  # measured alone: views that nothing is computed from
def _on_image(image: View, rest: View) -> LearnedSums:
    """Share of the image and entropy of its pattern p: l_b - sum_j p_j s_j.

    With l_b = s_j - log p_j at the likeliest key; a score that is not finite spoils the sum.
    """
    share = entropy = torch.zeros_like(rest.rest_log_mass)
    broken = _broken(rest)
    if image.keys:
        scores = image.scores if image.all_visible else restricted(image.scores, image.block)
        highest = scores.amax(dim=-1)
        seen = ~highest.isneginf()
        pattern = torch.softmax(scores, dim=-1)
        mass = torch.where(seen, highest - pattern.amax(dim=-1).log(), -torch.inf)
        expected = pattern.mul_(image.scores).sum(dim=-1)
        share = _share(mass, rest.rest_log_mass)
        entropy = torch.where(seen, mass - expected, 0.0)
        broken = broken | (seen & ~expected.isfinite()).flatten(1).any(dim=1)
    return LearnedSums(pair=(share, entropy), broken=broken)


def _learned(image: View, rest: View) -> tuple[Pair, Float[Tensor, "batch head row key"]]:
    """Share of the image, entropy of its pattern (l_b - sum_j p_j s_j), and the pattern itself."""
    mass = image.learned_log_mass
    pattern = _pattern(image.scores, mass, image)
    expected = torch.einsum("bhrk,bhrk->bhr", pattern, image.scores)
    entropy = torch.where(mass.isfinite(), mass - expected, 0.0)
    return (_share(mass, rest.rest_log_mass), entropy), pattern


def _broken(view: View) -> Bool[Tensor, " batch"]:
    """Samples with a NaN or infinite score: it spoils their sum."""
    return ~view.scores.sum(dim=(1, 2, 3)).isfinite()


def _share(block: Tensor, rest: Tensor) -> Tensor:
    """e^block / (e^block + e^rest), 0 where both are -inf."""
    nothing = block.isneginf() & rest.isneginf()
    return torch.sigmoid(block - rest.masked_fill(nothing, 0.0))


def _pattern(scores: Tensor, log_mass: Tensor, view: View) -> Tensor:
    """e^(scores - log_mass) on the block, 0 elsewhere and in rows without any."""
    if not view.all_visible:
        scores = restricted(scores, view.block)
    return torch.exp(scores - log_mass.clamp_min(FLOOR)[..., None])


def _merged(
    image: View,
    rest: View,
    whole: View,
    intervention: Intervention,
    heads: Sequence[int] | HeadRule,
) -> Outcome:
    """The edit, by merging the two segments."""
    before, learned = _learned(image, rest)
    edit = _edit(image, rest, intervention, learned, before[1])
    inside, outside = _shares(edit.log_mass, image, rest, intervention)
    output = inside[..., None] * _output(edit.pattern, image.value, image.heads)
    others = restricted(rest.scores, rest.allowed & ~rest.block)
    others = torch.exp(others - rest.rest_log_mass.clamp_min(FLOOR)[..., None])
    output = output + outside[..., None] * attention_output(others, rest.value)
    touched = edit.editable & image.rows.edited[:, None, :] & chosen_heads(whole, heads)
    after = (
        torch.where(touched, inside, before[0]),
        torch.where(touched, torch.where(inside > 0, edit.entropy, 0.0), before[1]),
    )
    broken = _broken(image) | _broken(rest)
    return Outcome(
        sums=summed(image, before, after, touched, broken),
        index=image.rows.index,
        touched=touched,
        output=output,
    )


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What becomes of the block; axes that nothing depends on may have size one."""

    pattern: Float[Tensor, "batch head|1 row|1 key"]
    entropy: Float[Tensor, "batch head|1 row|1"]
    log_mass: Float[Tensor, "batch head row"]
    editable: Bool[Tensor, "batch head row"]


def _edit(
    image: View,
    rest: View,
    intervention: Intervention,
    learned: Float[Tensor, "batch head row key"],
    entropy: Float[Tensor, "batch head row"],
) -> Edit:
    """The new pattern and log-mass; `learned` pattern and its `entropy` are there already."""
    if isinstance(intervention.pattern, Learned) and intervention.calibration is None:
        proposed, block, log_proposed = image.scores, image.block, image.learned_log_mass
        pattern = learned
    else:
        proposed = proposed_scores(image, intervention)
        block = image.block
        if proposed.shape[2] == 1 and image.rows.sight(image.call.allowed).shared:
            block = (block & image.rows.edited[:, None, :, None]).any(dim=2, keepdim=True)
        proposed = restricted(proposed, block)
        log_proposed = log_sum(proposed)
        pattern = torch.exp(proposed - log_proposed.clamp_min(FLOOR)[..., None])
        entropy = _entropy(pattern, proposed, log_proposed)
    log_mass = intervention.mass.log_mass(image, log_proposed.expand_as(image.learned_log_mass))
    total = log_add(log_mass, rest.rest_log_mass)
    editable = log_proposed.isfinite() & total.isfinite()
    if intervention.mix < 1.0:
        moved = proposed + torch.where(editable, log_mass - log_proposed, 0.0)[..., None]
        mixed = (1.0 - intervention.mix) * image.scores + intervention.mix * moved
        mixed = restricted(mixed, image.block)
        log_mass = log_sum(mixed)
        pattern = torch.exp(mixed - log_mass.clamp_min(FLOOR)[..., None])
        entropy = _entropy(pattern, mixed, log_mass)
    return Edit(pattern=pattern, entropy=entropy, log_mass=log_mass, editable=editable)


def _entropy(pattern: Tensor, scores: Tensor, log_mass: Tensor) -> Tensor:
    """-sum_j p_j log p_j with log p_j = a_j - l, in nats; meaningless where l is -inf."""
    return log_mass - torch.einsum("bhrk,bhrk->bhr", pattern, scores.clamp_min(FLOOR))


def _shares(
    replaced: Float[Tensor, "batch head row"],
    image: View,
    rest: View,
    intervention: Intervention,
) -> Pair:
    """What the block and the rest receive, gains included."""
    if intervention.mass.leaks:
        total = log_add(image.learned_log_mass, rest.rest_log_mass)
        inside = torch.exp(replaced - total).nan_to_num(0.0)
        outside = torch.exp(rest.rest_log_mass - total).nan_to_num(0.0)
    else:
        inside = _share(replaced, rest.rest_log_mass)
        outside = _share(rest.rest_log_mass, replaced)
    gain = intervention.head_gain
    return inside * intervention.value_gain * gain, outside * gain


def _output(
    pattern: Float[Tensor, "batch head|1 row|1 key"],
    value: Float[Tensor, "batch group key width"],
    heads: int,
) -> Float[Tensor, "batch head row|1 width"]:
    """p V, once per key-value head where all heads share the pattern."""
    if pattern.shape[1] == 1 and heads > 1:
        return expand_groups(pattern @ precise(value), heads)
    return attention_output(pattern, value)

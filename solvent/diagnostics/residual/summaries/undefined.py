"""Why numbers of updates are not there: how often each flag was raised, in words."""

from __future__ import annotations

import numpy as np

from solvent.diagnostics.residual.geometry_figure import PARTS
from solvent.diagnostics.residual.lens import FLAG
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates

MEANING = {  # flag -> what it says in words
    "not_finite": "states that are not finite: nothing is known",
    "zero_before": "zeros in front: no RID, no kappa",
    "zero_after": "zeros behind: no RID",
    "zero_update": "an update of zeros: no kappa",
    "full_width": "tokens that span the whole width: no kappa",
    "one_token": "one token: no share of ln S",
    "zero_token": "a token of zeros: cosine 0 with all others",
}
Counts = dict[str, dict[str, dict[str, int]]]


def flagged(found: MeasuredUpdates) -> Counts:
    """Set of tokens -> `attention` or `ffn` -> flag -> in how many sample-layers it was raised, in
    any draw. Flags that were never raised are missing, as are all of what was stored without.
    """
    counts: Counts = {}
    for name in found.measures:
        part, _, flag = name.partition(f".{FLAG}")
        if flag and part in PARTS:
            for tokens in found.sets:
                raised = np.nan_to_num(found.of(tokens, name)) > 0
                if raised.any():
                    counts.setdefault(tokens, {}).setdefault(part, {})[flag] = int(raised.sum())
    return counts


def in_words(counts: Counts, found: MeasuredUpdates, tokens: str) -> str:
    """A clause about one set of tokens; empty where nothing was flagged."""
    clauses = [
        f"{count} of {np.isfinite(found.of(tokens, f'{part}.{FLAG}{flag}')).sum()} sample-layers "
        f"of {PARTS[part]} have {MEANING[flag]}"
        for part, flags in counts.get(tokens, {}).items()
        for flag, count in flags.items()
    ]
    return f"; {', '.join(clauses)}" if clauses else ""

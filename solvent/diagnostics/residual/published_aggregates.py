"""Four means that were published of these measures, beside a cell's own.

Source: Table 1 of Large Vision-Language Models Get Lost in Attention,
https://arxiv.org/abs/2605.05668. It is context and no target: other models, and neither the
exponent of MixIG nor its unit is said; as printed, -0.80 needs an exponent above 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from solvent.diagnostics.residual.depth_table import mean_over
from solvent.diagnostics.residual.layer_geometry import Variant

PUBLISHED = (  # name there, RID, MixIG, and what is measured here for it
    ("Noise-Delta", 0.61, -0.80, "attention_moments"),
    ("Noise-QKV", 0.44, -0.50, "attention_noise_qkv"),
    ("attention", 0.06, 0.61, "attention"),
    ("feed-forward", 0.21, 0.02, "ffn"),
)


def beside_published(
    measured: Mapping[str, Float[np.ndarray, "N L"]],
    clusters: Int[np.ndarray, " N"],
    variant: Variant,
) -> list[dict[str, Any]]:
    """Rows: what was published, and this cell's mean RID and MixIG, in nats and as a share of ln S,
    at the last exponent; None where it was not measured.
    """
    alpha = variant.alphas[-1]
    own = {
        "rid": "rid",
        "mixig_nats": f"mixig_nats_alpha{alpha:g}",
        "mixig_share": f"mixig_alpha{alpha:g}",
    }

    def mean(name: str) -> float | None:
        found = mean_over(measured[name], clusters) if name in measured else None
        return None if found is None else found.value

    return [
        {"name": name, "published": {"rid": rid, "mixig": mixig}, "measured": part}
        | {key: mean(f"{part}.{measure}") for key, measure in own.items()}
        for name, rid, mixig, part in PUBLISHED
    ]


def in_words(rows: Sequence[Mapping[str, Any]], variant: Variant) -> str:
    """One clause about all rows."""
    known = [
        f"{row['name']} {row['rid']:.2f} / {row['mixig_nats']:.2f} ({row['published']['rid']:.2f} "
        f"/ {row['published']['mixig']:.2f})"
        for row in rows
        if row["rid"] is not None and row["mixig_nats"] is not None
    ]
    return (
        f"RID / MixIG here and (in brackets) as published, of other models and by a variant that "
        f"is not verified: {', '.join(known)}; here innovations are combined by {variant.combine}, "
        f"rows {variant.rows}, reference {variant.reference}, alpha {variant.alphas[-1]:g}, nats"
    )

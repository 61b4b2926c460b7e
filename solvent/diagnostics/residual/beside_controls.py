"""What was measured under a model's own controls, beside what was measured of the model itself.

Axes: N samples, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.residual.altered_models import UNROTATED
from solvent.diagnostics.residual.lens import STEP
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates

UPDATED = ("attention", "ffn")
COMPARED = ("rid", "kappa", "relative_norm", "mixig")  # beginnings of names; the rest is stored
ROTATION = "rotation"  # what attention with rotation does to the stream behind that without


def of_controls(
    measured: Mapping[str, MeasuredUpdates], uids: Sequence[str]
) -> dict[str, dict[str, Float[np.ndarray, "N L"]]]:
    """By set of tokens, and then by name: `attention_noise_qkv.rid`, `rotation.rid`.

    NaN for samples that a control does not have. A control of which nothing is known is missing.
    """
    found: dict[str, dict[str, Float[np.ndarray, "N L"]]] = {}
    for control, updates in measured.items():
        if control == REFERENCE:
            continue
        there = updates.at(uids)
        for tokens in there.sets:
            for name in there.measures:
                part, _, measure = name.partition(".")
                known = _called(control, part)
                values = there.of(tokens, name)
                if known and measure.startswith(COMPARED) and np.isfinite(values).any():
                    found.setdefault(tokens, {})[f"{known}.{measure}"] = values
    return found


def _called(control: str, part: str) -> str | None:
    """None for what is no update, or of another kind."""
    if control == UNROTATED:
        return ROTATION if part == STEP else None
    return f"{part}_{control}" if part in UPDATED else None

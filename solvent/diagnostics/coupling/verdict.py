"""What a fusion gain says: at most that states are coupled, never that the image is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solvent.diagnostics.coupling.gain import LOSSLESS, Judged
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide


def verdicts(
    own: Judged,
    uniform: Judged | None,
    *,
    coupling: str,
    layer: int,
    controls: Sequence[str],
    margin: float,
) -> dict[str, Any]:
    """Both verdicts and the reason, as a finding has them.

    Args:
        own: Gains under the cell's own attention.
        uniform: Those under uniform attention, where it was run.
        coupling: What the tests by permutation say.
        layer: The model's number of the layer that is judged.
        controls: Names of the runs in which the text could not see the image.
        margin: Bits that the gain has to exceed.
    """
    strict = {"none": "FAIL", "nonlinear": "INCONCLUSIVE"}.get(coupling, "COUPLED")
    if own.best is None:
        verdict: Verdict = "COUPLED" if own.copied else "INCONCLUSIVE"
        reason = (
            f"at layer {layer} text states {'copy' if own.copied else 'and controls copy'} the "
            f"image's (canonical correlation {own.correlations[0, own.layer]:.4f}, above "
            f"{LOSSLESS:g}), so that there are no bits"
        )
    else:
        verdict = decide(own.best, margin)
        verdict = "COUPLED" if verdict == "PASS" else verdict
        reason = (
            f"at layer {layer} image and text states share {_bits(own.best)} more than under "
            f"{' and '.join(controls)} (margin {margin})"
        )
        if own.best.doubt:
            reason += f"; no verdict: {own.best.doubt}"
    if coupling == "nonlinear" and verdict == "FAIL":
        verdict = "INCONCLUSIVE"
        reason += "; only the kernel test sees coupling, whose bits are not estimable"
    if uniform:
        reason += f"; under uniform attention {_bits(uniform.best) if uniform.best else 'all'}"
    if verdict == "COUPLED":
        reason += "; coupled, which an untrained network is as well: no sign of use"
    return {"verdict": verdict, "strict": strict, "reason": reason}


def _bits(gain: Estimate) -> str:
    return f"{gain.value:.3f} {gain.interval} bit"

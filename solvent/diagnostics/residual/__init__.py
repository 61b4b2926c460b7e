"""What an update of the residual stream does to its geometry, and what chance would do.

    before, after = factor(x, rtol=None, route="fast"), factor(y, rtol=None, route="fast")
    geometry = measure(before, after, combine="mean", rows="mean", alphas=(1.0, 8.0))
    geometry.columns()["row_innovation"]  # one number per layer

Pure mathematics on states `(layer, token, width)`, torch, any device, in float64 whatever comes.
Source of the measures: Large Vision-Language Models Get Lost in Attention (2026),
https://arxiv.org/abs/2605.05668, section 3, and its released helpers,
https://github.com/Lrbomchz/vlms_lost_in_attn (`interp_utils.py`, `noise_utils.py`).
"""

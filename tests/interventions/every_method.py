"""Every file in conf/intervention, set up so that it edits something in a small random model.

Files name layers of models with 32 layers, thresholds of trained models, and tensors that a
calibration makes; the table below replaces those values, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from interventions import AttentionLog, Intervention, available, intervene, load

Inputs = dict[str, torch.Tensor]
LAYERS, HEADS = 3, 4  # of the random models
STORED = {  # name of the file's tensor, donors, and whether layers and heads differ
    "fixed_file": ("pattern", 1, False),
    "fixed_mean": ("pattern", 1, True),
    "donor": ("pattern", 5, True),
    "learned_prior": ("pattern", 1, True),
    "caac_vtc": ("scale", 1, True),
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "pai": {"layers": "1-"},
    "var_sinks": {
        "layers": "1-",
        "probe.threshold": 1.0,
        "heads.rules.few_sinks.most": 1.0,
        "heads.rules.visual.least": 0.0,
    },
    "ad_hh": {"heads.rules.textual.least": 0.0},
    "attnreal": {"probe.factor": 0.5},
    "adapt_vis": {"pattern.threshold": 0.5},
    "caac": {"pattern.threshold": 1.0},
    "spin": {"heads.share": 0.5},
}
SINGLE = ("llava", "qwen2_5_vl")  # families that show a picture in one grid
EDITS = [name for name in available() if not load(name).is_identity]
LEAKY = tuple(name for name in EDITS if load(name).leaks)
DECODING = ("attnreal",)  # edits generated rows only
WHOLE_PROMPT = tuple(
    name for name in EDITS if load(name).needs_whole_prompt or load(name).pattern.needs_confidence
)


def prepared(
    name: str, tokens: int = 4, depth: int = LAYERS, width: int = HEADS, **overrides: Any
) -> Intervention:
    """The intervention of a file, applicable to a model of `depth` layers of `width` heads.

    `tokens` are those of an image.
    """
    return load(
        name, **{**SETTINGS.get(name, {}), **_files(name, tokens, depth, width), **overrides}
    )


def describe(
    log: AttentionLog,
    model: PreTrainedModel,
    intervention: Intervention,
    inputs: Inputs,
    uids: Sequence[str],
    lengths: Sequence[int] | None = None,
) -> None:
    """Announce a prompt, with whatever the intervention must be told about it."""
    counts = (inputs["input_ids"] == model.config.image_token_id).sum(dim=1).tolist()
    known = model.config.model_type in SINGLE or not asks_for_one_grid(intervention)
    weights = None if known else [np.arange(1.0, count + 1.0) for count in counts]
    boxes = [[[(0.0, 0.0, 0.5, 1.0)]] * 4] * len(uids)
    pictured = intervention.pattern.pictured is not None
    log.expect(
        uids,
        lengths,
        priors=weights if pictured else None,
        regions=boxes if pictured and known else None,
    )


def asks_for_one_grid(intervention: Intervention) -> bool:
    """Whether a fixed pattern compares patches, rather than being one of places."""
    pictured = intervention.pattern.pictured
    return pictured is not None and (pictured.needs_patches or pictured.needs_attention)


def image_tokens(model: PreTrainedModel, inputs: Inputs) -> int:
    """Image tokens of the first sample that has any."""
    counts = (inputs["input_ids"] == model.config.image_token_id).sum(dim=1)
    return int(counts[counts > 0][0]) if counts.any() else 4


@contextmanager
def opened(
    model: PreTrainedModel,
    name: str,
    inputs: Inputs,
    uids: Sequence[str] = ("first", "second"),
    lengths: Sequence[int] | None = None,
    execution: str = "fused",
    **overrides: Any,
) -> Iterator[AttentionLog]:
    """A context in which the prompt has been announced."""
    intervention = prepared(name, image_tokens(model, inputs), **overrides)
    with intervene(model, intervention, execution) as log:
        describe(log, model, intervention, inputs, uids, lengths)
        yield log


def prompt_part(name: str, inputs: Inputs) -> list[int] | None:
    """Prompt lengths that leave two generated rows, for what edits nothing else."""
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    return [length - 2 for length in lengths] if name in DECODING else None


def stored_tensors(
    name: str, tokens: int, layers: int = LAYERS, heads: int = HEADS
) -> dict[str, torch.Tensor]:
    """What the file of an intervention holds, for pictures of so many tokens."""
    tensor, donors, differ = STORED[name]
    shape = (donors, layers, heads, tokens) if differ else (donors, 1, 1, tokens)
    generator = torch.Generator().manual_seed(len(name))
    tensors = {tensor: torch.rand(*shape, generator=generator) + 0.1}
    if name == "learned_prior":
        tensors["mass_logit"] = torch.randn(layers, heads, generator=generator)
    return tensors


@cache
def _files(name: str, tokens: int, layers: int, heads: int) -> dict[str, str]:
    if name not in STORED:
        return {}
    path = str(Path(mkdtemp(prefix="solvent-")) / f"{name}.safetensors")
    save_file(stored_tensors(name, tokens, layers, heads), path)
    fields = ["pattern.file"] + (["mass.file"] if name == "learned_prior" else [])
    return dict.fromkeys(fields, path)

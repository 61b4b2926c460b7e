"""What interventions cost on models of seven billion parameters: reading a prompt, and each token.

The untouched model runs before and after every intervention; a ratio is to the mean of both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedModel

from interventions import InterventionError, intervene, load
from interventions.patching import upstream
from tools.gpu.clock import seconds
from tools.gpu.job import Job
from tools.gpu.shapes import BUILDERS, SHAPES, Shape, prompt, smaller

CASES = (
    "learned", "uniform", "gaussian", "knockout", "reweight", "fixed_center", "scaling_vis", "pai",
    "sap_as_described", "dirichlet", "permuted", "spin", "uniform_row", "vaf", "caac", "fastv_mask",
    "devils", "reversed", "causalmm", "gaussian_scores",
)  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {"pai": {"layers": "1-"}, "devils": {"layers": "all"}}
BATCHES = (1, 8, 32)
ROUNDS, TOKENS = 3, 16
READING, DECODING = 1.10, 1.25  # what is promised, beyond that a figure counts as failed
GIB = 2**30


def check(job: Job) -> None:
    """Every shape, batch by batch."""
    dtype = torch.float32 if job.quick else torch.bfloat16
    with job.step("matrix product"):
        peak = matmul_peak(job, dtype)
    for name, build in BUILDERS.items():
        shape = smaller(SHAPES[name]) if job.quick else SHAPES[name]
        model = build(shape, job.device, dtype)
        if model.config.model_type == "llava":
            with job.step("flash attention"):
                refuses_flash(job, model)
        for batch in (2,) if job.quick else BATCHES:
            with job.step(f"{name}, batch {batch}"), torch.inference_mode():
                measure(job, f"{name}, batch {batch}", model, shape, batch, peak)
        del model
        if job.cuda:
            torch.cuda.empty_cache()


def matmul_peak(job: Job, dtype: torch.dtype) -> float:
    """The fastest product of two large matrices, FLOP/s."""
    size = 512 if job.quick else 8192
    left, right = (torch.randn(size, size, device=job.device, dtype=dtype) for _ in range(2))
    times = [seconds(job.device, lambda: left @ right) for _ in range(6)][1:]
    rates = [2 * size**3 / taken for taken in times]
    job.report.add("Speed", f"product of {size} x {size}", "TFLOP/s", [r / 1e12 for r in rates])
    return max(rates)


def measure(
    job: Job, title: str, model: PreTrainedModel, shape: Shape, batch: int, peak: float
) -> None:
    """Time and memory of all cases on one shape."""
    section, inputs = f"Speed, {title}", prompt(model, shape, batch)
    plain: Callable[[], Any] = nullcontext
    answer(job, model, inputs, plain)  # warming up
    before = answer(job, model, inputs, plain)
    base = peak_memory(model, inputs, plain) if job.cuda else 0.0
    untouched = [before]
    rounds = 1 if job.quick else ROUNDS
    for name in CASES[:3] if job.quick else CASES:
        with job.step(f"{title}, {name}"):
            context = partial(intervene, model, load(name, **CHANGES.get(name, {})))
            answer(job, model, inputs, context)  # warming up
            found = []
            for _ in range(rounds):
                patched, after = (answer(job, model, inputs, way) for way in (context, plain))
                found.append(
                    [2 * p / (b + a) for p, b, a in zip(patched, before, after, strict=True)]
                )
                untouched.append(after)
                before = after
            reading, decoding = zip(*found, strict=True)
            strict = not job.quick  # a small model on a CPU says nothing about cost
            job.report.add(
                section, f"{name}: prompt", "x plain", reading, READING if strict else None
            )
            job.report.add(
                section, f"{name}: each token", "x plain", decoding, DECODING if strict else None
            )
            if job.cuda:
                extra = (peak_memory(model, inputs, context) - base) / GIB
                job.report.add(section, f"{name}: peak memory beyond plain", "GiB", extra)
    reading, decoding = zip(*untouched, strict=True)
    job.report.add(section, "plain: prompt", "s", reading)
    job.report.add(section, "plain: each token", "ms", [1000 * taken for taken in decoding])
    weights = sum(p.numel() for p in model.get_decoder().layers.parameters())
    work = 2 * weights * shape.tokens * batch  # attention itself left out
    share = work / median(reading) / peak
    job.report.add(section, "plain: prompt, share of the product's FLOP/s", "%", 100 * share)


def answer(
    job: Job, model: PreTrainedModel, inputs: dict[str, Any], context: Callable[[], Any]
) -> tuple[float, float]:
    """Seconds that the prompt takes, and every token behind it."""
    with context() as log:
        if log is not None:
            rows = len(inputs["input_ids"])
            log.expect([f"row {row}" for row in range(rows)])
        cache = {upstream.cache_argument(model): upstream.new_cache(model), "use_cache": True}
        state: dict[str, Any] = {"mask": inputs["attention_mask"]}

        def read() -> None:
            state["logits"] = model(**inputs, **cache, logits_to_keep=1).logits

        def decode() -> None:
            for _ in range(TOKENS):
                token = state["logits"][:, -1].argmax(dim=-1, keepdim=True)
                mask = torch.cat([state["mask"], torch.ones_like(token)], dim=1)
                place = mask.sum(dim=1, keepdim=True) - 1
                if model.config.model_type != "llava":
                    place = place.expand(3, *place.shape)
                state["mask"] = mask
                state["logits"] = model(
                    input_ids=token, attention_mask=mask, position_ids=place, **cache
                ).logits

        return seconds(job.device, read), seconds(job.device, decode) / TOKENS


def peak_memory(
    model: PreTrainedModel, inputs: dict[str, Any], context: Callable[[], Any]
) -> float:
    """Bytes on the GPU at most while a prompt is read."""
    with context():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        model(**inputs, logits_to_keep=1, use_cache=False)
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()


def refuses_flash(job: Job, model: PreTrainedModel) -> None:
    """A model on flash attention is refused in one sentence, not computed wrongly."""
    restore = upstream.keep_backends(model)
    for config in upstream.configurations(model):
        config._attn_implementation_internal = "flash_attention_2"
    try:
        with intervene(model, load("uniform")):
            job.report.fail("flash attention", "expected a refusal, but the block was entered")
    except InterventionError as refusal:
        job.report.add("Speed", "flash attention is refused", "", 1.0, None, str(refusal))
    finally:
        restore()

"""What interventions cost: `python -m tools.interventions_cost --help`.

A decoder of LLaVA's shape with random weights reads one prompt. The unpatched model runs before
and after every intervention, round after round in one process: the ratio is that of one forward to
the mean of its two neighbours, and the median over rounds is shown. On a CPU the time is that of
the process, on a GPU that of the device. Memory is the peak of one forward above the unpatched
model's, as a share of what eager attention adds to it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel

from interventions import intervene, load

IMAGE, PATCH, TOKENS = 336, 14, 576  # LLaVA 1.5: pixels of a side, of a patch, tokens of a picture
IMAGE_TOKEN, VOCABULARY = 3, 1024
SHAPES = {"640": (1, 64), "3008": (5, 128)}  # pictures, text tokens


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the table; `limit` is the ratio that this project promises on a CPU."""

    label: str
    limit: float
    name: str
    changes: dict[str, Any]


CASES = (
    Case(label="learned", limit=1.01, name="learned", changes={}),
    Case(label="sap_qwen2_5_vl", limit=1.05, name="sap_qwen2_5_vl", changes={}),
    Case(label="sap_llava", limit=1.05, name="sap_llava", changes={}),
    Case(label="pai", limit=1.05, name="pai", changes={"layers": "all"}),
    Case(label="scaling_vis", limit=1.05, name="scaling_vis", changes={}),
    Case(label="uniform", limit=1.10, name="uniform", changes={}),
    Case(label="fixed_center", limit=1.10, name="fixed_center", changes={}),
    Case(label="dirichlet, one draw", limit=1.10, name="dirichlet", changes={"scope": "sample"}),
    Case(label="reweight", limit=1.10, name="reweight", changes={}),
    Case(label="knockout", limit=1.10, name="knockout", changes={}),
    Case(label="causalmm", limit=1.10, name="causalmm", changes={}),
    Case(label="gaussian", limit=1.50, name="gaussian", changes={}),
    Case(label="dirichlet, every entry", limit=1.50, name="dirichlet", changes={}),
)


def build(settings: argparse.Namespace) -> PreTrainedModel:
    """A LLaVA with a decoder of the wanted size and next to no vision encoder."""
    torch.manual_seed(0)
    config = LlavaConfig(
        text_config={
            "model_type": "llama",
            "vocab_size": VOCABULARY,
            "hidden_size": settings.hidden,
            "intermediate_size": int(settings.hidden * 11008 / 4096),
            "num_hidden_layers": settings.layers,
            "num_attention_heads": settings.hidden // 128,
            "max_position_embeddings": 4096,
        },
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "image_size": IMAGE,
            "patch_size": PATCH,
        },
        image_token_index=IMAGE_TOKEN,
        vision_feature_layer=-1,
    )
    with torch.device(settings.device):
        model = LlavaForConditionalGeneration(config)
    return model.to(getattr(torch, settings.dtype)).eval()


def prompt(model: PreTrainedModel, pictures: int, text: int, batch: int) -> dict[str, Any]:
    """Ten tokens, the pictures, the rest of the text."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, VOCABULARY, (batch, text + pictures * TOKENS), generator=generator)
    ids[:, 10 : 10 + pictures * TOKENS] = IMAGE_TOKEN
    pixels = torch.randn(batch * pictures, 3, IMAGE, IMAGE, generator=generator)
    return {
        "input_ids": ids.to(model.device),
        "attention_mask": torch.ones_like(ids).to(model.device),
        "pixel_values": pixels.to(model.device, model.dtype),
        "logits_to_keep": 1,
        "use_cache": False,
    }


@contextmanager
def eager(model: PreTrainedModel) -> Iterator[None]:
    """The model on eager attention, which materialises every weight."""
    model.set_attn_implementation({"text_config": "eager"})
    try:
        yield
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})


def seconds(model: PreTrainedModel, inputs: dict[str, Any], context: Callable[[], Any]) -> float:
    """Time of one forward; entering and leaving the context is not part of it."""
    cuda = model.device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    with context():
        if cuda:
            torch.cuda.synchronize()
        started = clock()
        model(**inputs)
        if cuda:
            torch.cuda.synchronize()
        return clock() - started


def peak_bytes(model: PreTrainedModel, inputs: dict[str, Any], context: Callable[[], Any]) -> int:
    """Largest memory that tensors of one forward held at once, beyond what was there before."""
    with context():
        if model.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            model(**inputs)
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() - before
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            model(**inputs)
    events = profiler.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        peak = max(peak, held)
    return peak


def measure(
    settings: argparse.Namespace, model: PreTrainedModel, shape: str, batch: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """By label: ratios of every round, and peak bytes; "plain" has seconds instead of ratios."""
    inputs = prompt(model, *SHAPES[shape], batch)
    contexts: dict[str, Callable[[], Any]] = {"plain": nullcontext}
    for case in CASES:
        if not settings.only or case.label in settings.only:
            intervention = load(case.name, **case.changes)
            contexts[case.label] = partial(intervene, model, intervention, settings.execution)
    contexts["(eager attention)"] = partial(eager, model)
    peaks = {
        label: peak_bytes(model, inputs, context)
        for label, context in track(contexts.items(), "memory, and warming up", transient=True)
    }
    if not settings.eager:
        del contexts["(eager attention)"]
    values: dict[str, list[float]] = {label: [] for label in contexts}
    plain = contexts.pop("plain")
    before = seconds(model, inputs, plain)
    turns = [turn for _ in range(settings.rounds) for turn in contexts.items()]
    for label, context in track(turns, f"{shape} tokens x {batch}", transient=True):
        patched, after = seconds(model, inputs, context), seconds(model, inputs, plain)
        values[label].append(2 * patched / (before + after))
        values["plain"].append(after)
        before = after
    return values, peaks


def show(
    console: Console, title: str, values: dict[str, list[float]], peaks: dict[str, int]
) -> None:
    """One table: ratio of times, what is promised, and memory."""
    table = Table("intervention", "time / plain", "at most", "extra memory / eager's", title=title)
    limits = {case.label: case.limit for case in CASES}
    room = max(peaks["(eager attention)"] - peaks["plain"], 1)
    for label, found in values.items():
        middle = statistics.median(found)
        extra = peaks[label] - peaks["plain"]
        limit = limits.get(label)
        table.add_row(
            label,
            f"{middle:.3f} s" if label == "plain" else f"{middle:.3f}",
            "" if limit is None else f"{limit:.2f}",
            f"{extra / 2**20:.0f} MiB = {extra / room:.1%}",
            style="red" if limit is not None and middle > limit else None,
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hidden", type=int, default=2048, help="decoder width (default 2048)")
    parser.add_argument("--layers", type=int, default=2, help="decoder layers (default 2)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=9, help="of every case (default 9)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--execution", default="fused", choices=["fused", "reference"])
    parser.add_argument("--only", nargs="+", metavar="CASE", help="cases by label (default all)")
    parser.add_argument("--eager", action="store_true", help="time eager attention too")
    settings = parser.parse_args()
    console, model = Console(), build(settings)
    for shape in settings.shapes:
        for batch in settings.batches:
            with torch.inference_mode():
                values, peaks = measure(settings, model, shape, batch)
            size = f"{settings.layers} layers of {settings.hidden}, {settings.dtype}"
            title = f"{shape} tokens x batch {batch}; {size}, {settings.device}"
            show(console, title, values, peaks)


if __name__ == "__main__":
    main()

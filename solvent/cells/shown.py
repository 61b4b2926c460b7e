"""What a model will be shown, for people to look at: texts, roles of tokens, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from solvent.cells.answering import prompts
from solvent.cells.building import check_kind
from solvent.cells.loading import load_benchmark, load_model, named_condition
from solvent.cells.request import resolved
from solvent.core.text import marked, visible
from solvent.core.types import VLM, Benchmark, Prompt, RefusedError, Sample, in_words
from solvent.reports.contact import contact_sheet
from solvent.reports.table import console

COLOURS = {
    "system": "dim",
    "image": "magenta",
    "question": "cyan",
    "preface": "cyan",
    "last": "bold yellow",
    "padding": "dim",
}
LONGEST = 2000  # characters of one span


def show(config: Any) -> Path:
    """Print the samples that a configuration composed by Hydra asks for as the model gets them; the
    path of the contact sheet.
    """
    screen, asked = console(), resolved(config)
    benchmark, samples = load_benchmark(asked["benchmark"])
    condition = named_condition(asked["conditions"], asked["condition"])
    check_kind(asked["n"], int, "n")
    if asked["n"] < 1:
        raise ValueError(f"n is {asked['n']}; expected at least 1 sample to show")
    chosen = evenly(condition.views(samples), asked["n"])
    model = load_model(asked["model"])
    names = {group: asked[group]["name"] for group in ("model", "prompt", "benchmark")}
    title = f"{names['benchmark']}, prompt {names['prompt']}, condition {condition.name}"
    screen.print(f"[bold]{marked(title)}[/bold]: {len(chosen)} of {len(samples):,} samples\n")
    cells = []
    for sample in chosen:
        readable, errors = prompts(benchmark, [sample])
        if errors:
            screen.print(f"[red]{marked(sample.uid)}: {marked(errors[sample.uid])}[/red]\n")
            continue
        try:
            pictures, tokens = _show_sample(screen, benchmark, model, sample, readable[0])
        except RefusedError as refused:
            screen.print(f"[red]{marked(sample.uid)}: {marked(str(refused))}[/red]\n")
            continue
        caption = f"{sample.uid}\n{sample.text}\ngold: {in_words(sample.gold, sample.options)}"
        cells.append((pictures, f"{caption}\n{tokens:,} image tokens"))
    file = f"{names['benchmark']}-{names['model']}-{names['prompt']}-{condition.name}.png"
    sheet = contact_sheet(cells, title, Path(asked["output"]) / "show" / file)
    screen.print(f"[dim]pictures  {marked(str(sheet))}[/dim]", highlight=False)
    return sheet


def evenly(samples: Sequence[Sample], wanted: int) -> list[Sample]:
    """That many samples, spread over the whole set; all where there are fewer."""
    kept = min(wanted, len(samples))
    return [samples[index * len(samples) // kept] for index in range(kept)]


def _show_sample(
    screen: Console, benchmark: Benchmark, model: VLM, sample: Sample, prompt: Prompt
) -> tuple[Sequence[Any], int]:
    """Print one sample; its pictures, and the number of image tokens. Raises `RefusedError`."""
    seen = model.appearance(model.encode([prompt]))
    screen.rule(f"[bold]{marked(sample.uid)}[/bold]", align="left")
    for role, text, count in seen.spans:
        body = f"[{count:,} tokens]" if role == "image" else repr(text[:LONGEST])[1:-1]
        line = Text(f"{role:>8} ", style=COLOURS.get(role, ""))
        screen.print(line + Text(body.replace("\\n", "↵\n" + " " * 9)))
    mode = benchmark.mode(sample)
    answers = benchmark.candidates(sample) if mode == "rank" else sample.options
    gold = in_words(sample.gold, sample.options)
    screen.print(f"{'mode':>8} {mode}" + (f" of {list(answers)}" if answers else ""), markup=False)
    screen.print(f"{'gold':>8} {visible(gold)}", markup=False)
    for kind, values in (("groups", sample.groups), ("tags", sample.tags)):
        if values:
            pairs = ", ".join(f"{name} = {value}" for name, value in values.items())
            screen.print(f"{kind:>8} {visible(pairs)}", markup=False, highlight=False)
    sizes = [f"{width} x {height}" for width, height in (image.size for image in prompt.images)]
    if sizes:
        sizes_there = groupby(f"{each.width} x {each.height}" for each in seen.pictures)
        counted = [(size, len(list(group))) for size, group in sizes_there]
        arrived = [size if count == 1 else f"{count} of {size}" for size, count in counted]
        screen.print(
            f"{'images':>8} {', '.join(sizes)} pixels, as the model gets them: "
            f"{', '.join(arrived)} = {seen.image_tokens:,} tokens",
            highlight=False,
        )
    screen.print()
    return seen.pictures, seen.image_tokens

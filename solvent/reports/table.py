"""Tables for the terminal: every number with its unit, its interval and its n."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked
from solvent.core.types import Prediction
from solvent.reports.findings import show_findings

CAUSES = 5  # of failed samples that are shown


def console() -> Console:
    """Standard output; as wide as the tables need where nobody's terminal sets a width."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=120)


def percent(estimate: Mapping[str, Any]) -> str:
    """`93.2 % [91.0, 95.1]`, `1,510.7 of 2,000 points [1,480.2, 1,539.8]`, `95.1 words [93, 97]`"""
    if estimate["value"] is None:
        return "undefined"
    if "unit" in estimate:
        ends = [estimate[key] for key in ("low", "high")]
        interval = "" if None in ends else f" [{ends[0]:,.1f}, {ends[1]:,.1f}]"
        return f"{estimate['value']:,.1f} {estimate['unit']}{interval}"
    if "highest" in estimate:
        value, low, high = (f"{estimate[key]:,.1f}" for key in ("value", "low", "high"))
        return f"{value} of {estimate['highest']:,} points [{low}, {high}]"
    return f"{share(estimate['value'])} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def as_share(estimate: Mapping[str, Any]) -> Mapping[str, Any]:
    """An estimate in [0, 1]: points become a share of the highest possible score."""
    highest = estimate.get("highest", 1)
    return {**estimate, **{key: estimate[key] / highest for key in ("value", "low", "high")}}


def unread(estimate: Mapping[str, Any]) -> str:
    """`1.3 %` of the predictions named no option, or several, or failed"""
    if estimate["rows"] == 0:
        return "none"
    return share((estimate["ambiguous"] + estimate["none"] + estimate["errors"]) / estimate["rows"])


def of_rows(metrics: Mapping[str, Any], key: str) -> str:
    """`12 (1.3 %)` of the predictions"""
    return f"{metrics[key]:,} ({share(metrics[key] / metrics['score']['rows'])})"


def compat(metrics: Mapping[str, Any]) -> str | None:
    """Whose rules read the answers; None where they were the benchmark's own."""
    name = metrics.get("compat", "none")  # cells of before there was a choice lack it
    return None if name == "none" else name


def asked(said: Mapping[str, Any]) -> str:
    """`"Describe this image.", at most 512 tokens`: what open answers depend on."""
    question = "several questions" if said["question"] is None else f'"{said["question"]}"'
    return f"{question}, at most {said['max_new_tokens']:,} tokens"


def imported(metrics: Mapping[str, Any]) -> str | None:
    """By which mapping somebody else's saved answers became the cell; None where it was run."""
    return metrics.get("imported")


def mass(metrics: Mapping[str, Any]) -> str:
    """`0.41 → 0.00`"""
    if imported(metrics):
        return "not measured"
    values = metrics["visual_mass"]
    if values["before"] is None:
        return "no image"
    return f"{values['before']:.3f} → {values['after']:.3f}"


def entropy(metrics: Mapping[str, Any]) -> str:
    """`2.31 → 4.16 nats`"""
    values = metrics.get("visual_entropy_nats")  # cells of before it was measured lack it
    if values is None or imported(metrics):
        return "not measured"
    if values["before"] is None:
        return "no image"
    return f"{values['before']:.2f} → {values['after']:.2f} nats"


def entries(metrics: Mapping[str, Any]) -> str:
    """`1,200 (1,000 prefill + 200 decode)`"""
    phases = metrics.get("cells_by_phase")
    split = " + ".join(f"{count:,} {phase}" for phase, count in phases.items()) if phases else ""
    return f"{metrics['cells_edited']:,}" + (f" ({split})" if split else "")


def share(value: float) -> str:
    """`93.2 %`"""
    return f"{100 * value:.1f} %"


def show_cell(screen: Console, metrics: Mapping[str, Any]) -> None:
    """The result of one cell, with every score and slice of it."""
    table = Table(
        title=marked(cell_title(metrics)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in (
        ("score [95 % interval]", percent(metrics["score"])),
        ("questions", f"{metrics['score']['n']:,}"),
        *(
            [("asked", marked(asked(metrics["score"]["asked"])))]
            if "asked" in metrics["score"]
            else []
        ),
        ("score by chance", share(metrics["chance"])),
        ("unparsed answers", of_rows(metrics, "unparsed")),
        *([("answers cut at the limit", of_rows(metrics, "cut"))] if "cut" in metrics else []),
        *([("guessed answers", of_rows(metrics, "guessed"))] if metrics.get("guessed") else []),
        ("failed samples", of_rows(metrics, "errors")),
        *([("rows left out", f"{metrics['skipped']:,}")] if "skipped" in metrics else []),
        *(
            [("tokens of a thought, mean", f"{metrics['thought_tokens']:,.1f}")]
            if "thought_tokens" in metrics
            else []
        ),
        *_measured(metrics),
    ):
        table.add_row(name, value)
    screen.print(table)
    _show_slices(screen, metrics)
    if metrics.get("diagnostics"):
        show_findings(screen, metrics["diagnostics"])


def _measured(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a run saw of the model and took; of an imported cell only by what it was imported."""
    if by := imported(metrics):
        return [("imported by", marked(by))]
    return [
        ("visual mass, before → after", mass(metrics)),
        ("visual entropy, before → after", entropy(metrics)),
        ("entries edited", entries(metrics)),
        ("seconds", f"{metrics['seconds']:.1f}"),
    ]


def show_line(screen: Console, metrics: Mapping[str, Any]) -> None:
    """One cell of a sweep as one line."""
    score = metrics["score"]
    screen.print(
        f"{marked(cell_title(metrics))}  [bold]{percent(score)}[/bold]  n {score['n']:,}  "
        f"visual mass {mass(metrics)}  unparsed {of_rows(metrics, 'unparsed')}  "
        f"failed {of_rows(metrics, 'errors')}"
        + (f"  cut {of_rows(metrics, 'cut')}" if metrics.get("cut") else "")
        + (f"  guessed {of_rows(metrics, 'guessed')}" if metrics.get("guessed") else "")
        + (f"  left out {metrics['skipped']:,}" if metrics.get("skipped") else ""),
        highlight=False,
        soft_wrap=True,
    )


def show_failures(screen: Console, predictions: Iterable[Prediction]) -> None:
    """The first samples that failed, and why, by cause."""
    causes: dict[str, list[str]] = {}
    for row in predictions:
        if row.status == "error":
            causes.setdefault((row.error or "").replace(row.uid, "").strip(), []).append(row.uid)
    for cause, uids in list(causes.items())[:CAUSES]:
        more = f" and {len(uids) - 1:,} more" if len(uids) > 1 else ""
        screen.print(f"[red]failed[/red] {marked(uids[0])}{more}: {marked(cause)}", highlight=False)
    if len(causes) > CAUSES:
        screen.print(f"... and {len(causes) - CAUSES:,} other causes: predictions.jsonl has all")


def intervention_name(metrics: Mapping[str, Any]) -> str:
    """`reweight`, or `reweight (mass.factor=4)` where it differs from its file."""
    variant = metrics["variant"]
    return metrics["intervention"] + (f" ({variant})" if variant else "")


def cell_title(metrics: Mapping[str, Any]) -> str:
    """`tiny on shapes: uniform, layers early, compat official, shown swap, seed 1`; of an imported
    cell `llava on pope: imported greedy`
    """
    parts = [f"{'imported ' if imported(metrics) else ''}{intervention_name(metrics)}"]
    if metrics["layers"] is not None:
        parts.append(f"layers {metrics['layers']}")
    if compat(metrics):
        parts.append(f"compat {compat(metrics)}")
    if metrics["condition"] != "real":
        parts.append(f"shown {metrics['condition']}")
    if metrics["seed"]:
        parts.append(f"seed {metrics['seed']}")
    return f"{metrics['model']} on {metrics['benchmark']}: {', '.join(parts)}"


def _show_slices(screen: Console, metrics: Mapping[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("score or slice")
    table.add_column("value [95 % interval]", justify="right")
    table.add_column("n", justify="right")
    table.add_column("unparsed or failed", justify="right")
    for name, measure in metrics["score"].get("measures", {}).items():
        table.add_row(marked(_measure_name(name, measure)), percent(measure), f"{measure['n']:,}")
    for name, estimate in metrics["scores"].items():
        table.add_row(marked(name), percent(estimate), f"{estimate['n']:,}", unread(estimate))
        for part, measure in estimate.get("measures", {}).items():
            table.add_row(
                marked(f"  {_measure_name(part, measure)}"), percent(measure), f"{measure['n']:,}"
            )
    for tag, values in metrics["score"]["by_tag"].items():
        table.add_section()
        for value, estimate in values.items():
            name = marked(f"{tag} = {value}")
            table.add_row(name, percent(estimate), f"{estimate['n']:,}", unread(estimate))
    if table.row_count:
        screen.print(table)


def _measure_name(name: str, measure: Mapping[str, Any]) -> str:
    """`chair i (lower is better)`"""
    better = f" ({measure['better']} is better)" if "better" in measure else ""
    return name.replace("_", " ") + better

"""Gains beside those of their controls, in the terminal and as a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked, spreadsheet
from solvent.reports.compared.arm_texts import points as in_points
from solvent.reports.table import intervention_name
from solvent.studies.comparison.paired_statistics.paired import PairedEstimate
from solvent.studies.controls.spurious_gains import Gain

LABELS = ("model", "benchmark", "condition", "setting", "intervention", "variant", "layers", "seed")
PLACE = "controls.csv"


def show_gains(screen: Console, found: Sequence[Gain], folder: Path) -> None:
    """Print every gain of a study beside its controls, and write `controls.csv`; nothing where no
    arm gains and no control was run.
    """
    if not found:
        return
    for family in dict.fromkeys(gain.arm.family.key for gain in found):
        _show(screen, [gain for gain in found if gain.arm.family.key == family])
    spreadsheet(tabulate(found)).to_csv(folder / PLACE, index=False)
    screen.print(
        f"table   [dim]{marked(str(folder / PLACE))}[/dim]", highlight=False, soft_wrap=True
    )


def tabulate(found: Sequence[Gain]) -> pd.DataFrame:
    """One line per arm and control."""
    lines = []
    for gain in found:
        labels = {name: gain.arm.metrics.get(name) for name in LABELS}
        labels |= {f"gain_{name}": value for name, value in _numbers(gain.difference).items()}
        labels["reading"] = gain.reading
        for control in gain.controls:
            line = labels | {"control": control.name, "what": control.what}
            for part, numbers in (("control_gain", control.gain), ("beyond", control.beyond)):
                line |= {f"{part}_{name}": value for name, value in _numbers(numbers).items()}
            lines.append(line)
    return pd.DataFrame(lines)


def _numbers(found: PairedEstimate | None) -> dict[str, float | None]:
    names = ("value", "low", "high", "n")
    return {name: getattr(found, name, None) for name in names}


def _show(screen: Console, found: Sequence[Gain]) -> None:
    table = Table(
        title=f"gains of {marked(_where(found[0]))}, beside what looks no better",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption="gains in percentage points of plain accuracy; n: questions that were compared",
        caption_justify="left",
        caption_style="",
    )
    table.add_column("\nintervention or control")
    table.add_column("\nwhat was done")
    table.add_column("\nn", justify="right", no_wrap=True)
    for name in ("gain, paired\n[95 % interval]", "intervention minus control\n[95 % interval]"):
        table.add_column(name, justify="right", no_wrap=True)
    for gain in found:
        metrics = gain.arm.metrics
        layers = f"layers {metrics['layers']}" if metrics["layers"] else ""
        table.add_row(
            marked(intervention_name(metrics)),
            marked(layers),
            f"{gain.difference.n:,}",
            points(gain.difference),
            "",
        )
        for control in gain.controls:
            numbers = [points(each) if each else "" for each in (control.gain, control.beyond)]
            count = f"{control.gain.n:,}" if control.gain else ""
            table.add_row(f"  {control.name}", marked(control.what), count, *numbers)
        table.add_row("  [bold]reading[/bold]", f"[bold]{gain.reading}[/bold]", "", "", "")
        table.add_section()
    screen.print(table)


def points(difference: PairedEstimate) -> str:
    """`-12.0 [-15.3, -8.7]` percentage points"""
    ends = [in_points(end) for end in (difference.low, difference.high) if end is not None]
    return f"{in_points(difference.value)} [{', '.join(ends) or 'no interval'}]"


def _where(gain: Gain) -> str:
    """`tiny on shapes, shown blur`"""
    shown = "" if gain.arm.condition == "real" else f", shown {gain.arm.condition}"
    return f"{gain.arm.family.title}{shown}"

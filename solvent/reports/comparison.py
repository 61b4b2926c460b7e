"""The cells of one study side by side: each paired with its baseline, as a table, a CSV and a
figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.plotting import legend_below
from solvent.core.statistics import PairedDifference
from solvent.core.text import marked, spreadsheet
from solvent.reports.figures import COLOURS, STYLE
from solvent.reports.pairing import Key, KnownFacts, Row, check_baseline, pair, read_cells, remarks
from solvent.reports.table import (
    as_share,
    console,
    imported,
    intervention_name,
    mass,
    percent,
    share,
    show_measures,
)
from solvent.reports.table import compat as rules_of
from solvent.reports.usage_comparison import compare_usage

MARKERS = "osD^vP*X"
COLUMNS = ("model", "benchmark", "prompt", "compat", "condition", "setting", "intervention",
           "variant", "layers", "seed", "chance", "unparsed", "guessed", "errors", "cells_edited",
           "seconds", "imported")  # fmt: skip
THIRDS = ("early", "middle", "late")
NOTHING = "no intervention to compare"
FLAT = 70  # characters of all names that stand side by side under the axis; more are slanted
SLANT, LETTER = 30.0, 0.037  # degrees; inches that each letter of a slanted name takes below
Beside = Callable[[Console, Sequence[Row], Path], None]


def compare(
    output: str,
    study: str,
    baseline: str,
    known: KnownFacts | None = None,
    beside: Beside | None = None,
) -> pd.DataFrame:
    """Print the table of a study; write `comparison.csv` and one figure per family beside its
    cells.

    Args:
        output: folder of all results.
        study: below it.
        baseline: name of the intervention that the others are compared with.
        known: facts of the tests of a cell that was stored before findings kept them.
        beside: shows more of the paired cells, below their tables.

    Raises:
        FileNotFoundError: no cell is finished.
        ValueError: none of them is the baseline; or some are damaged, after the others are shown.
    """
    folder = Path(output) / study
    cells, damaged = read_cells(folder, known)
    if cells:
        check_baseline(cells, baseline, study)
    rows = pair(cells, baseline)
    screen = console()
    for family in sorted({cell.family for cell in cells}):
        chosen = sorted(
            (row for row in rows if row.cell.family == family), key=partial(_order, baseline)
        )
        _show(screen, chosen, baseline)
        show_measures(screen, [row.cell.metrics for row in chosen])
        for remark in remarks(chosen, cells, baseline):
            screen.print(f"[yellow]{marked(remark)}[/yellow]", highlight=False)
        figure = draw_comparison(family, chosen, baseline, folder)
        screen.print(f"figure  [dim]{marked(str(figure))}[/dim]", highlight=False, soft_wrap=True)
    frame = tabulate(rows)
    if beside:
        beside(screen, rows, folder)
    if cells:
        compare_usage(screen, [cell.metrics for cell in cells], folder)
        spreadsheet(frame).to_csv(folder / "comparison.csv", index=False)
        place = marked(str(folder / "comparison.csv"))
        screen.print(f"table   [dim]{place}[/dim]", highlight=False, soft_wrap=True)
    if damaged:
        raise ValueError(
            f"{len(damaged)} of {len(cells) + len(damaged)} cells are damaged and left out. "
            + "; ".join(damaged)
        )
    return frame


def _order(baseline: str, row: Row) -> tuple[bool, str, int, str, int]:
    """The baseline first, then by intervention, then from early to late layers."""
    metrics = row.cell.metrics
    layers = metrics["layers"] or ""
    third = THIRDS.index(layers) if layers in THIRDS else len(THIRDS)
    name = intervention_name(metrics)
    return metrics["intervention"] != baseline, name, third, layers, metrics["seed"]


def tabulate(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per cell, flat columns."""
    records = []
    for row in rows:
        metrics = row.cell.metrics
        record = {key: metrics.get(key) for key in COLUMNS}  # old cells lack some
        record |= {f"score_{key}": metrics["score"][key] for key in ("value", "low", "high", "n")}
        record |= {
            f"visual_mass_{when}": metrics["visual_mass"][when] for when in ("before", "after")
        }
        entropies = metrics.get("visual_entropy_nats", {})  # old cells lack it
        record |= {
            f"visual_entropy_nats_{when}": entropies.get(when) for when in ("before", "after")
        }
        record["code"] = row.cell.commits
        if row.difference:
            record |= {f"difference_{key}": value for key, value in asdict(row.difference).items()}
        records.append(record)
    return pd.DataFrame(records)


def _show(screen: Console, rows: Sequence[Row], baseline: str) -> None:
    table = Table(
        title=marked(_title(rows)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("\nintervention", no_wrap=True)
    table.add_column("\nlayers", min_width=len("layers"))
    for name in (
        "score\n[95 % interval]",
        "\nn",
        f"minus {marked(baseline)}, paired\n[95 % interval]",
        "\np",
        "visual mass\nbefore → after",
        "unparsed\n+ failed",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        metrics, difference = row.cell.metrics, row.difference
        table.add_row(
            marked(intervention_name(metrics).replace(" (", "\n(")),
            marked(metrics["layers"] or ""),
            percent(metrics["score"]),
            f"{metrics['score']['n']:,}",
            points(difference) if difference else "",
            f"{difference.p:.2g}" if difference else "",
            mass(metrics),
            _unread(metrics),
        )
    screen.print(table)
    chance = rows[0].cell.metrics["chance"]
    screen.print(
        f"chance {100 * chance:.1f} %; differences in percentage points of plain accuracy; "
        "p: sign-flip test over images",
        highlight=False,
    )


def points(difference: PairedDifference) -> str:
    """`-12.0 [-15.3, -8.7]` percentage points"""
    return (
        f"{100 * difference.value:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    )


def draw_comparison(family: Key, rows: Sequence[Row], baseline: str, folder: Path) -> Path:
    """Score against what was done: by intervention and layers, and by the visual mass that was
    left.
    """
    path = folder / f"comparison-{'-'.join(family)}.png"
    with plt.rc_context(STYLE):
        arms = [row for row in rows if not _is_reference(row, baseline)]
        size = (8.4, 3.6 + _slanted(_interventions(arms)))
        figure, axes = plt.subplots(1, 2, figsize=size, width_ratios=(3, 2), sharey=True)
        _draw_by_layers(axes[0], arms)
        _draw_by_mass(axes[1], arms)
        for axis in axes:
            _draw_references(axis, rows, baseline, label=axis is axes[1])
        axes[0].set(ylabel="score, with 95 % interval", ylim=(0, 1.02))
        figure.suptitle(_title(rows), x=0.01, ha="left", weight="bold")
        figure.tight_layout()
        figure.savefig(path)
        plt.close(figure)
    return path


def _title(rows: Sequence[Row]) -> str:
    metrics = rows[0].cell.metrics
    shown = "" if metrics["condition"] == "real" else f", shown {metrics['condition']}"
    rules = f", compat {compat_name}" if (compat_name := rules_of(metrics)) else ""
    origin = f", imported by {by}" if (by := imported(metrics)) else ""
    return f"{metrics['model']} on {metrics['benchmark']}{shown}{rules}{origin}"


def _unread(metrics: dict[str, Any]) -> str:
    """Rates of answers without credit because nobody could read them, or with credit by a guess."""
    rows = metrics["score"]["rows"]
    unparsed, errors = (100 * metrics[key] / rows for key in ("unparsed", "errors"))
    lines = [f"{unparsed:.1f} + {errors:.1f} %"]
    if metrics.get("cut"):
        lines.append(f"cut {share(metrics['cut'] / rows)}")
    if metrics.get("guessed"):
        lines.append(f"guessed {share(metrics['guessed'] / rows)}")
    if metrics.get("skipped"):
        lines.append(f"left out {metrics['skipped']:,}")
    return "\n".join(lines)


def _is_reference(row: Row, baseline: str) -> bool:
    """Whether it is a line across the figure: the baseline, which edits nothing."""
    metrics = row.cell.metrics
    return metrics["intervention"] == baseline and not metrics["layers"]


def _interventions(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(intervention_name(row.cell.metrics) for row in rows))


def _layers(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(filter(None, (row.cell.metrics["layers"] for row in rows))))


def _style(rows: Sequence[Row], row: Row) -> dict[str, Any]:
    metrics = row.cell.metrics
    colour = _interventions(rows).index(intervention_name(metrics))
    marker = _layers(rows).index(metrics["layers"]) if metrics["layers"] else 0
    return {
        "color": COLOURS[colour % len(COLOURS)],
        "marker": MARKERS[marker % len(MARKERS)],
        "markersize": 5,
        "linestyle": "none",
        "capsize": 2,
    }


def _bars(estimate: dict[str, Any]) -> list[list[float]]:
    """Lengths below and above; an end that rounding left on the wrong side is at the value."""
    lengths = estimate["value"] - estimate["low"], estimate["high"] - estimate["value"]
    return [[max(0.0, length)] for length in lengths]


def _draw_by_layers(axes: Axes, rows: Sequence[Row]) -> None:
    interventions, layers = _interventions(rows), _layers(rows)
    width = 0.8 / max(1, len(layers))
    for row in rows:
        metrics, estimate = row.cell.metrics, as_share(row.cell.metrics["score"])
        place = interventions.index(intervention_name(metrics))
        if metrics["layers"]:
            place += (layers.index(metrics["layers"]) - (len(layers) - 1) / 2) * width
        axes.errorbar(place, estimate["value"], yerr=_bars(estimate), **_style(rows, row))
    axes.set_xticks(range(len(interventions)), interventions)
    slanted = bool(_slanted(interventions))
    if slanted:
        axes.tick_params(axis="x", labelsize=8)
        plt.setp(axes.get_xticklabels(), rotation=SLANT, ha="right", rotation_mode="anchor")
    if not rows:
        axes.set_xticks([])
        _say(axes, NOTHING)
    for marker, name in zip(MARKERS, layers, strict=False):
        axes.plot(
            [],
            [],
            marker=marker,
            color="grey",
            linestyle="none",
            label=f"{name} layers",
            markersize=5,
        )
    if layers:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 0.99), ncols=3, frameon=False, fontsize=7,
            columnspacing=1.0,
        )  # fmt: skip
        if not slanted:
            legend_below(axes, 0.12)
    axes.set_title("what was done, and where")


def _slanted(names: Sequence[str]) -> float:
    """Inches that names need below the axis where they are too long to stand side by side."""
    if sum(map(len, names)) <= FLAT:
        return 0.0
    return LETTER * max(map(len, names))


def _say(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.25, words, color="grey", ha="center", transform=axes.transAxes)


def _draw_by_mass(axes: Axes, rows: Sequence[Row]) -> None:
    axes.axvline(1, color="grey", linestyle=":", linewidth=1)
    for row in rows:
        masses, estimate = row.cell.metrics["visual_mass"], as_share(row.cell.metrics["score"])
        if masses["before"]:
            left = masses["after"] / masses["before"]
            axes.errorbar(left, estimate["value"], yerr=_bars(estimate), **_style(rows, row))
    if not rows:
        axes.set_xticks([])
    elif not any(row.cell.metrics["visual_mass"]["before"] for row in rows):
        _say(axes, "not measured")
    axes.set(xlabel="visual mass after / before, mean over all layers")
    axes.set_title("how much attention the image kept")


def _draw_references(axes: Axes, rows: Sequence[Row], baseline: str, label: bool) -> None:
    references = {"chance": rows[0].cell.metrics["chance"]}
    axes.axhline(references["chance"], color="grey", linestyle=":", linewidth=1)
    if rows[0].cell.metrics["intervention"] == baseline:
        estimate = as_share(rows[0].cell.metrics["score"])
        references[baseline] = estimate["value"]
        axes.axhspan(estimate["low"], estimate["high"], color="black", alpha=0.12, linewidth=0)
        axes.axhline(estimate["value"], color="black", linewidth=1)
    if label:
        for name, height in references.items():
            axes.annotate(name, (1.02, height), xycoords=("axes fraction", "data"), va="center",
                          fontsize=8)  # fmt: skip

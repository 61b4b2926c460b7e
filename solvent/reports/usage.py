"""Figures of the modality-usage tests: one panel per test, and the modality card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from solvent.reports.card import draw_card
from solvent.reports.figures import COLOURS, STYLE

Found = Mapping[str, Any]
HALF_ERROR = {"capsize": 2, "linewidth": 1.2}


def draw_usage(findings: Mapping[str, Found], title: str, folder: Path) -> None:
    """`modality_card.png` for everybody, `modality_usage.png` with what is behind it."""
    draw_card(findings, title, folder)
    names = [name for name in PANELS if name in findings]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.4 * columns, 2.9 * rows), squeeze=False
        )
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid.flat, strict=False):
            PANELS[name](axes, findings[name])
            axes.set_title(f"{name}: {findings[name]['verdict']}")
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        figure.tight_layout()
        figure.savefig(folder / "modality_usage.png")
        plt.close(figure)


def _empty(axes: Axes, finding: Found) -> None:
    axes.text(0.5, 0.5, "nothing to show", color="grey", ha="center", transform=axes.transAxes)
    axes.set_axis_off()


def _dependency(axes: Axes, finding: Found) -> None:
    series = finding["series"]
    if not series:
        _empty(axes, finding)
        return
    for (name, values), colour in zip(series["quantiles_bits"].items(), COLOURS, strict=False):
        if values:
            axes.plot(values, series["levels"], color=colour, label=name)
    axes.set(xlabel="JSD to the answer to the image, bits", ylabel="share of samples below")
    axes.legend(frameon=False)


def _override(axes: Axes, finding: Found) -> None:
    doses = [each for each in finding["series"].get("dose", ()) if each["win_rate"]]
    if not doses:
        _empty(axes, finding)
        return
    _curve(axes, [each["dose"] for each in doses], [each["win_rate"] for each in doses], COLOURS[0])
    axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    axes.set(
        ylim=(-0.03, 1.03), xlabel="times that a false option is asserted", ylabel="the image wins"
    )


def _consistency(axes: Axes, finding: Found) -> None:
    profile = finding["series"].get("last")
    if not profile:
        _empty(axes, finding)
        return
    layers = finding["series"]["layers"]
    for (name, bits), colour in zip(profile["information_bits"].items(), COLOURS, strict=False):
        axes.plot(layers, bits, "o-", color=colour, markersize=3, label=name)
    axes.plot(layers, profile["gain_bits"], "s--", color=COLOURS[6], markersize=3, label="gain")
    axes.set(xlabel="decoder layer (0: input)", ylabel="GC-CMI of image and text, bits")
    axes.legend(frameon=False)


def _perturbation(axes: Axes, finding: Found) -> None:
    series = finding["series"]
    if not series:
        _empty(axes, finding)
        return
    for (name, family), colour in zip(series["families"].items(), COLOURS, strict=False):
        axes.plot(family["severity"], family["mean"], "o-", color=colour, markersize=3, label=name)
        axes.fill_between(
            family["severity"], family["low"], family["high"], color=colour, alpha=0.15, linewidth=0
        )
    if series["placebo"] is not None:
        axes.axhline(series["placebo"], color="grey", linestyle=":", label="placebo")
    axes.set(ylim=(0, 1), xlabel="severity", ylabel="total variation")
    axes.legend(frameon=False)


def _information(axes: Axes, finding: Found) -> None:
    series = finding["series"]
    if not series:
        _empty(axes, finding)
        return
    axes.plot(series["gain_quantiles_bits"], series["levels"], color=COLOURS[0])
    for place, name in enumerate(series["baselines"]):
        low, mean, high = (series[f"{part}_bits"][place] for part in ("low", "mean", "high"))
        level = 0.12 + 0.1 * place
        axes.plot([low, high], [level] * 2, color=COLOURS[1])
        axes.plot(mean, level, "o", color=COLOURS[1], markersize=4)
        axes.annotate(f"mean over {name}", (high, level), xytext=(4, -3),
                      textcoords="offset points", fontsize=7)  # fmt: skip
    axes.axvline(0, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="bits of entropy that the image removes", ylabel="share of samples below")


def _uncertainty(axes: Axes, finding: Found) -> None:
    bins = finding["series"].get("reliability")
    if not bins:
        _empty(axes, finding)
        return
    for (name, points), colour in zip(bins.items(), COLOURS, strict=False):
        axes.errorbar(
            [point["confidence"] for point in points],
            [point["accuracy"] for point in points],
            yerr=[
                [max(0.0, point["accuracy"] - point["low"]) for point in points],
                [max(0.0, point["high"] - point["accuracy"]) for point in points],
            ],
            fmt="o", color=colour, markersize=3, label=name, **HALF_ERROR,
        )  # fmt: skip
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.legend(frameon=False, title="image")


def _exchange(axes: Axes, finding: Found) -> None:
    names = ("image_bits", "text_bits", "synergy_bits")
    kept = [(name, finding["metrics"].get(name)) for name in names]
    kept = [(name, found) for name, found in kept if found]
    if not kept:
        _empty(axes, finding)
        return
    for place, (_, found) in enumerate(kept):
        axes.bar(place, found["value"], color=COLOURS[place], width=0.6)
        axes.plot([place, place], [found["low"], found["high"]], color="black", linewidth=1.2)
    axes.set_xticks(range(len(kept)), [name.removesuffix("_bits") for name, _ in kept])
    axes.axhline(0, color="grey", linewidth=1)
    axes.set(ylabel="bits about the right answer")


def _budget(axes: Axes, finding: Found) -> None:
    curves = finding["series"].get("curves")
    if not curves:
        _empty(axes, finding)
        return
    curve = curves[0]
    words = np.array(curve["words"])
    for name, label, colour in (
        ("mass", "share of attention", COLOURS[0]),
        ("dependency", "J, bits", COLOURS[1]),
        ("effect", "effect of cutting it, bits", COLOURS[2]),
    ):
        if all(curve[name]):
            _curve(axes, np.log2(1 + words), curve[name], colour, label)
    axes.set_xticks(np.log2(1 + words), words)
    axes.set(ylim=(0, None), xlabel=f"words of filler, {curve['place']}", ylabel="of the image")
    axes.legend(frameon=False)


def _measures(axes: Axes, finding: Found) -> None:
    found = finding["metrics"]
    names = [name for name in found if name.startswith("accuracy_") and found[name]]
    for place, name in enumerate(names):
        low, value, high = (found[name][part] for part in ("low", "value", "high"))
        axes.plot([low, high], [place, place], color=COLOURS[0])
        axes.plot(value, place, "o", color=COLOURS[0], markersize=4)
    axes.set_yticks(range(len(names)), [name.removeprefix("accuracy_") for name in names])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.02), xlabel="accuracy")


def _interaction(axes: Axes, finding: Found) -> None:
    shares = {name: each for name, each in finding["series"].get("shares", {}).items() if each}
    if not shares:
        _empty(axes, finding)
        return
    for place, (each, colour) in enumerate(zip(shares.values(), COLOURS, strict=False)):
        axes.bar(place, each["value"], color=colour, width=0.6)
        axes.plot([place, place], [each["low"], each["high"]], color="black", linewidth=1.2)
    axes.set_xticks(range(len(shares)), [name.removesuffix("_share") for name in shares])
    axes.set(ylim=(0, 1), ylabel="share of the variance of answers")


def _curve(axes: Axes, x: Any, points: Any, colour: str, label: str | None = None) -> None:
    axes.plot(
        x, [point["value"] for point in points], "o-", color=colour, markersize=3, label=label
    )
    axes.fill_between(
        x,
        [point["low"] for point in points],
        [point["high"] for point in points],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )


PANELS: Mapping[str, Callable[[Axes, Found], None]] = {
    "dependency": _dependency,
    "override": _override,
    "consistency": _consistency,
    "perturbation": _perturbation,
    "information": _information,
    "uncertainty": _uncertainty,
    "exchange": _exchange,
    "budget": _budget,
    "measures": _measures,
    "interaction": _interaction,
}

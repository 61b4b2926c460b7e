"""The finished cells of a study as one `Comparison`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from solvent.cells.configuration import stored_facts
from solvent.cells.provenance import PACKAGES, code, installed
from solvent.core.redaction import redacted_text
from solvent.reports.compared.frames import Comparison
from solvent.reports.finished import DAMAGE, FinishedCell, damage, finished_places, read_each
from solvent.reports.table import asked
from solvent.storage.runs import commit
from solvent.studies.comparison.arm_lines import arm_line, cell_line, measure_lines, slice_lines
from solvent.studies.comparison.arms import Pair, check_baseline, families, pairs
from solvent.studies.comparison.between_families import summaries
from solvent.studies.comparison.compared_cells import ComparedCell, Shelf
from solvent.studies.comparison.estimating import Estimated, FamilyAssay, Registered, estimated
from solvent.studies.comparison.ordered_arms import Curve, curves
from solvent.studies.comparison.paired_statistics.simultaneous import bands, held_out_peak
from solvent.studies.comparison.registered_scores import score_differences

ALL = "all"
HALVES = 0  # seed of the two halves in one of which a peak is chosen


@dataclass(frozen=True, kw_only=True)
class Study:
    """A comparison with what its outputs and controls go back to."""

    folder: Path
    comparison: Comparison
    pairs: Sequence[Pair]
    found: Mapping[int, Estimated]  # by the identity of a pair
    damaged: Sequence[str]


def compare_study(
    output: str, study: str, registered: Registered, conditions: str, command: str
) -> Study:
    """Read all cells of a study, and compare every arm with its control.

    Args:
        output: folder of all results.
        study: below it.
        registered: baseline, margins, primaries, positive controls.
        conditions: of the cells' tests that are arms, too: "controls" or "all".
        command: that made it.

    Raises:
        FileNotFoundError: no cell is finished.
        ValueError: none of them is the baseline, or a registered name means nothing.
    """
    folder = Path(output) / study
    cells, usage, damaged = _read(folder, registered, conditions)
    if not cells:
        raise ValueError(f"no cell of the study {study!r} can be read. " + "; ".join(damaged))
    check_baseline(cells, registered.baseline, study, damaged)
    made = pairs(families(cells), registered.baseline)
    registered.check(made, study)
    found, assays = estimated(made, registered)
    arms = _arms(made, found, registered)
    drawn, peaks = _curves(curves(made), found)
    return Study(
        folder=folder,
        comparison=Comparison(
            study=study,
            baseline=registered.baseline,
            arms=arms,
            cells=_cells(made, found),
            slices=pd.DataFrame(slice_lines(made)),
            curves=drawn,
            peaks=peaks,
            summaries=summaries(arms),
            assay=_assay(assays, made),
            measures=pd.DataFrame(line for pair in made for line in measure_lines(pair.arm)),
            remarks=[*_remarks(made), *damaged],
            usage=usage,
            provenance=_provenance(folder, cells, registered, command),
        ),
        pairs=made,
        found=found,
        damaged=damaged,
    )


def _read(
    folder: Path, registered: Registered, conditions: str
) -> tuple[list[ComparedCell], list[Mapping[str, Any]], list[str]]:
    """Cells, metrics of those with tests, and sentences about damaged ones."""
    places = finished_places(folder)
    usage: list[Mapping[str, Any]] = []
    shelf, cells, damaged = Shelf(), list[ComparedCell](), list[str]()
    wanted = None if conditions == ALL else registered.positive_controls
    screen = Console(stderr=True)
    with Progress(transient=True, console=screen, disable=not screen.is_terminal) as progress:
        for place, cell in progress.track(
            read_each(places, stored_facts), total=len(places), description="reading cells"
        ):
            if isinstance(cell, str):
                damaged.append(cell)
                continue
            try:
                cells += _compared(shelf, cell, registered.baseline, wanted)
            except DAMAGE as error:
                damaged.append(damage(place, error))
                continue
            if cell.metrics.get("diagnostics"):
                usage.append(cell.metrics)
    return cells, usage, damaged


def _compared(
    shelf: Shelf, cell: FinishedCell, baseline: str, wanted: Sequence[str] | None
) -> list[ComparedCell]:
    """A cell, and of the untouched model what it answered under conditions of its tests."""
    found = shelf.put(cell)
    if cell.metrics["intervention"] != baseline or found.condition != "real":
        return [found]
    return [found, *shelf.conditions(found, cell.identity, wanted)]


def _arms(
    made: Sequence[Pair], found: Mapping[int, Estimated], registered: Registered
) -> pd.DataFrame:
    lines, scores = [], score_differences(made, found)
    for pair in made:
        estimate = found.get(id(pair))
        role = estimate.role if estimate else registered.role(pair.arm, control=not pair.why)
        lines.append(arm_line(pair, estimate, role))
        if score := scores.get(pair.arm.key):
            for end in ("value", "low", "high"):
                lines[-1][f"score_difference_{end}"] = getattr(score, end)
    return pd.DataFrame(lines)


def _cells(made: Sequence[Pair], found: Mapping[int, Estimated]) -> pd.DataFrame:
    return pd.DataFrame(
        cell_line(cell, found.get(id(pair)))
        for pair in made
        for cell in pair.arm.cells
        if not cell.tested
    )


def _curves(
    found: Sequence[Curve], estimates: Mapping[int, Estimated]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines, peaks = [], []
    for curve in found:
        family = curve.pairs[0].arm.family.key
        differences = [pair.differences for pair in curve.pairs]
        layout = curve.pairs[0].arm.questions.layout
        ends = bands(differences, layout)
        lows, highs = ends if ends is not None else (np.full(len(curve.pairs), np.nan),) * 2
        what = {"curve": curve.key, "family": family, "title": curve.title}
        for place, pair in enumerate(curve.pairs):
            lines.append(
                what
                | {
                    "kind": curve.kind,
                    "setting": curve.setting,
                    "key": pair.arm.key,
                    "x": curve.x[place],
                    "label": curve.labels[place],
                    **{
                        f"difference_{end}": getattr(estimates[id(pair)].estimate, end)
                        for end in ("value", "low", "high")
                    },
                    "band_low": lows[place],
                    "band_high": highs[place],
                    "n": len(pair.arm.questions),
                }
            )
        peak = held_out_peak(differences, layout, HALVES)
        if peak is not None:
            arm, found_there = curve.pairs[peak.arm].arm, peak.estimate
            numbers = ("value", "low", "high", "n")
            peaks.append(
                what
                | {"key": arm.key, "name": arm.name, "chosen_value": peak.chosen_value}
                | {name: getattr(found_there, name) for name in numbers}
                | {"p": peak.p}
            )
    return pd.DataFrame(lines), pd.DataFrame(peaks)


def _assay(assays: Mapping[str, FamilyAssay], made: Sequence[Pair]) -> pd.DataFrame:
    titles = {pair.arm.family.key: pair.arm.family.title for pair in made}
    lines = []
    for key, found in assays.items():
        arm = found.pair.arm if found.pair else None
        ends = ("value", "low", "high")
        lines.append(
            {"family": key, "title": titles[key], "key": arm and arm.key, "name": arm and arm.name}
            | {f"difference_{end}": getattr(found.estimate, end, None) for end in ends}
            | {"shown": found.assay.shown, "sentence": found.assay.sentence}
        )
    return pd.DataFrame(lines)


def _remarks(made: Sequence[Pair]) -> list[str]:
    """What a reader must know: who has no control and why, who is unlike it, and what open answers
    were asked, which decides their numbers.
    """
    said = [each for pair in made for each in _of_pair(pair)]
    for pair in made:
        if question := pair.arm.metrics["score"].get("asked"):
            said.append(f"{pair.arm.family.title} asked: {asked(question)}")
    ignored = defaultdict(list)
    for pair in made:
        same = len({cell.digest for cell in pair.arm.cells}) == 1
        if pair.control is not None and same and len(pair.arm.cells) > 1:
            ignored[pair.arm.family.title].append(pair.arm.name)
    said += [
        f"{title}: seeds that gave the same answers are counted once, of {'; '.join(names)}"
        for title, names in ignored.items()
    ]
    return list(dict.fromkeys(said))


def _of_pair(pair: Pair) -> Iterator[str]:
    where = f"{pair.arm.family.title}: {pair.arm.name}"
    yield from (f"{where} not paired, {why}" for why in pair.why)
    yield from (f"{where} {said}" for said in pair.remarks)
    for seed in pair.arm.repeated:
        yield f"{where} has several cells of seed {seed} with other answers; one of them counts"


def _provenance(
    folder: Path, cells: Sequence[ComparedCell], registered: Registered, command: str
) -> dict[str, str]:
    counted = len({cell.place for cell in cells})
    return {
        "command": redacted_text(command),
        "commit": commit(code()),
        **{name: found for name in PACKAGES if (found := installed(name))},
        "cells": f"{counted:,}",
        "study": folder.name,
        "baseline": registered.baseline,
        "margin": f"{100 * registered.margin:g} points"
        + (
            f", or {100 * registered.margin_share:g} % of the control's accuracy above chance"
            if registered.margin_share is not None
            else ""
        ),
        "primary": ", ".join(registered.primary) or "none registered",
        "positive controls": ", ".join(registered.positive_controls) or "none",
    }

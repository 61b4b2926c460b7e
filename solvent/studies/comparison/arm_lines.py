"""Arms, cells and slices as lines of the frames of a comparison."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from solvent.reports.table import as_share
from solvent.storage.runs import commit
from solvent.studies.comparison.arms import Arm, Pair
from solvent.studies.comparison.compared_cells import ComparedCell, Questions
from solvent.studies.comparison.estimating import Estimated
from solvent.studies.comparison.paired_statistics.cluster_layout import Layout
from solvent.studies.comparison.paired_statistics.margin_claims import adjust
from solvent.studies.comparison.paired_statistics.paired import (
    PairedEstimate,
    compare,
    equal_accuracy,
)
from solvent.studies.comparison.paired_statistics.power import detectable
from solvent.studies.comparison.verdict_rules import sentence

Line = dict[str, Any]
LABELS = ("model", "benchmark", "prompt", "compat", "imported", "setting", "intervention",
          "variant", "layers")  # fmt: skip
SPREADS = ("visual_mass", "visual_entropy_nats")
RATES = ("unparsed", "errors", "cut", "guessed")
FEWEST = 20  # questions of a slice


def arm_line(pair: Pair, found: Estimated | None, role: str) -> Line:
    """One line of `Comparison.arms`."""
    arm, control = pair.arm, pair.control
    line: Line = {
        "key": arm.key,
        "family": arm.family.key,
        "title": arm.family.title,
        "name": arm.name,
        "control": control.name if control else None,
        "role": role,
        **{name: arm.metrics.get(name) for name in LABELS},
        "condition": arm.condition,
        "seeds": len(arm.draws),
        "seed_list": ", ".join(str(cell.metrics["seed"]) for cell in arm.cells),
        "stochastic": arm.stochastic,
        **_score(arm),
        "n": len(arm.questions),
        "clusters": len(arm.questions.layout.sizes),
        **_measured(arm, control),
        "code": ", ".join(dict.fromkeys(code for cell in arm.cells for code in _commits(cell))),
        "beyond_controls": None,
        **_nothing(),
    }
    if control is not None and found is not None:
        line |= _difference(found)
        line |= _score_difference(arm, control)
        line["sentence"] = sentence(line)
    return line


def _nothing() -> Line:
    """What controls and unpaired arms lack."""
    numbers = ("difference_value", "difference_low", "difference_high", "score_difference_value",
               "score_difference_low", "score_difference_high", "effective", "error", "p",
               "p_adjusted", "gained", "lost", "discordant", "design_effect", "seed_sd",
               "seeds_better", "margin", "p_worse", "p_better", "p_not_inferior", "p_equivalent",
               "detectable", "needed")  # fmt: skip
    return dict.fromkeys(numbers, math.nan) | dict.fromkeys(
        ("correction", "verdict", "reason", "sentence")
    )


def _score(arm: Arm) -> Line:
    """Means over draws. Under a condition of the tests, the score is the mean credit."""
    accuracy = float(np.mean([cell.credit.mean() for cell in arm.draws]))
    line: Line = {"chance": float(arm.metrics["chance"]), "accuracy": accuracy}
    if arm.first.tested:
        return line | {
            "score_value": accuracy,
            "score_low": math.nan,
            "score_high": math.nan,
            "score_n": len(arm.questions),
            "score_name": "accuracy",
        }
    scores = [as_share(cell.metrics["score"]) for cell in arm.draws]
    for end in ("value", "low", "high"):
        known = [score[end] for score in scores if score[end] is not None]
        line[f"score_{end}"] = float(np.mean(known)) if known else math.nan
    return line | {"score_n": scores[0]["n"], "score_name": "score"}


def _score_difference(arm: Arm, control: Arm) -> Line:
    """Of the benchmark's own score, where that is no plain accuracy. A condition that not all
    questions have, or that only tests asked about, has no score to set beside its control's.
    """
    cells = arm.first, control.first
    if any(cell.tested for cell in cells) or len(arm.questions) < len(control.questions):
        return {}
    ours, theirs = _score(arm), _score(control)
    plain = all(
        math.isclose(each["score_value"], each["accuracy"], abs_tol=1e-9) for each in (ours, theirs)
    )
    value = ours["score_value"] - theirs["score_value"]
    return {} if plain or math.isnan(value) else {"score_difference_value": value}


def _measured(arm: Arm, control: Arm | None) -> Line:
    """Rates of answers, attention and cost; unknown of conditions of the tests."""
    cells = [cell.metrics for cell in arm.draws]
    if arm.first.tested:
        names = [*RATES, "skipped", "seconds", "cost", "entries_edited"]
        names += [f"{name}_{when}" for name in SPREADS for when in ("before", "after")]
        return dict.fromkeys(names, math.nan)
    line: Line = {}
    for name in RATES:
        known = [cell[name] / cell["score"]["rows"] for cell in cells if cell.get(name) is not None]
        line[name] = float(np.mean(known)) if known else math.nan
    for name in ("skipped", "seconds"):
        known = [cell[name] for cell in cells if cell.get(name) is not None]
        line[name] = float(np.mean(known)) if known else math.nan
    line["entries_edited"] = float(np.mean([cell["cells_edited"] for cell in cells]))
    for name in SPREADS:
        for when in ("before", "after"):
            known = [cell[name][when] for cell in cells if cell[name][when] is not None]
            line[f"{name}_{when}"] = float(np.mean(known)) if known else math.nan
    line["cost"] = math.nan
    if control is not None and not control.first.tested:
        theirs = np.mean([cell.metrics["seconds"] for cell in control.draws])
        line["cost"] = float(line["seconds"] / theirs) if theirs > 0 else math.nan
    return line


def _difference(found: Estimated) -> Line:
    estimate = found.estimate
    return {
        "difference_value": estimate.value,
        "difference_low": _number(estimate.low),
        "difference_high": _number(estimate.high),
        "clusters": estimate.clusters,
        "effective": estimate.effective,
        "error": _number(estimate.error),
        "p": _number(found.p),
        "p_adjusted": _number(found.p_adjusted),
        "correction": found.correction,
        "gained": estimate.gained,
        "lost": estimate.lost,
        "discordant": estimate.discordant,
        "design_effect": estimate.design_effect,
        "seed_sd": _number(estimate.seed_sd),
        "seeds_better": _number(estimate.seeds_better),
        "margin": found.margin,
        **{name: _number(getattr(found.claims, name)) for name in vars(found.claims)},
        "detectable": detectable(
            estimate.variance, estimate.n, estimate.design_effect, estimate.evidence.seed_variance
        ),
        "needed": _number(found.needed),
        "verdict": found.verdict,
        "reason": found.reason,
    }


def measure_lines(arm: Arm) -> Iterator[Line]:
    """Lines of `Comparison.measures`: what stands behind the score, mean over draws."""
    if arm.first.tested:
        return
    draws = [cell.metrics["score"].get("measures") or {} for cell in arm.draws]
    for name, first in draws[0].items():
        line: Line = {"key": arm.key, "family": arm.family.key, "name": arm.name, "measure": name}
        for end in ("value", "low", "high"):
            known = [draw[name][end] for draw in draws if draw[name][end] is not None]
            line[end] = float(np.mean(known)) if known else math.nan
        yield line | {key: first.get(key) for key in ("n", "unit", "better")}


def cell_line(cell: ComparedCell, found: Estimated | None) -> Line:
    """One line of `Comparison.cells`: a draw, with the difference of its arm."""
    metrics = cell.metrics
    names = ("model", "benchmark", "prompt", "compat", "condition", "setting", "intervention",
             "variant", "layers", "seed", "chance", "unparsed", "guessed", "errors", "cut",
             "skipped", "cells_edited", "seconds", "imported")  # fmt: skip
    line: Line = {name: metrics.get(name) for name in names}
    line |= {f"score_{key}": metrics["score"][key] for key in ("value", "low", "high", "n")}
    line["accuracy"] = float(cell.credit.mean()) if len(cell.credit) else math.nan
    for name in SPREADS:
        line |= {f"{name}_{when}": metrics[name][when] for when in ("before", "after")}
    line |= {"code": ", ".join(_commits(cell)), "folder": cell.place.name}
    estimate = found.estimate if found else None
    ends = ("value", "low", "high", "n", "clusters")
    line |= {f"difference_{end}": _number(getattr(estimate, end, None)) for end in ends}
    return line | {
        "p": _number(found.p if found else None),
        "verdict": found.verdict if found else None,
    }


def slice_lines(pairs: Sequence[Pair]) -> Iterator[Line]:
    """Lines of `Comparison.slices`: every paired arm in every slice of enough questions."""
    groups: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.control is not None:
            groups[id(pair.arm.questions)].append(pair)
    found = {id(pair): lines for members in groups.values() for pair, lines in _in_slices(members)}
    for pair in pairs:
        lines = found.get(id(pair), [])
        corrected = adjust([line["p"] for line in lines], "fdr_bh")
        for line, p in zip(lines, corrected, strict=True):
            yield line | {"p": _number(line["p"]), "p_adjusted": _number(p)}


def _in_slices(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, list[Line]]]:
    """Of arms that answered the same questions: a slice's signs are flipped for all at once."""
    lines: list[list[Line]] = [[] for _ in pairs]
    for tag, value, rows, layout in _parts(pairs[0].arm.questions):
        estimates = [compare(pair.differences[:, rows], layout) for pair in pairs]
        for pair, found, p, own in zip(
            pairs, estimates, equal_accuracy(estimates), lines, strict=True
        ):
            own.append(_of_slice(pair, found, rows, {"tag": tag, "value": value}) | {"p": p})
    yield from zip(pairs, lines, strict=True)


def _of_slice(
    pair: Pair, found: PairedEstimate, rows: np.ndarray, where: Mapping[str, str]
) -> Line:
    arm = float(np.mean([cell.credit[rows].mean() for cell in pair.arm.draws]))
    return {
        "key": pair.arm.key,
        **where,
        "n": found.n,
        "clusters": found.clusters,
        "control_accuracy": arm - found.value,
        "accuracy": arm,
        "difference_value": found.value,
        "difference_low": _number(found.low),
        "difference_high": _number(found.high),
    }


def _parts(questions: Questions) -> Iterator[tuple[str, str, np.ndarray, Layout]]:
    """Slices by tag, of those that are neither tiny nor the whole."""
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, each in enumerate(questions.asked):
        for tag, value in each.tags.items():
            members[tag, value].append(place)
    for (tag, value), places in sorted(members.items()):
        if FEWEST <= len(places) < len(questions):
            rows = np.array(places)
            yield tag, value, rows, Layout.of(questions.clusters[rows])


def _commits(cell: ComparedCell) -> list[str]:
    return list(dict.fromkeys(commit(run.get("code", {})) for run in cell.runs))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

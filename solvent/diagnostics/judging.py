"""All tests of a cell, judged by its stored answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from solvent.core.types import Diagnostic, Prediction
from solvent.diagnostics.answers import REFERENCE, Answers, collect
from solvent.diagnostics.contract import check_finding
from solvent.diagnostics.observations import paired, seen_by
from solvent.diagnostics.statistics.estimates import FEW_BOUNDED, Estimate, holm
from solvent.diagnostics.statistics.place_bias import TURN, calibrated

FACTS = "facts"  # key of what a finding keeps of its test: asks, number, ..., margin
DIGITS = 10  # significant; how sums are spread over threads changes the last of 16


def judge_all(
    tests: Mapping[str, Diagnostic],
    predictions: Mapping[str, Sequence[Prediction]],
    cell: Path,
) -> dict[str, dict[str, Any]]:
    """Findings by test, as plain values, each with the test's facts; what is no number is None.

    The p-values of the tests (`p_value` among their metrics) are adjusted together, by Holm, as
    `p_value_adjusted`.

    Args:
        predictions: by condition.
        cell: folder of the cell.
    """
    answers = cache(lambda: unbiased(collect(paired(tests, predictions))))
    findings = {}
    for name, test in tests.items():
        own = cache(lambda test=test: answers().in_blocks(test.conditions))
        found = test.judge(seen_by(test, own, predictions, cell))
        check_finding(name, test, found)
        found = replace(found, metrics={k: _number(each) for k, each in found.metrics.items()})
        if found.verdict == "INCONCLUSIVE" and all(row.options for row in predictions[REFERENCE]):
            found = replace(found, reason=_also(found.reason, few_blocks(answers(), own())))
        facts = replace(test.facts, margin=test.judged_against)
        findings[name] = plain(asdict(found)) | {FACTS: asdict(facts)}
    tested = [
        name for name, found in findings.items() if found["metrics"].get("p_value") is not None
    ]
    adjusted = holm([findings[name]["metrics"]["p_value"] for name in tested]) if tested else []
    for name, p in zip(tested, adjusted, strict=True):
        findings[name]["metrics"]["p_value_adjusted"] = p
    return findings


def _number(metric: Estimate | float | int | None) -> Estimate | float | int | None:
    """None for the mean of what is not finite, such as bits of an option that is impossible."""
    endless = isinstance(metric, Estimate) and not math.isfinite(metric.value)
    return None if endless else metric


def _also(reason: str, more: str) -> str:
    """A reason and a sentence after it, whether or not the reason ends with a full stop."""
    return f"{reason.removesuffix('.')}. {more}" if more else reason


def few_blocks(answers: Answers, blocks: Answers) -> str:
    """That donors of few images make too few independent blocks, where they do; else nothing.

    Args:
        blocks: the same answers with blocks for clusters.
    """
    images, count = (len(np.unique(each.clusters)) for each in (answers, blocks))
    if count == images or count >= FEW_BOUNDED:
        return ""
    return (
        f"{images} independent images make {count} blocks that exchange pictures, and a verdict "
        f"needs at least {FEW_BOUNDED:.0f}: ask about more images."
    )


def unbiased(answers: Answers) -> Answers:
    """Without the preference for places, where every rotation of the options was asked."""
    asked_in_turns = any(TURN.fullmatch(uid) for uid in answers.uids)
    return calibrated(answers) if asked_in_turns else answers


def plain(value: Any) -> Any:
    """As JSON holds it."""
    if is_dataclass(value):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value

"""What a modality-usage test must have: looked at before anything is answered, and before what it
found is kept.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from solvent.core.types import Diagnostic, Facts
from solvent.diagnostics.base import (
    PAIRS,
    PREDICTIONS,
    SHARES,
    STATES,
    UPDATES,
    Finding,
    UsageTest,
)
from solvent.diagnostics.statistics.estimates import Estimate, Verdict

VERDICTS = get_args(Verdict)
SILENT = ("MEASURED", "NOT APPLICABLE", "ERROR")  # verdicts that judge no number
WATCHED = (STATES, SHARES, PAIRS, PREDICTIONS, UPDATES)
KEPT_ONCE = {STATES: "decoder states", UPDATES: "updates of the residual stream"}
FACTS = (
    "facts = Facts(asks='Does it ...?', number='name of the judged metric', unit='bits', "
    "neutral=0.0, place=None)"
)


def check_tests(tests: Mapping[str, Diagnostic]) -> None:
    """Refuse tests that could not be run, judged or shown. Raises `ValueError`: what to write."""
    for name, test in tests.items():
        if missing := _missing(test):
            raise ValueError(f"the test diagnostic.{name}, {_called(test)}, {missing}")
    for sight, kept in KEPT_ONCE.items():
        watching = [name for name, test in tests.items() if sight in test.watches]
        if len(watching) > 1:
            raise ValueError(
                f"{' and '.join(watching)} watch {kept}, of which a cell keeps one kind: run them "
                "one after the other, diagnostic=[...] with one of them each"
            )


def check_finding(name: str, test: Diagnostic, found: Any) -> None:
    """Refuse a finding that could not be kept or shown. Raises `ValueError`: what to correct."""
    if wrong := _wrong(test, found):
        raise ValueError(
            f"the test diagnostic.{name}, {_called(test)}, {wrong}; correct its judge() and run "
            "the same command again: all answers are kept"
        )


def _called(test: Any) -> str:
    return f"{type(test).__module__}.{type(test).__qualname__}"


def _missing(test: Any) -> str:
    """The first thing that a test lacks, and how to write it; empty where it has all."""
    if not isinstance(test, UsageTest):
        return "is no UsageTest: derive its class from solvent.diagnostics.base.UsageTest"
    if not isinstance(getattr(test, "name", None), str):
        return "has no name: write name = 'its name' in its class"
    facts = getattr(test, "facts", None)
    if not isinstance(facts, Facts):
        return f"has no facts, which cards and tables show: write {FACTS} in its class"
    if not all(isinstance(each, str) and each for each in (facts.asks, facts.number)):
        return f"has facts without what it asks or its number: write {FACTS} in its class"
    neutral = facts.neutral is None or (_is_number(facts.neutral) and math.isfinite(facts.neutral))
    if not (isinstance(facts.unit, str) and neutral and isinstance(facts.place, int | None)):
        return (
            "has facts of which unit is no text, neutral no number or place no whole number: "
            f"write {FACTS} in its class"
        )
    conditions = getattr(test, "conditions", None)
    if not (_names(conditions) and conditions):
        return (
            "reads nothing: write conditions = ('real', 'swap'), say, names of "
            "conf/conditions.yaml, in its class"
        )
    if type(test).judge is UsageTest.judge or not _takes_one(test.judge):
        return "cannot judge: write judge(self, seen), which returns a Finding"
    return _unwatchable(test)


def _unwatchable(test: UsageTest) -> str:
    if not isinstance(test.watches, Mapping):
        return "watches what is no mapping: write watches = {'shares': ('real',)}, say"
    for sight, names in test.watches.items():
        if sight not in WATCHED or not _names(names) or not {*names} <= {*test.conditions}:
            return (
                f"watches {sight!r} under {names!r}: expected {', '.join(WATCHED)}, each with "
                "some of its conditions"
            )
    unsaid = type(test).strata is UsageTest.strata or test.components < 1
    if STATES in test.watches and unsaid:
        return (
            "watches states and does not say which are compared: write components, how many are "
            "kept of every state, and strata(self, answers)"
        )
    if UPDATES in test.watches and type(test).lens is UsageTest.lens:
        return (
            "watches updates and does not say what is measured of them: write lens(self, uids, "
            "condition), which gives an object with choose() and measure()"
        )
    return ""


def _names(found: Any) -> bool:
    """Whether these are several texts, not one."""
    listed = isinstance(found, Sequence) and not isinstance(found, str)
    return listed and all(isinstance(name, str) for name in found)


def _takes_one(method: Any) -> bool:
    try:
        inspect.signature(method).bind(None)
    except TypeError:
        return False
    return True


def _wrong(test: Diagnostic, found: Any) -> str:
    """The first thing that is wrong with a finding; empty where nothing is."""
    if not isinstance(found, Finding):
        return f"found {type(found).__name__}; expected a Finding"
    for verdict in (found.verdict, found.strict):
        if verdict not in VERDICTS:
            return f"says {verdict!r}; expected one of {', '.join(VERDICTS)}"
    if not isinstance(found.reason, str):
        return f"gives the reason {found.reason!r}; expected a sentence"
    if not isinstance(found.metrics, Mapping):
        return f"has metrics of {type(found.metrics).__name__}; expected Estimates by name"
    for name, value in found.metrics.items():
        if not (value is None or isinstance(value, Estimate) or _is_number(value)):
            return f"has a metric {name!r} of {type(value).__name__}; expected an Estimate"
    if found.verdict not in SILENT and test.facts.number not in found.metrics:
        return (
            f"judges {test.facts.number!r}, which is none of its metrics: "
            f"{', '.join(found.metrics) or 'none'}"
        )
    return ""


def _is_number(value: Any) -> bool:
    """Of Python or NumPy."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)

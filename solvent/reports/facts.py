"""What is known of the tests whose findings are shown, whoever wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from solvent.core.types import Facts

Found = Mapping[str, Any]
"""A finding as it is stored: verdict, strict, reason, metrics, and facts unless it is old."""


def facts_of(name: str, finding: Found) -> Facts:
    """What a finding keeps of its test; where it keeps nothing, its name and its first estimate."""
    if finding.get("facts"):
        return Facts(**finding["facts"])
    metrics = finding["metrics"].items()
    number = next((metric for metric, value in metrics if isinstance(value, Mapping)), "")
    unit = number.replace("_", " ")
    return Facts(asks=name, number=number, unit=unit, neutral=None, place=None)


def with_facts(
    findings: Mapping[str, Found], known: Callable[[], Mapping[str, Facts]]
) -> dict[str, Found]:
    """Findings with facts: their own, or what is known of tests whose findings are old.

    Args:
        findings: by test.
        known: facts by test; only asked where some finding has none.
    """
    if all(finding.get("facts") for finding in findings.values()):
        return dict(findings)
    older = {name: {"facts": asdict(facts)} for name, facts in known().items()}
    return {name: older.get(name, {}) | dict(finding) for name, finding in findings.items()}


def in_order(facts: Mapping[str, Facts]) -> dict[str, Facts]:
    """Tests that have a place first, then all others by name.

    Of tests that ask the same, of several texts say, each has its name in front of the question.
    """

    def key(name: str) -> tuple[bool, int, str]:
        place = facts[name].place
        return place is None, place or 0, name

    asked = Counter(each.asks for each in facts.values())
    return {
        name: facts[name]
        if asked[facts[name].asks] == 1
        else replace(facts[name], asks=f"{name}: {facts[name].asks}")
        for name in sorted(facts, key=key)
    }

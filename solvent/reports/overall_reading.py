"""The one reading of a cell: does the image move its answers, and to the better?

A pure function of findings as they are stored, old ones included. docs/diagnostics.md has the rule
as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ASKS = "Moves, usefully?"
STRONG = 0.1  # accuracy that the own image must surely add for `USES IT`
GAIN = 0.02  # accuracy over no image, likewise
CONTENT = "content_contrast_bits"  # of `dependency`: donors that answer otherwise, minus alike

Overall = Literal["BLIND", "MOVED BUT MISLED", "USES IT WEAKLY", "USES IT", "NOT SETTLED"]
Found = Mapping[str, Any]
Number = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a cell's findings say together, and the findings that say it."""

    overall: Overall
    evidence: tuple[str, ...]  # clauses: a test, its verdict, its number

    @property
    def reason(self) -> str:
        """The evidence in one sentence."""
        return f"{'; '.join(self.evidence)}."


def overall_reading(findings: Mapping[str, Found]) -> Reading | None:
    """The reading; None of a cell with neither `dependency` nor `measures`, of which there is none.

    Args:
        findings: by test, as plain values.
    """
    moved, useful, worth = (findings.get(name) for name in ("dependency", "measures", "exchange"))
    if moved is None and useful is None:
        return None
    evidence = [
        _clause("another image changes the answer", "dependency", moved, "jsd_over_placebo_bits"),
        _clause("right more often with its own image", "measures", useful, "perceptual_score"),
        _clause("worth bits about the truth", "exchange", worth, "image_bits"),
    ]
    said = _said(moved, useful, worth)
    content = moved["metrics"].get(CONTENT) if moved else None
    if isinstance(content, Mapping):
        evidence.append(_by_content(content))
    if useful is not None:
        evidence += _over_nothing(useful)
    return Reading(overall=said, evidence=tuple(evidence))


def overall_of(findings: Mapping[str, Found]) -> dict[str, Any]:
    """The part of a cell's metrics that says it, under `overall`; nothing where there is none."""
    reading = overall_reading(findings)
    return (
        {"overall": {"reading": reading.overall, "evidence": [*reading.evidence]}}
        if reading
        else {}
    )


def _said(moved: Found | None, useful: Found | None, worth: Found | None) -> Overall:
    moves, better = _verdict(moved), _verdict(useful)
    if moves == "FAIL" and better != "PASS":
        return "BLIND"
    truer = _verdict(worth) == "PASS" and _end(worth, "right_contrast", "lower") is not None
    if moves == "PASS" and better == "FAIL" and truer:  # likelier, but not likeliest
        return "USES IT WEAKLY"
    if moves == "PASS" and (
        better == "FAIL" or (better == "INCONCLUSIVE" and _surely_below_zero(worth, "image_bits"))
    ):
        return "MOVED BUT MISLED"
    if better != "PASS" or moves not in ("PASS", "FAIL"):
        return "NOT SETTLED"
    much = _surely_above(useful, "perceptual_score", STRONG)
    gains = _surely_above(useful, "multimodal_gain_over_text", GAIN)
    known = not _recognised(moved)
    if moves == "FAIL" or not (much and gains and known) or _verdict(worth) == "FAIL":
        return "USES IT WEAKLY"
    return "USES IT" if _verdict(worth) in ("PASS", "INCONCLUSIVE") else "NOT SETTLED"


def _verdict(found: Found | None) -> str:
    return "MISSING" if found is None else str(found["verdict"])


def _recognised(moved: Found | None) -> bool:
    """Whether it may only matter that a picture is the question's own, and not what it shows: one
    with another right answer does not surely move the answer further than one with the same.

    Not where a set has too few such pictures to say.
    """
    lower = _end(moved, CONTENT, "lower")
    return lower is not None and lower <= 0


def _surely_above(found: Found | None, name: str, margin: float) -> bool:
    lower = _end(found, name, "lower")
    return lower is not None and lower > margin


def _surely_below_zero(found: Found | None, name: str) -> bool:
    upper = _end(found, name, "upper")
    return upper is not None and upper < 0


def _end(found: Found | None, name: str, end: str) -> float | None:
    number = found["metrics"].get(name) if found else None
    return number.get(end) if isinstance(number, Mapping) else None


def _clause(claim: str, test: str, found: Found | None, name: str) -> str:
    if found is None:
        return f"{claim}: not tested, add {test}"
    number = found["metrics"].get(name)
    said = {"PASS": "yes", "FAIL": "no", "INCONCLUSIVE": "not sure"}.get(
        found["verdict"], f"no verdict, {found['verdict'].lower()}"
    )
    value = f" {_number(number)}" if isinstance(number, Mapping) else ""
    return f"{claim}: {said} ({test}{value})"


def _by_content(number: Number) -> str:
    lower = number.get("lower")
    few = "too few such pictures to say"
    said = few if lower is None else "yes" if lower > 0 else "not sure"
    return (
        "a picture with another right answer moves it further than one with the same: "
        f"{said} (dependency {_number(number)})"
    )


def _over_nothing(useful: Found) -> list[str]:
    number = useful["metrics"].get("multimodal_gain_over_text")
    if not isinstance(number, Mapping):
        return []
    return [f"accuracy over no image {_number(number)}"]


def _number(number: Number) -> str:
    low, high = number["low"], number["high"]
    ends = "no interval" if low is None or high is None else f"{low:.3f}, {high:.3f}"
    return f"{number['value']:.3f} [{ends}]"

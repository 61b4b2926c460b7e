"""Modality cards for the page: per cell, what every test asked and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from solvent.reports.card import CHIPS
from solvent.reports.compared.page.number_format import DASH, MINUS, whole
from solvent.reports.compared.page.plot_scale import Scale, around
from solvent.reports.facts import Found, facts_of, in_order
from solvent.reports.overall_reading import overall_reading
from solvent.reports.table import cell_title
from solvent.reports.usage_comparison import shown

View = dict[str, Any]
TONES = {  # verdict or reading -> class of the style sheet; others are plain
    **{"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "open", "VACUOUS": "open", "COUPLED": "open"},
    **{"ERROR": "bad", "USES IT": "good", "USES IT WEAKLY": "open", "MOVED BUT MISLED": "bad"},
    **{"BLIND": "bad", "NOT SETTLED": "open"},
}


def usage(cells: Sequence[Mapping[str, Any]]) -> View | None:
    """A table of verdicts, cells by tests, and a card per cell; None where no cell has tests."""
    tested = [cell for cell in cells if cell.get("diagnostics")]
    if not tested:
        return None
    tests = shown(tested)
    return {
        "tests": [{"name": name, "asks": facts.asks} for name, facts in tests.items()],
        "cells": [
            {
                "title": cell_title(cell),
                "model": cell["model"],
                "benchmark": cell["benchmark"],
                "overall": _overall(cell["diagnostics"]),
                "fields": [_verdict(cell["diagnostics"].get(name)) for name in tests],
                "rows": _rows(cell["diagnostics"]),
            }
            for cell in tested
        ],
    }


def _overall(findings: Mapping[str, Found]) -> View | None:
    reading = overall_reading(findings)
    if reading is None:
        return None
    return {
        "word": reading.overall.lower(),
        "tone": TONES.get(reading.overall, ""),
        "evidence": list(reading.evidence),
    }


def _verdict(found: Found | None) -> View | None:
    """The word of a test's verdict for people, in its tone."""
    if found is None:
        return None
    verdict = found["verdict"]
    word = CHIPS[verdict][1] if verdict in CHIPS else str(verdict).lower()
    return {"word": word, "verdict": verdict, "tone": TONES.get(verdict, "")}


def _rows(findings: Mapping[str, Found]) -> list[View]:
    tests = in_order({name: facts_of(name, found) for name, found in findings.items()})
    rows = []
    for name, facts in tests.items():
        found = findings[name]
        number = found["metrics"].get(facts.number)
        known = isinstance(number, Mapping) and number.get("value") is not None
        marks = [facts.neutral, facts.margin]
        rows.append(
            {
                "name": name,
                "asks": facts.asks,
                "unit": facts.unit,
                "reason": found["reason"],
                **(_verdict(found) or {}),
                **(_number(number, marks) if known else {"said": None}),
            }
        )
    return rows


def _number(number: Mapping[str, Any], marks: Sequence[float | None]) -> View:
    ends = [number["low"], number["value"], number["high"]]
    scale = around([*ends, *marks])
    clusters = number.get("clusters")
    counted = f"n = {whole(number['n'])} questions"
    said = f"{_plain(number['value'])} [{_plain(number['low'])}, {_plain(number['high'])}]"
    return {
        "said": said if number["low"] is not None else f"{_plain(number['value'])}, no interval",
        "counted": counted + ("" if clusters is None else f", {whole(clusters)} sets of images"),
        **{
            key: _place(scale, value)
            for key, value in zip(("low", "at", "high"), ends, strict=True)
        },
        **{
            key: _place(scale, value)
            for key, value in zip(("neutral", "margin"), marks, strict=True)
        },
    }


def _place(scale: Scale, value: float | None) -> float | None:
    return None if value is None else scale.place(value)


def _plain(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}".replace("-", MINUS)

"""Fields that came later: what was written before they existed keeps its bytes and its digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solvent.cells.scoring import scored
from solvent.core.content import digest_samples
from solvent.core.types import Accepted, Prediction, Sample
from solvent.storage.records import decode, encode

GOLD = Accepted(answers=("3", "three"), kind="number", precision=1)
SAMPLE = Sample(uid="made/1", images=(), text="How many?", options=(), gold=GOLD)
ROW = Prediction(
    uid="made/1",
    condition="real",
    raw="3",
    scores=None,
    parsed="3",
    gold=GOLD,
    status="ok",
    credit=1.0,
    visual_mass=None,
    cells_edited=0,
    groups={},
    tags={},
)
# As they were written when there was none of these fields.
BEFORE = (
    '{"uid": "made/1", "condition": "real", "raw": "3", "scores": null, "parsed": "3", "gold"'
    ': {"answers": ["3", "three"], "kind": "number", "precision": 1}, "status": "ok", "credit'
    '": 1.0, "visual_mass": null, "cells_edited": 0, "groups": {}, "tags": {}, "error": null,'
    ' "visual_entropy": null, "cells_by_phase": null, "options": null, "guessed": false, "n_i'
    'mage_tokens": null, "blind_scores": null, "shown": null, "check": "5f33ba83a5dc76ae"}'
)
DIGEST = "fe9cc5326f5efc5a9d3f40731a0850b4cc8a1ecd3121f75173f5bed8103ab260"


def test_without_them_bytes_and_digest_are_as_before() -> None:
    assert encode(ROW) == BEFORE
    assert decode(BEFORE) == ROW
    assert digest_samples([SAMPLE]) == DIGEST


def test_with_them_everything_comes_back() -> None:
    gold = replace(GOLD, prior=("4",))
    row = replace(ROW, gold=gold, cut=False, question="How many?", thought="", thought_tokens=0)
    assert decode(encode(row)) == row
    assert digest_samples([replace(SAMPLE, gold=gold)]) != DIGEST


class _Scores:
    """A benchmark of which only the counts beside its score are looked at."""

    def score(self, predictions: object) -> dict[str, dict[str, float]]:
        return {"score": {"value": 1.0}}

    def guessed(self, predictions: object) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("marks", "count"), [([True, False, True], 2), ([False, None], 0), ([None], None)]
)
def test_cut_answers_are_counted_where_it_is_known(
    marks: list[bool | None], count: int | None
) -> None:
    rows = [replace(ROW, uid=f"made/{n}", cut=cut) for n, cut in enumerate(marks)]
    assert scored(_Scores(), rows).get("cut") == count  # type: ignore[arg-type]

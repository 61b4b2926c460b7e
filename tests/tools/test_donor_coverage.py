"""Intervals of D and J: wrong with donors from everywhere, right with donors from blocks."""

from __future__ import annotations

import pytest

from tools.donor_coverage import coverage, donors, truth

RUNS, IMAGES = 250, 250


@pytest.mark.parametrize("strength", ["varying", "few strong"])
def test_blocks_cover_and_cycles_do_not(strength: str) -> None:
    known = truth(strength)
    blocks = coverage(donors(IMAGES, blocks=True), strength, known, RUNS)
    assert min(blocks) >= 0.93
    cycle = coverage(donors(IMAGES, blocks=False), strength, known, RUNS)
    assert cycle[0] < 0.86  # D; 0.72 to 0.81 is known of other worlds
    assert cycle[1] < 0.78  # J

"""What a comparison is asked for is read as it stands, and what makes no sense is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from solvent.studies.comparison.estimating import Registered
from solvent.studies.comparison.publishing import Wanted
from solvent.studies.comparison.settings import registered, wanted
from tests.comparison_of import comparison_of

ASKED: dict[str, Any] = {
    "baseline": "learned", "margin": 0.02, "margin_share": 0.1, "primary": ["uniform"],
    "positive_controls": ["knockout", "swap"], "conditions": "controls", "figures": ["png"],
    "flips": {"each": 4, "total": 40, "attention": True},
}  # fmt: skip


def test_settings_are_read_as_they_stand() -> None:
    assert registered(ASKED) == Registered(
        baseline="learned", margin=0.02, margin_share=0.1, primary=("uniform",),
        positive_controls=("knockout", "swap"),
    )  # fmt: skip
    assert wanted(ASKED) == Wanted(figures=("png",), flips_each=4, flips=40, attention=True)
    bounds = registered({**ASKED, "margin": 1, "margin_share": None})
    assert (bounds.margin, bounds.margin_share) == (1.0, None)
    none = wanted({**ASKED, "figures": [], "flips": {"each": 0, "total": 0, "attention": False}})
    assert none == Wanted(figures=(), flips_each=0, flips=0, attention=False)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"margin": 0}, "margin is 0; expected a share above 0 and at most 1, such as 0.02 for 2"),
        ({"margin": 2}, "margin is 2; expected a share"),
        ({"margin": "small"}, "margin"),
        ({"margin_share": -0.1}, "margin_share is -0.1; expected a share"),
        ({"margin_share": 10}, "margin_share is 10; expected a share"),
        ({"primary": "uniform"}, "primary"),
        ({"positive_controls": None}, "positive_controls"),
        ({"conditions": "some"}, "conditions"),
        ({"figures": ["gif"]}, "figures"),
        ({"flips": {"each": -1, "total": 40, "attention": False}}, "flips.each is -1; expected 0"),
        ({"flips": {"each": 4, "total": -1, "attention": False}}, "flips.total is -1; expected 0"),
        ({"flips": {"each": 4, "total": 40, "attention": "yes"}}, "flips.attention"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, Any], said: str) -> None:
    asked = {**ASKED, **changed}
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        wanted(asked), registered(asked)
    assert said in str(refused.value)


def test_a_setting_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Of a large study that would be after minutes."""
    for wrong in ("flips.each=-1", "margin=7"):
        with pytest.raises(ValueError, match=r"expected (0 or more|a share)"):
            comparison_of(tmp_path, "nowhere", "learned", wrong)

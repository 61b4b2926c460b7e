"""Requirements at other versions, and whether constraints.txt is what pyproject.toml admits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.requirements import latest, lowest, pinned, written

ROOT = Path(__file__).resolve().parents[2]


def test_every_requirement_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pairs}
    package, tests = written()
    for requirement in map(Requirement, [*package, *tests]):
        if requirement.name == "torch":
            assert "torch" not in pins
        else:
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_lowest_are_the_lower_bounds() -> None:
    package, tests = written()
    for requirement, line in zip([*package, *tests], lowest(), strict=True):
        admitted, exact = Requirement(requirement), Requirement(line)
        (version,) = (each.version for each in exact.specifier)
        assert exact.name == admitted.name
        assert version in admitted.specifier
        assert f">={version}" in str(admitted.specifier)


def test_the_latest_have_no_upper_bound_but_what_is_not_looked_for() -> None:
    bounded = [line for line in latest() if "<" in line]
    assert [re.match(r"\w+", line)[0] for line in bounded] == ["torch", "pytest"]


def test_torch_is_left_to_everybody() -> None:
    installed = ["numpy==2.4.6", "torch==2.13.0+cpu", "nvidia-cudnn-cu13==9.1", "triton==3.6",
                 "-e git+https://example.org#egg=solvent", "solvent==0.1.0"]  # fmt: skip
    header, build, *pins = pinned(installed)
    assert header.startswith("# Exact versions")
    assert build.startswith("# torch==2.13.0 and Python 3")
    assert pins == ["numpy==2.4.6"]


def test_a_requirement_without_a_lower_bound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.requirements.written", lambda: (["numpy"], []))
    with pytest.raises(ValueError, match=r"Expected 'numpy' in pyproject\.toml to begin with"):
        lowest()

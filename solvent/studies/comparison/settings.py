"""What a comparison is asked for, from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from solvent.cells.building import check_kind
from solvent.studies.comparison.estimating import Registered
from solvent.studies.comparison.publishing import Wanted

KINDS: Mapping[str, Any] = {
    "margin": float,
    "margin_share": float | None,
    "primary": list[str],
    "positive_controls": list[str],
    "conditions": Literal["controls", "all"],
    "figures": list[Literal["png", "pdf", "svg"]],
}
OF_FLIPS: Mapping[str, Any] = {"each": int, "total": int, "attention": bool}


def registered(asked: Mapping[str, Any]) -> Registered:
    """What was decided beforehand. Raises `ValueError` where a setting makes no sense."""
    for name, kind in KINDS.items():
        check_kind(asked[name], kind, name)
    for name in ("margin", "margin_share"):
        value = asked[name]
        if value is not None and not 0 < value <= 1:
            raise ValueError(
                f"{name} is {value}; expected a share above 0 and at most 1, such as 0.02 for 2 "
                "points"
            )
    return Registered(
        baseline=asked["baseline"],
        margin=float(asked["margin"]),
        margin_share=None if asked["margin_share"] is None else float(asked["margin_share"]),
        primary=tuple(asked["primary"]),
        positive_controls=tuple(asked["positive_controls"]),
    )


def wanted(asked: Mapping[str, Any]) -> Wanted:
    """What is made of it. Raises `ValueError` where a setting makes no sense."""
    shown = asked["flips"]
    for name, kind in OF_FLIPS.items():
        check_kind(shown[name], kind, f"flips.{name}")
        if kind is int and shown[name] < 0:
            raise ValueError(f"flips.{name} is {shown[name]}; expected 0 or more questions")
    return Wanted(
        figures=tuple(asked["figures"]),
        flips_each=shown["each"],
        flips=shown["total"],
        attention=shown["attention"],
    )

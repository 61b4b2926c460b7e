"""What is done to a vision-language model's attention. Usable alone, in three lines:

    from interventions import intervene, uniform

    with intervene(model, uniform(layers="middle")) as log:
        model(**inputs)

Every file in conf/intervention is a name of this package: `uniform(seed=3)` is
`load("uniform", seed=3)`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from interventions.budget import budget
from interventions.capture import capture
from interventions.intervention import Intervention, available, load
from interventions.measurement import AttentionLog, Measurement
from interventions.parts import hint
from interventions.patch import intervene
from interventions.sequences import InterventionError

__all__ = [
    "AttentionLog",
    "Intervention",
    "InterventionError",
    "Measurement",
    "available",
    "budget",
    "capture",
    "intervene",
    "load",
]

MODULES = ("calibrations", "heads", "masses", "patterns", "probes")  # of the parts of definitions


def __getattr__(name: str) -> Any:
    if name in available():
        return partial(load, name)
    raise AttributeError(f"module 'interventions' has no attribute {name!r}{hint(name, __dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *MODULES, *available()])

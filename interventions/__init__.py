"""What is done to a vision-language model's attention. Usable alone, in three lines:

    from interventions import intervene, uniform

    with intervene(model, uniform(layers="middle")) as log:
        model(**inputs)

Every file in conf/intervention is a name of this package: `uniform(seed=3)` is
`load("uniform", seed=3)`.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from interventions.engine.sequences import InterventionError
from interventions.looking.capture import capture
from interventions.looking.log import AttentionLog, Measurement
from interventions.looking.shares import shares
from interventions.methods.definitions import available, load
from interventions.methods.intervention import Intervention
from interventions.methods.parts import hint
from interventions.patching.conversation import turns
from interventions.patching.patch import intervene

__all__ = [
    "AttentionLog",
    "Intervention",
    "InterventionError",
    "Measurement",
    "__version__",
    "available",
    "capture",
    "intervene",
    "load",
    "shares",
    "turns",
]

try:
    __version__ = version("solvent")  # which brings this package
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+checkout"


def __getattr__(name: str) -> Any:
    if name in available():
        return partial(load, name)
    raise AttributeError(f"module 'interventions' has no attribute {name!r}{hint(name, __dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *available()])

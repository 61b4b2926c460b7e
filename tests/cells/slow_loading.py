"""A model whose loading takes a while in one process, or is stopped there."""

from __future__ import annotations

import os
import time
from typing import Any

from solvent.models import vlm
from tests.processes import stopped


def load(*, stops: int | None, rank: int, seconds: float, **settings: Any) -> Any:
    """What `model._target_` names.

    Args:
        stops: rank of the process that is stopped before it loads; None: of no process.
        rank: of the process that takes some seconds longer.
        seconds: of these.
        settings: as in conf/model.
    """
    mine = int(os.environ["RANK"])
    if mine == stops:
        stopped()
    if mine == rank:
        time.sleep(seconds)
    return vlm.load(**settings)

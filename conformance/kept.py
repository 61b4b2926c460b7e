"""What was found of each family, kept as it is found: a long examination can go on another day.

A family is examined in a process of its own, so that one that hangs, dies or fills the memory has
that as its reason, and the others are examined all the same.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch
import transformers
from transformers.utils import is_torchvision_available

from conformance.folders import TORCHVISION
from solvent.core.paths import ROOT

FOLDER = ROOT / ".conformance"
Found = dict[str, Any]
Answer = TypeVar("Answer")


def versions() -> dict[str, str]:
    """What a finding holds for."""
    return {
        "transformers": transformers.__version__,
        "torch": torch.__version__.partition("+")[0],
    }


def find(family: str, examine: Callable[[str], Found], again: bool) -> Found:
    """What is known of a family: kept by an earlier run with the same versions, or found now.

    Arguments:
        again: whether what was kept is found anew.
    """
    place = FOLDER / f"{family}.json"
    if not again and place.is_file():
        kept = json.loads(place.read_text(encoding="utf-8"))
        if kept.pop("versions") == versions() and not can_do_better(kept):
            return kept
    found = examine(family)
    FOLDER.mkdir(exist_ok=True)
    place.write_text(json.dumps({**found, "versions": versions()}), encoding="utf-8")
    return found


def can_do_better(kept: Found) -> bool:
    """Whether only a library that is here now was missing."""
    return TORCHVISION in str(kept.get("unevaluated")) and is_torchvision_available()


def apart(
    family: str, examine: Callable[[str], Answer], lost: Callable[..., Answer], minutes: float = 15
) -> Answer:
    """`examine(family)` in a process of its own.

    Arguments:
        lost: makes an answer of `family` and `reason`, where the process gave none.
    """
    context = multiprocessing.get_context("fork")  # what is imported here, is there
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, examine, family))
    process.start()
    there.close()
    try:
        if here.poll(minutes * 60):
            return here.recv()
        process.kill()
        return lost(family=family, reason=f"Examining it took more than {minutes} minutes.")
    except EOFError:
        process.join()
        code = process.exitcode
        return lost(family=family, reason=f"The process that examined it ended with {code}.")
    finally:
        process.join()
        here.close()


def _send(there: Connection, examine: Callable[[str], Any], family: str) -> None:
    there.send(examine(family))
    there.close()

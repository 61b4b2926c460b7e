"""The state of a training run on disk: one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from solvent.core.files import replacing

ABOUT = "about"


def save(
    path: Path,
    student: Mapping[str, Tensor],
    optimizer: Mapping[str, Any],
    progress: Mapping[str, Any],
) -> None:
    """Write the state dicts of a model and of its optimizer; the old ones stay until then."""
    tensors = {f"student/{name}": value for name, value in student.items()}
    for number, moments in optimizer["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in moments.items()}
    about = {"groups": optimizer["param_groups"], "progress": progress}
    whole = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    with replacing(path) as new:
        save_file(whole, new, metadata={ABOUT: json.dumps(about)})


def load(path: Path, device: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """What `save` was given: both state dicts, and how far it got."""
    student: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, framework="pt", device=device) as file:
        about = json.loads(file.metadata()[ABOUT])
        for key in file.keys():  # noqa: SIM118 - not a mapping
            owner, _, name = key.partition("/")
            if owner == "student":
                student[name] = file.get_tensor(key)
            else:
                number, _, moment = name.partition("/")
                moments.setdefault(int(number), {})[moment] = file.get_tensor(key)
    return student, {"state": moments, "param_groups": about["groups"]}, about["progress"]

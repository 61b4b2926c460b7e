"""Tensors that an intervention reads from a safetensors file.

Axes: D donors, L layers, H heads, N image tokens; B batch, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interventions.engine.view import View
from interventions.errors import InterventionError
from interventions.methods.shipped import located

Seal = tuple[int, int, int]


def read_tensor(file: str, name: str, device: torch.device) -> Tensor:
    """A float32 tensor of a safetensors file; `InterventionError` when it is not there."""
    path = located(file)
    if file == "???" or "${" in file:
        raise InterventionError(
            "This intervention reads a file; name it, as in "
            "load(name, **{'pattern.file': 'my.safetensors'}) or intervention.pattern.file=..."
        )
    if not path.is_file():
        raise InterventionError(
            f"There is no file {file}, which this intervention reads; make it with "
            "`python -m solvent calibrate` and the same settings."
        )
    return _read(str(path.resolve()), seal(path), name, device)


def seal(path: Path) -> Seal:
    """What changes when a file is written again, also under its old time of modification."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """A safetensors file. Raises `InterventionError` where it is none, or is cut short."""
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise InterventionError(
            f"Expected a whole safetensors file, but {path} is none ({error}); make it again, or "
            "save what torch.load or numpy.load read from it with safetensors.torch.save_file."
        ) from error
    with file as tensors:
        yield tensors


@lru_cache(maxsize=8)
def _read(path: str, changed: Seal, name: str, device: torch.device) -> Tensor:
    with opened(path) as file:
        if name not in file.keys():  # noqa: SIM118 - not a mapping
            raise InterventionError(
                f"{path} holds {', '.join(file.keys())}, but {name!r} is needed."
            )
        tensor = file.get_tensor(name).float().to(device)
    if not tensor.isfinite().all() or (name == "pattern" and (tensor < 0).any()):
        raise InterventionError(f"{name!r} in {path} must be finite and not negative.")
    return tensor


def stored_at(
    tensor: Float[Tensor, "donor layer head token"], file: str, view: View
) -> Float[Tensor, "batch head|1 1 key"]:
    """The entries of a stored tensor for the keys at hand; meaningless outside the image."""
    if tensor.ndim != 4:
        raise InterventionError(
            f"{file} needs axes (donor, layer, head, image token), got shape "
            f"{tuple(tensor.shape)}; axes of size one are shared."
        )
    donors, layers, heads, tokens = tensor.shape
    wrong = view.rows.image_sizes() - {0, tokens}
    if wrong or heads not in (1, view.heads) or layers not in (1, view.rows.layers):
        raise InterventionError(
            f"{file} holds {tokens} image tokens, {heads} heads and {layers} layers, but the "
            f"sample has {sorted(wrong) or 'as many'} image tokens and the model {view.heads} "
            f"heads and {view.rows.layers} layers; calibrate on the same model and image size."
        )
    layer = tensor[:, view.layer if layers > 1 else 0]  # donor, head, token
    chosen = layer[view.rows.sample % donors]  # batch, head, token
    index = view.image_index.expand(-1, chosen.shape[1], -1, -1)
    return chosen[:, :, None, :].expand(len(index), -1, -1, -1).gather(-1, index)

"""Where a result comes from: code, versions, hardware. Written beside every cell."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from solvent.core import paths

PACKAGES = ("solvent", "torch", "transformers", "accelerate", "hydra-core", "omegaconf", "datasets",
            "wandb", "numpy", "scipy", "pillow")  # fmt: skip


def provenance(model: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a reader needs to reproduce the run, apart from the configuration.

    `changes` are a digest of what was not committed: equal for equal changes.
    """
    return {
        "code": code(),
        "model": dict(model),
        "packages": {name: installed(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": _hardware(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def installed(name: str) -> str | None:
    """Version of a package; of torch with the build (2.13.0+cpu). None where it is missing."""
    if name == "torch":
        import torch

        return str(torch.__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def code() -> dict[str, Any]:
    """The commit that runs. None in a wheel or an unpacked archive: what surrounds these is
    somebody else's history.
    """
    own = not paths.INSTALLED and (paths.ROOT / ".git").exists()
    commit = _git("rev-parse", "HEAD") if own else None
    if commit is None:
        return {"commit": None, "uncommitted_changes": None, "changes": None}
    changes = _git("status", "--porcelain")
    text = f"{changes}\n{_git('diff', 'HEAD')}" if changes else ""
    return {
        "commit": commit,
        "uncommitted_changes": bool(changes),
        "changes": hashlib.sha256(text.encode()).hexdigest()[:12] if changes else None,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(paths.ROOT), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "cpu": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }

"""How a W&B run begins, and how its process ends. Nothing is asked, and nothing else collected."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from solvent.core.redaction import redacted_text

if TYPE_CHECKING:
    from solvent.tracking.weights_and_biases import WandB

log = logging.getLogger("solvent")


def begin(settings: WandB, description: Mapping[str, Any], *, anew: bool) -> Any:
    """A new run; None where the user has switched W&B off.

    Args:
        settings: where to, and how long it may take.
        description: of the run, as `wandb.init` takes it.
        anew: replace all that an earlier run of this id logged online; else that is added to.
    """
    import wandb

    mode = quiet_mode(wandb, settings.mode)
    if mode == "disabled":
        say_once("W&B: switched off (mode disabled); nothing is logged to it")
        return None
    folder = Path(settings.folder)
    folder.mkdir(parents=True, exist_ok=True)
    resume = None if anew else "allow"
    try:
        return _init(wandb, settings, mode, description, resume)
    except (wandb.errors.UsageError, wandb.errors.CommError) as error:
        if mode == "offline":
            raise
        log.warning(
            "W&B cannot be reached (%s); logging offline, for `wandb sync`",
            redacted_text(" ".join(str(error).split())),
        )
        wandb.teardown()  # its process still holds the run's id
        return _init(wandb, settings, "offline", description, None)


def quiet_mode(wandb: Any, asked: str) -> str:
    """Online only where a key is stored: `wandb.init` would ask for one in a terminal."""
    wandb.setup(wandb.Settings(silent=True))  # what matters is said here, in the run's own words
    chosen = (os.environ.get("WANDB_MODE") or "online") if asked == "auto" else asked
    if chosen in ("offline", "dryrun"):
        return "offline"
    if chosen == "disabled" or wandb.login(prompt=False, verify=False):
        return chosen
    say_once("W&B: not logged in (`wandb login`); logging offline, for `wandb sync`")
    return "offline"


@cache
def say_once(sentence: str) -> None:
    """A sweep has many cells, all of which would say the same."""
    log.warning("%s", sentence)


def _init(
    wandb: Any,
    settings: WandB,
    mode: str,
    description: Mapping[str, Any],
    resume: str | None,
) -> Any:
    """Start a run without what W&B would collect on its own: command line, git remote, code,
    terminal.
    """
    if mode == "offline":
        _drop_earlier(Path(settings.folder), description["id"])
    chosen = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "x_disable_meta": True,
        "init_timeout": settings.init_timeout,
        "finish_timeout": settings.finish_timeout,
        "finish_timeout_raises": True,
        "x_transaction_log_flush_interval": 1.0,  # s that a kill can lose; W&B would lose 15
    }
    known = wandb.Settings.model_fields  # W&B before 0.31 lacks the last ones
    return wandb.init(
        **description,
        project=settings.project,
        entity=settings.entity,
        mode=mode,
        dir=settings.folder,
        resume=None if mode == "offline" else resume,
        reinit="finish_previous",  # by default W&B gives back an unfinished run of another cell
        settings=wandb.Settings(**{key: chosen[key] for key in chosen if key in known}),
    )


def _drop_earlier(folder: Path, identity: str) -> None:
    """Offline runs of this id that a new one replaces: W&B cannot continue them."""
    for earlier in (folder / "wandb").glob(f"offline-run-*-{identity}"):
        shutil.rmtree(earlier)


@contextmanager
def staging(run: Any) -> Iterator[None]:
    """Let W&B keep what it will upload beside the run, not in the home folder: an offline sweep
    would fill that. A place of the user's own is respected.
    """
    own, ours = os.environ.get("WANDB_DATA_DIR"), place_of(run) / "staging"
    ours.mkdir(parents=True, exist_ok=True)
    os.environ["WANDB_DATA_DIR"] = own or str(ours.resolve())
    try:
        yield
    finally:
        if own is None:
            del os.environ["WANDB_DATA_DIR"]


def place_of(run: Any) -> Path:
    """The folder of a run on this machine."""
    return Path(run.dir).parent


def end_service() -> None:
    """End W&B's own process where it hangs: on exit W&B would wait for it, however long."""
    for child in psutil.Process().children():
        if child.name().startswith("wandb-core"):
            child.kill()

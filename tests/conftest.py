"""What all tests share: one thread per process, no network, configurations composed as the command
does.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from matplotlib.figure import Figure
from omegaconf import DictConfig

from solvent.commands import evaluate
from solvent.commands.commandline import Command
from solvent.core.paths import CONF

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are laid out and not painted, which is half of the time that a small cell takes."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).touch())
    monkeypatch.setattr(Figure, "tight_layout", lambda figure: None)


@pytest.fixture
def composed(tmp_path: Path) -> Callable[..., DictConfig]:
    """`composed("limit=9")`: what `python evaluate.py limit=9` runs, with results in tmp_path."""

    def build(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("evaluate", [f"output={tmp_path}", *overrides])

    return build


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run("limit=9")` is `python evaluate.py limit=9`: exit code, output, errors."""

    def call(*arguments: str, command: object = evaluate) -> tuple[int, str, str]:
        where = [] if any(each.startswith("output=") for each in arguments) else [tmp_path]
        given = [*arguments, *(f"output={place}" for place in where)]
        monkeypatch.setattr(sys, "argv", [f"{command.__name__}.py", *given])
        monkeypatch.setattr(command, "command", Command())
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            command.command.run(command.main)
        captured = capfd.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def last_sentence(errors: str) -> str:
    """What a command says at its end."""
    return errors.strip().splitlines()[-1]

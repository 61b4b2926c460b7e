"""A small cell of a checkpoint, interrupted after a batch and run again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from matplotlib.figure import Figure

from conformance.observing import CheckError
from solvent.cells.loading import load_model
from solvent.cells.request import parse
from solvent.cells.run import run_cell
from solvent.core.paths import CONF
from solvent.core.stopping import Stopped

MODEL = ("name", "checkpoint", "image_backend", "chat_template", "attention")
SAMPLES = ("limit=4", "batch_size=2", "intervention=uniform")
RESULTS = ("predictions.jsonl", "metrics.json", "identity.json")


def resumes(settings: Mapping[str, Any]) -> None:
    """Raise `CheckError` where a cell that was interrupted ends otherwise than one that was not."""
    with TemporaryDirectory() as place:
        whole = results(settings, Path(place) / "whole", interrupted=False)
        again = results(settings, Path(place) / "again", interrupted=True)
    for name in RESULTS:
        if whole[name] != again[name]:
            raise CheckError(f"{name} of a cell that was interrupted and resumed is another one.")


def results(settings: Mapping[str, Any], output: Path, interrupted: bool) -> dict[str, bytes]:
    """The files of the cell, by name."""
    asked = [
        *SAMPLES,
        "model=hub",
        *(f"model.{name}={settings[name] or 'null'}" for name in MODEL),
        "model.feature_cache_mb=0",
        "model.device=cpu",
        "model.dtype=float32",
        f"output={output}",
    ]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", asked)
    if interrupted:
        stop_after_a_batch(config)
    with unseen():
        run_cell(config, brief=True)
    (cell,) = (file.parent for file in output.rglob("metrics.json"))
    return {name: (cell / name).read_bytes() for name in RESULTS}


@contextmanager
def unseen() -> Iterator[None]:
    """Nothing is printed, and figures, which are not compared, are laid out but not painted."""
    with (
        redirect_stdout(io.StringIO()),
        patch.object(Figure, "savefig", lambda _, path, **__: Path(path).touch()),
        patch.object(Figure, "tight_layout", lambda _: None),
    ):
        yield


def stop_after_a_batch(config: Any) -> None:
    """Run the cell and stop it. Raises `CheckError` where it did not get so far."""
    model: Any = load_model(parse(config).model)  # kept: the run gets the same object
    rank, batches = model.rank, []

    def stopping(*arguments: Any) -> Any:
        batches.append(len(batches))
        if len(batches) > 1:
            raise Stopped("one batch is enough", 75)
        return rank(*arguments)

    model.rank = stopping
    try:
        with unseen():
            run_cell(config, brief=True)
    except Stopped:
        return
    finally:
        del model.rank
    raise CheckError("A cell that was to be interrupted ran to its end.")

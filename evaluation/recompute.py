"""The modality-usage tests of a cell, read again from what it stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from evaluation.diagnosing import answers_of, needed, read
from evaluation.report.findings import show_findings
from evaluation.report.table import console
from evaluation.results import CellFolder


def recompute(run: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Print the findings of a cell; returns them.

    Args:
        run: folder of a cell.
        changes: `diagnostic.TEST.SETTING=VALUE` each.

    Raises:
        FileNotFoundError: there is no such cell, or a condition was not answered to its end.
        ValueError: the cell was run without diagnostics, or a setting is not known.
    """
    folder = CellFolder(run)
    if not (run / "config.yaml").exists():
        raise FileNotFoundError(
            f"{run} is no cell (it has no config.yaml): give the folder that "
            "`python evaluate.py` prints at its end"
        )
    config = OmegaConf.load(run / "config.yaml")
    if not config.get("diagnostic"):
        raise ValueError(f"{run} was run without diagnostics: add diagnostic=all to its command")
    for change in changes:
        key, _, value = change.partition("=")
        if OmegaConf.select(config, key) is None or not key.startswith("diagnostic."):
            raise ValueError(f"there is no setting {key!r}; the settings are in {run}/config.yaml")
        OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value)
    tests = instantiate(config.diagnostic, _convert_="all")
    findings = read(tests, answers_of(folder, needed(tests, list(config.conditions))), run)
    screen = console()
    show_findings(screen, findings)
    if folder.finished and not changes:
        same = findings == folder.metrics().get("diagnostics")
        screen.print("equal to metrics.json" if same else "[red]metrics.json differs[/red]")
    return findings

"""The modality-usage tests of a cell, read again from what it stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from solvent.cells.asking import build_tests
from solvent.cells.configuration import check_targets, has_setting, stored_config, with_change
from solvent.cells.diagnosing import FINDINGS, REFERENCE, answers_of
from solvent.core.names import did_you_mean
from solvent.diagnostics.judging import FACTS, judge_all
from solvent.reports.findings import show_findings
from solvent.reports.table import console
from solvent.storage.folder import CellFolder


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
    config = stored_config(run / "config.yaml")
    if not config.get("diagnostic"):
        raise ValueError(f"{run} was run without diagnostics: add diagnostic=all to its command")
    check_targets(config["diagnostic"], ("solvent.diagnostics",), run / "config.yaml")
    if folder.declared:
        folder.check()
    for change in changes:
        key = change.partition("=")[0]
        if not (key.startswith("diagnostic.") and has_setting(config, key)):
            meant = did_you_mean(key, _dotted("diagnostic", config["diagnostic"]))
            raise ValueError(
                f"there is no setting {key!r}{meant or ';'} the settings are in {run}/config.yaml"
            )
        config = with_change(config, change)
    tests = build_tests(config["diagnostic"])
    asked = (name for test in tests.values() for name in test.conditions)
    needed = dict.fromkeys([REFERENCE, *asked])
    names = [name for name in needed if not _came_later(name, folder)]
    findings = judge_all(tests, answers_of(folder, names), run)
    screen = console()
    show_findings(screen, findings)
    stored = run / "diagnostics" / FINDINGS
    if stored.exists() and not changes:
        same = without_facts(findings) == without_facts(json.loads(stored.read_text()))
        screen.print(f"{'equal to' if same else '[red]differs[/red] from'} what the cell stored")
    return findings


def _dotted(name: str, settings: Any) -> Iterator[str]:
    """Names of all settings below one, as a command line has them."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _dotted(f"{name}.{key}", value)
    else:
        yield name


def without_facts(findings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was found, without what is said of the tests: old cells do not keep it."""
    return {
        name: {key: value for key, value in found.items() if key != FACTS}
        for name, found in findings.items()
    }


def _came_later(name: str, folder: CellFolder) -> bool:
    """Whether a finished cell was never shown this condition: its test had no use for it then."""
    return name != REFERENCE and folder.declared and not folder.condition(name).path.exists()

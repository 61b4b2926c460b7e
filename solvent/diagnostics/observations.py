"""What was seen inside the model: read by two tests once all conditions are answered.

<cell>/diagnostics/states.npz            scores of decoder states on their principal components
<cell>/diagnostics/states_NAME.npz       likewise, of the runs that a test sets beside
<cell>/diagnostics/<condition>/shares.npz   how attention was shared out
<cell>/diagnostics/<condition>/updates.npz  what was measured of updates of the residual stream
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from solvent.core.types import Diagnostic, Prediction
from solvent.diagnostics import stored_states as states
from solvent.diagnostics.answers import REFERENCE, Answers, collect
from solvent.diagnostics.base import PAIRS, PREDICTIONS, SHARES, STATES, UPDATES, Seen
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates
from solvent.diagnostics.statistics.projection import Scores, project
from solvent.diagnostics.stored_shares import Shares


def gather(
    tests: Mapping[str, Diagnostic], predictions: Mapping[str, Sequence[Prediction]], cell: Path
) -> None:
    """Keep of the states what tests read, and drop the rest; to do it again does no harm."""
    answers = collect(paired(tests, predictions))
    for test in tests.values():
        folders = {name: _place(cell, name) / STATES for name in test.watches.get(STATES, ())}
        folders = {name: folder for name, folder in folders.items() if folder.exists()}
        for scores, runs in _runs(test, cell).items():
            shown = {run: folders[name] for run, name in runs.items() if name in folders}
            if shown and not scores.exists():  # else a run broke off while it dropped them
                kept = {run: states.load(folder) for run, folder in shown.items()}
                project(kept, test.strata(answers), test.components).save(scores)
        for folder in folders.values():
            shutil.rmtree(folder)


def paired(
    tests: Mapping[str, Diagnostic], predictions: Mapping[str, Sequence[Prediction]]
) -> dict[str, Sequence[Prediction]]:
    """The conditions that show the very samples of `real`."""
    others = {name for test in tests.values() for name in test.watches.get(PAIRS, ())}
    return {name: rows for name, rows in predictions.items() if name not in others}


def seen_by(
    test: Diagnostic,
    answers: Callable[[], Answers],
    predictions: Mapping[str, Sequence[Prediction]],
    cell: Path,
) -> Seen:
    """What a test reads: answers, and what it watches. Nothing is loaded before it asks."""
    parts: dict[str, Callable[[], Any]] = {"answers": answers}
    if STATES in test.watches:
        parts["scores"] = lambda: Scores.load(_scores(cell))
        parts["beside"] = lambda: {
            name: Scores.load(_scores(cell, name))
            for name in test.beside
            if _scores(cell, name).exists()
        }
    if SHARES in test.watches:
        parts["shares"] = lambda: _shares(cell, test.watches[SHARES])
    if UPDATES in test.watches:
        parts["updates"] = lambda: _updates(cell, test.watches[UPDATES])
    if PAIRS in test.watches:
        parts["pairs"] = lambda: {name: predictions[name] for name in test.watches[PAIRS]}
    if PREDICTIONS in test.watches:
        names = test.watches[PREDICTIONS]
        parts["predictions"] = lambda: {name: predictions[name] for name in names}
    return Seen(parts=parts)


def _runs(test: Diagnostic, cell: Path) -> dict[Path, Mapping[str, str]]:
    """The file of every kind of run, and the conditions in it: the cell's own, those beside it."""
    others = {name for runs in test.beside.values() for name in runs.values()}
    own = {name: name for name in test.watches.get(STATES, ()) if name not in others}
    return {_scores(cell): own, **{_scores(cell, n): runs for n, runs in test.beside.items()}}


def _scores(cell: Path, name: str = "") -> Path:
    return cell / "diagnostics" / (f"states_{name}.npz" if name else "states.npz")


def _shares(cell: Path, names: Sequence[str]) -> dict[str, Shares]:
    paths = {name: _place(cell, name) / "shares.npz" for name in names}
    return {name: Shares.load(path) for name, path in paths.items() if path.exists()}


def _updates(cell: Path, names: Sequence[str]) -> dict[str, MeasuredUpdates]:
    paths = {name: _place(cell, name) / "updates.npz" for name in names}
    return {name: MeasuredUpdates.load(path) for name, path in paths.items() if path.exists()}


def _place(cell: Path, condition: str) -> Path:
    """Where a condition was answered: `real` often by the cell itself."""
    place = cell / "diagnostics" / condition
    return cell if condition == REFERENCE and not place.exists() else place

"""What tests see inside the model: the same bytes whoever answered which batch, and when."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

import interventions
from solvent.cells import batches
from solvent.cells.answering import Cell
from solvent.cells.loading import load_benchmark, load_model
from solvent.cells.processes.watching import Watch, batch_file, gather
from solvent.cells.request import parse
from solvent.diagnostics import stored_states as states
from solvent.diagnostics.stored_shares import Shares
from solvent.storage.folder import CellFolder

BATCHES = (("e", "b"), ("a",), (), ("d", "c"))  # the third showed nothing: its samples failed
CELL = SimpleNamespace(
    samples=[SimpleNamespace(uid=uid) for uid in "abcdef"], watches=("states", "shares")
)


def seen(uid: str) -> Any:
    """Numbers that depend on the sample alone; shapes of 3 layers, 2 heads, 5 hidden."""
    draw = np.random.default_rng(ord(uid)).random
    layers = {part: draw((4, 5)).astype(np.float32) for part in states.PARTS}
    shares = {name: draw((3, 2, 2, 4)).astype(np.float32) for name in ("mass", "effective")}
    uniform = draw((3, 2, 4)).astype(np.float32)
    return SimpleNamespace(uid=uid, image_tokens=ord(uid), uniform=uniform, **layers, **shares)


def answered(place: Path, numbers: Iterable[int]) -> CellFolder:
    """A process answers these batches of the cell."""
    place.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        shown = {uid: seen(uid) for uid in BATCHES[number]}
        states_watch = SimpleNamespace(take=lambda shown=shown: shown)
        shares_watch = SimpleNamespace(take=lambda shown=shown: list(shown.values()))
        watch = Watch(log=None, place=place, states=states_watch, shares=shares_watch)
        watch.keep(number)
    return CellFolder(place)


def contents(folder: CellFolder) -> dict[str, bytes]:
    return {
        path.relative_to(folder.path).as_posix(): path.read_bytes()
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    folder = answered(tmp_path / "whole", range(len(BATCHES)))
    gather(CELL, folder, len(BATCHES))
    return contents(folder)


def test_what_is_gathered_is_what_was_seen(tmp_path: Path, whole: dict[str, bytes]) -> None:
    names = [f"states/{name}" for name in ("image.npy", "last.npy", "question.npy", "uids.json")]
    assert list(whole) == ["shares.npz", *names]
    kept, shares = (
        states.load(tmp_path / "whole/states"),
        Shares.load(tmp_path / "whole/shares.npz"),
    )
    assert kept.uids == tuple("abcdef")
    assert shares.uids == tuple("abcde")
    for row, uid in enumerate("abcde"):
        for part in states.PARTS:
            assert np.array_equal(getattr(kept, part)[row], getattr(seen(uid), part))
        assert np.array_equal(shares.mass[row], seen(uid).mass)
        assert shares.image_tokens[row] == ord(uid)
    assert np.isnan(kept.last[5]).all()  # nobody saw it


@pytest.mark.parametrize("deal", [[[3, 0], [2, 1]], [[2], [], [1, 1, 0], [3], [0]]])
def test_the_number_of_processes_changes_nothing(
    tmp_path: Path, whole: dict[str, bytes], deal: list[list[int]]
) -> None:
    """Also where a batch is answered again, by another process after a restart."""
    for numbers in deal:
        folder = answered(tmp_path / "dealt", numbers)
    gather(CELL, folder, len(BATCHES))
    assert contents(folder) == whole


class Killed(BaseException):
    """Nobody catches it."""


@pytest.mark.parametrize("moment", range(22))
def test_a_kill_while_gathering_loses_nothing(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Before any step that changes what lies on disk: 4 of the states, 2 of their batches, ..."""
    folder, steps = answered(tmp_path / "killed", range(len(BATCHES))), []

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            steps.append(call)
            if len(steps) == moment + 1:
                raise Killed
            return call(*args, **kwargs)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(states, "open_memmap", deadly(states.open_memmap))
        patched.setattr(np, "load", deadly(np.load))
        patched.setattr(os, "replace", deadly(os.replace))
        patched.setattr(Path, "unlink", deadly(Path.unlink))
        try:
            gather(CELL, folder, len(BATCHES))
            assert moment == 21 >= len(steps)  # the last case outlives all steps
        except Killed:
            gather(CELL, folder, len(BATCHES))
    gather(CELL, folder, len(BATCHES))  # nor does it harm to gather once more
    assert contents(folder) == whole


def test_a_batch_that_nobody_kept_is_missed(tmp_path: Path) -> None:
    folder = answered(tmp_path / "cell", [0, 1, 3])
    with pytest.raises(ValueError, match=r"states lacks 1 of 4 batches, first 000002\.npz"):
        gather(CELL, folder, len(BATCHES))
    assert batch_file(folder.path / "states", 3).exists()


def test_nothing_is_missed_where_all_was_read_before(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """The tests read the states and dropped them, then the run broke off before its end."""
    folder = CellFolder(tmp_path / "whole")
    for path in (folder.path / "states").iterdir():
        path.unlink()
    (folder.path / "predictions.jsonl").touch()
    gather(CELL, folder, len(BATCHES))
    assert list(contents(folder)) == ["predictions.jsonl", "shares.npz"]


def watched_cell(config: DictConfig) -> Cell:
    benchmark, samples = load_benchmark(parse(config).benchmark)
    return Cell(
        model=load_model(parse(config).model),
        benchmark=benchmark,
        condition="real",
        samples=samples,
        intervention=interventions.load("learned"),
        batch_size=4,
        title="watched",
        measured=False,
        watches=("states", "shares"),
    )


def test_an_interrupted_cell_shows_the_same(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a batch's observations and its predictions, and after the last batch."""
    cell, merge, append = watched_cell(composed("limit=10")), CellFolder.merge, CellFolder.append
    found = []
    for name in ("whole", "broken"):
        folder = CellFolder(tmp_path / name)
        if name == "broken":
            monkeypatch.setattr(CellFolder, "append", broken_at(2, append))
            monkeypatch.setattr(CellFolder, "merge", broken_at(1, merge))
            for _ in range(2):
                with pytest.raises(Killed):
                    batches.answer_all(cell, folder)
        batches.answer_all(cell, folder)
        found.append({name: got for name, got in contents(folder).items() if "seconds" not in name})
    assert found[0] == found[1]
    assert {"shares.npz", "states/last.npy", "predictions.jsonl"} <= found[0].keys()
    assert len(Shares.load(tmp_path / "broken/shares.npz").uids) == 10


def broken_at(count: int, call: Callable[..., Any]) -> Callable[..., Any]:
    calls = []

    def wrapped(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == count:
            raise Killed
        return call(*args)

    return wrapped

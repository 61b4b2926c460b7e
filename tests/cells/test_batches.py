"""One cell with a scripted model: batches, failed samples, interruption."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from solvent.cells.answering import Cell
from solvent.cells.batches import form_batches, run
from solvent.cells.processes.memory import out_of_memory
from solvent.core.stopping import ASKED, STOP_FILE, Stopped
from solvent.core.types import Box, CandidateScore, RefusedError, Sample
from solvent.storage.folder import CellFolder
from tests.conftest import ROOT

# As torch says it, in one line
FULL = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 14.57 GiB of "
    "which 1.58 GiB is free. Process {process} has 12.02 GiB memory in use. Of the allocated "
    "memory 734.07 MiB is allocated by PyTorch.\nDetails"
)


@dataclass(frozen=True)
class Picture:
    identity: str
    broken: bool = False
    regions: tuple[Box, ...] = ()
    foreign: bool = False

    def load(self) -> Image.Image:
        if self.foreign:
            return Image.open(io.BytesIO(b"no picture"))  # names that object and its address
        if self.broken:
            raise OSError(f"{self.identity} cannot be read")
        return Image.new("RGB", (2, 2))


def score(log_probability: float) -> CandidateScore:
    return CandidateScore(log_probability=log_probability, tokens=1)


@dataclass
class ScriptedModel:
    """Prefers the option that its picture's name ends with; may be told to stop."""

    name: str = "scripted"
    stop_before: str | None = None
    refuses: str | None = None  # prompts of this text
    refuses_answers: tuple[str, ...] = ()  # to prompts of these uids
    edits: bool = True
    fits: int = 99  # prompts at once
    batches: list[tuple[str, ...]] = field(default_factory=list)  # as they were answered
    pending: list[str] = field(default_factory=list)  # measured and not yet taken
    paused: bool = False

    def encode(self, prompts: Any) -> Any:
        if refused := [prompt.uid for prompt in prompts if prompt.text == self.refuses]:
            raise ValueError(f"{refused[0]} cannot be tokenised")
        return SimpleNamespace(
            prompts=prompts,
            uids=[prompt.uid for prompt in prompts],
            image_tokens=[3 * len(prompt.images) for prompt in prompts],
        )

    def rank(self, batch: Any, candidates: Any) -> list[list[CandidateScore]]:
        for uid in self.refuses_answers:
            if uid in batch.uids:
                raise RefusedError(f"{uid} has no such answer", uid)
        if self.paused:  # without looking, "yes" is likelier than "no" by 2 nats
            assert not any(prompt.images or "<image" in prompt.text for prompt in batch.prompts)
            return [[score(-3.0), score(-1.0)] for _ in batch.prompts]
        if self.stop_before in batch.uids:
            raise KeyboardInterrupt
        self.pending += batch.uids
        if len(batch.uids) > self.fits:
            raise torch.OutOfMemoryError(FULL.format(process=os.getpid()))
        self.batches.append(tuple(batch.uids))
        return [
            [score(-float(k != len(prompt.text) % 2)) for k in range(len(options))]
            for prompt, options in zip(batch.prompts, candidates, strict=True)
        ]

    @contextmanager
    def intervene(self, intervention: Any, must_edit: bool = True) -> Iterator[Any]:
        yield SimpleNamespace(take=self.measure, drop=self.drop, paused=self.pause, seconds=0.0)

    def drop(self) -> None:
        self.pending.clear()

    @contextmanager
    def pause(self) -> Iterator[None]:
        self.paused = True
        yield
        self.paused = False

    def measure(self) -> Any:
        uids = self.pending[::-1]  # a model may process its batch in another order
        self.pending.clear()
        assert len(set(uids)) == len(uids)
        masses = np.array([[float(uid), 0.5] for uid in uids])
        return SimpleNamespace(
            uids=uids,
            layer_mass_before=masses,
            layer_mass_after=masses / 2,
            layer_entropy_before=masses * 3,
            layer_entropy_after=masses * 4,
            entries_edited=np.array([int(uid) * self.edits for uid in uids]),
            entries_edited_prefill=np.array([int(uid) * self.edits - 1 for uid in uids]),
            entries_edited_decode=np.ones(len(uids), dtype=int),
        )


@dataclass(frozen=True)
class ScriptedBenchmark:
    rows: tuple[Sample, ...]
    name: str = "scripted"
    subtracts_blind: bool = False
    max_new_tokens: int = 1

    def samples(self) -> tuple[Sample, ...]:
        return self.rows

    def mode(self, sample: Sample) -> str:
        return "rank"

    def prompt(self, sample: Sample) -> str:
        return sample.text

    def candidates(self, sample: Sample) -> tuple[str, ...]:
        return sample.options

    def choose(self, scores: Any, sample: Sample, blind: Any) -> Any:
        values = [score.log_probability for score in scores]
        if self.subtracts_blind:
            values = [a - b.log_probability for a, b in zip(values, blind, strict=True)]
        return SimpleNamespace(value=values.index(max(values)), status="ok", guessed=False)

    def credit(self, reading: Any, sample: Sample) -> float:
        return float(reading.value == sample.gold)

    def score(self, predictions: Any) -> dict[str, Any]:
        return {"score": {"value": sum(row.credit for row in predictions) / len(predictions)}}

    def guessed(self, predictions: Any) -> float:
        return 0.5


def samples(number: int, broken: set[int] = frozenset()) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            uid=f"{index:03d}",
            images=(Picture(f"picture-{index}", index in broken),),
            text="x" * (1 + index * 7 % 13),
            options=("no", "yes"),
            gold=index % 2,
        )
        for index in range(number)
    )


def cell(
    model: ScriptedModel, rows: tuple[Sample, ...], identity: bool = False, blind: bool = False
) -> Cell:
    return Cell(
        model=model,
        benchmark=ScriptedBenchmark(rows, subtracts_blind=blind),
        condition="real",
        samples=rows,
        intervention=SimpleNamespace(name="scripted", is_identity=identity),
        batch_size=4,
        title="test",
        measured=True,
    )


def opened(path: Path) -> CellFolder:
    folder = CellFolder(path)
    folder.make(1)
    folder.open("seed: 0\n", {})
    return folder


def test_answers_masses_and_counts_belong_to_their_samples(tmp_path: Path) -> None:
    rows = samples(10)
    metrics = run(cell(ScriptedModel(), rows), folder := opened(tmp_path))
    predictions = folder.predictions()
    assert [row.uid for row in predictions] == [row.uid for row in rows]
    for sample, row in zip(rows, predictions, strict=True):
        assert row.parsed == len(sample.text) % 2
        assert row.cells_edited == int(sample.uid)
        assert row.visual_mass.before == (float(sample.uid), 0.5)
        assert row.visual_entropy.before == (3 * float(sample.uid), 1.5)
        assert row.visual_entropy.after == (4 * float(sample.uid), 2.0)
        assert row.cells_by_phase == {"prefill": int(sample.uid) - 1, "decode": 1}
    assert metrics["score"]["value"] == np.mean([len(r.text) % 2 == r.gold for r in rows])
    assert metrics["visual_mass"]["before_by_layer"] == [4.5, 0.5]
    assert metrics["visual_mass"]["after"] == pytest.approx(1.25)
    assert metrics["visual_entropy_nats"]["after_by_layer"] == [18.0, 2.0]
    assert metrics["visual_entropy_nats"]["before"] == pytest.approx(7.5)
    assert metrics["cells_edited"] == sum(range(10))
    assert metrics["cells_by_phase"] == {"prefill": sum(range(10)) - 10, "decode": 10}


def test_layers_without_attention_have_no_mass_and_the_others_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = ScriptedModel.measure

    def of_a_hybrid(self: ScriptedModel) -> Any:
        measured = measure(self)
        for name in ("layer_mass", "layer_entropy"):
            for when in ("before", "after"):
                getattr(measured, f"{name}_{when}")[:, 0] = np.nan
        return measured

    monkeypatch.setattr(ScriptedModel, "measure", of_a_hybrid)
    metrics = run(cell(ScriptedModel(), samples(3)), folder := opened(tmp_path))
    assert {row.visual_mass.before for row in folder.predictions()} == {(None, 0.5)}
    assert metrics["visual_mass"]["before_by_layer"] == [None, 0.5]
    assert metrics["visual_mass"]["before"] == 0.5
    assert metrics["visual_entropy_nats"]["after"] == 2.0


def test_a_broken_image_is_recorded_and_costs_nobody_else(tmp_path: Path) -> None:
    metrics = run(cell(ScriptedModel(), samples(10, broken={3, 7})), folder := opened(tmp_path))
    failed = [row for row in folder.predictions() if row.status == "error"]
    assert [row.uid for row in failed] == ["003", "007"]
    assert failed[0].error == "picture-3 cannot be read"
    assert failed[0].parsed is None
    assert failed[0].credit == 0
    assert (metrics["errors"], metrics["unparsed"]) == (2, 0)


def test_a_refused_prompt_is_recorded_and_costs_nobody_else(tmp_path: Path) -> None:
    rows = samples(10)
    model = ScriptedModel(refuses=rows[4].text)
    run(cell(model, rows), folder := opened(tmp_path))
    failed = {row.uid: row.error for row in folder.predictions() if row.status == "error"}
    assert failed == {"004": "004 cannot be tokenised"}
    others = [row for row in folder.predictions() if row.uid not in failed]
    assert all(row.parsed == len(rows[int(row.uid)].text) % 2 for row in others)


@pytest.mark.parametrize("blind", [False, True])
def test_refused_candidates_are_recorded_and_cost_nobody_else(blind: bool, tmp_path: Path) -> None:
    rows = samples(10)
    model = ScriptedModel(refuses_answers=("002", "007", "009"))
    run(cell(model, rows, blind=blind), folder := opened(tmp_path / "some"))
    found = folder.predictions()
    failed = {row.uid: row.error for row in found if row.status == "error"}
    assert failed == {uid: f"{uid} has no such answer" for uid in model.refuses_answers}
    run(cell(ScriptedModel(), rows, blind=blind), whole := opened(tmp_path / "whole"))
    expected = [row for row in whole.predictions() if row.uid not in failed]
    assert [row for row in found if row.uid not in failed] == expected


def test_an_interrupted_cell_goes_on_with_whole_batches(tmp_path: Path) -> None:
    rows = samples(22)
    run(cell(ScriptedModel(), rows), whole := opened(tmp_path / "whole"))
    order = [[row.uid for row in batch] for batch in form_batches(rows, ScriptedBenchmark(rows), 4)]
    folder = opened(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run(cell(ScriptedModel(stop_before=order[3][0]), rows), folder)
    assert len(folder.resume()) == 12
    part = folder.part(0)
    part.write_text(
        "".join(part.read_text().splitlines(keepends=True)[:-2])
    )  # batch 2 lost two rows
    again = ScriptedModel()
    run(cell(again, rows), opened(tmp_path / "stopped"))
    assert [list(batch) for batch in again.batches] == order[2:]
    assert (tmp_path / "stopped/predictions.jsonl").read_bytes() == (
        whole.path / "predictions.jsonl"
    ).read_bytes()


def test_an_intervention_that_changes_nothing_stops_at_once(tmp_path: Path) -> None:
    model = ScriptedModel(edits=False)
    with pytest.raises(ValueError, match="edited no attention in a whole batch of 4 samples"):
        run(cell(model, samples(10)), opened(tmp_path / "a"))
    assert len(model.batches) == 1
    run(cell(ScriptedModel(edits=False), samples(10), identity=True), opened(tmp_path / "b"))


def test_a_batch_that_does_not_fit_is_halved_and_the_rest_stays_small(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = samples(10)
    whole, model = opened(tmp_path / "whole"), ScriptedModel(fits=1)
    run(cell(ScriptedModel(), rows), whole)
    assert whole.timing(4)["batch_size"] == 4
    with caplog.at_level("WARNING", logger="solvent"):
        run(cell(model, rows), folder := opened(tmp_path / "small"))
    assert folder.timing(4)["batch_size"] == 1
    assert caplog.messages == [
        "out of memory with 4 prompts at once; going on with 2",
        "out of memory with 2 prompts at once; going on with 1",
    ]
    assert [len(batch) for batch in model.batches] == [1] * 10
    assert folder.predictions() == whole.predictions()


def test_a_sample_that_does_not_fit_alone_is_a_recorded_error(tmp_path: Path) -> None:
    metrics = run(cell(ScriptedModel(fits=0), samples(3)), folder := opened(tmp_path))
    assert metrics["errors"] == 3
    assert {row.error for row in folder.predictions()} == {
        "does not fit into memory: CUDA out of memory. Tried to allocate 20.00 GiB."
    }


def fail_twice(folder: Path) -> None:
    """A cell in which a picture is none, and the other sample does not fit into memory."""
    broken, other = samples(2)
    broken = replace(broken, images=(Picture("none", foreign=True),))
    run(cell(ScriptedModel(fits=0), (broken, other)), opened(folder))


def test_recorded_errors_are_the_same_in_another_process(tmp_path: Path) -> None:
    fail_twice(tmp_path / "here")
    code = "import sys, pathlib; from tests.cells.test_batches import fail_twice as fail; "
    code += "fail(pathlib.Path(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    there = [sys.executable, "-c", code, str(tmp_path / "there")]
    subprocess.run(there, cwd=ROOT, env=environment, check=True)
    here, there = ((tmp_path / name / "predictions.jsonl") for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    errors = [row.error for row in CellFolder(tmp_path / "here").predictions()]
    assert errors[0] == "cannot identify image file <_io.BytesIO object>"
    assert "out of memory" in errors[1]


def test_a_cell_stops_when_more_fails_than_it_may_and_tries_again(tmp_path: Path) -> None:
    rows = samples(10, broken={0, 3, 7})
    strict = replace(cell(model := ScriptedModel(), rows), max_failed=0.11)  # 2 of 10
    with pytest.raises(ValueError, match=r"3 samples failed, more than max_failed=0.11 of 10 allo"):
        run(strict, folder := opened(tmp_path))
    assert not folder.merged
    answered = {uid for uid, failed in folder.resume().items() if not failed}
    mended = tuple(replace(row, images=samples(10)[int(row.uid)].images) for row in rows)
    asked = len(model.batches)
    run(replace(strict, samples=mended), folder)
    assert {row.status for row in folder.predictions()} == {"ok"}
    assert len(model.batches) > asked
    assert len(answered) <= 7


def test_a_stop_file_ends_a_run_after_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STOP_FILE, str(tmp_path / "stop"))
    rows, model = samples(22), ScriptedModel()
    rank = model.rank

    def ask_to_stop(batch: Any, candidates: Any) -> Any:
        (tmp_path / "stop").touch()
        return rank(batch, candidates)

    monkeypatch.setattr(model, "rank", ask_to_stop)
    with pytest.raises(Stopped) as stopped:
        run(cell(model, rows), folder := opened(tmp_path / "a"))
    assert stopped.value.code == ASKED
    assert len(folder.resume()) == 4
    (tmp_path / "stop").unlink()


def test_other_failures_are_not_taken_for_lack_of_memory(tmp_path: Path) -> None:
    model = ScriptedModel()
    model.rank = lambda *_: (_ for _ in ()).throw(RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(cell(model, samples(3)), opened(tmp_path))


def test_lack_of_memory_is_known_by_its_exceptions() -> None:
    cpu = "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"
    assert out_of_memory(RuntimeError(cpu))
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)"))
    assert not out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
    assert not out_of_memory(RuntimeError(7))


def test_the_blind_scores_are_subtracted_stored_and_not_measured(tmp_path: Path) -> None:
    """Scores are 0 and -1, the blind ones -3 ("no") and -1 ("yes"): "no" gains 2 nats."""
    rows = tuple(replace(row, text=f"<image:1>{row.text}") for row in samples(6))
    run(cell(ScriptedModel(), rows, blind=True), folder := opened(tmp_path / "a"))
    for row in folder.predictions():
        assert row.blind_scores == (score(-3.0), score(-1.0))
        assert row.parsed == 0
        assert row.n_image_tokens == 3
    run(cell(ScriptedModel(), rows), plain := opened(tmp_path / "b"))
    assert {row.parsed for row in plain.predictions()} == {0, 1}
    assert {row.blind_scores for row in plain.predictions()} == {None}
    seen = [replace(row, images=()) for row in rows[:2]]
    with pytest.raises(ValueError, match="2 samples, first 000, show none"):
        run(cell(ScriptedModel(), (*seen, *rows[2:]), blind=True), opened(tmp_path / "c"))


def test_batches_do_not_depend_on_the_order_of_samples() -> None:
    rows = samples(22)
    forward = form_batches(rows, ScriptedBenchmark(rows), 4)
    assert forward == form_batches(rows[::-1], ScriptedBenchmark(rows), 4)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        form_batches(rows, ScriptedBenchmark(rows), 0)

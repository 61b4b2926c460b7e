"""One cell: show every sample to the model under an intervention, read its answers, score them.

Batches are formed once, over all samples, in an order that depends on the samples alone, and dealt
whole to the processes of the run. A run that was interrupted computes a batch again as a whole when
any of its samples is missing. So a cell ends with the same bits, whatever interrupted it and
however many processes answered it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

from solvent.cells.answering import Cell, Prepared, needs_blind, predict, prepare
from solvent.cells.processes.memory import Room
from solvent.cells.processes.monitor import Monitor
from solvent.cells.processes.parallel import team
from solvent.cells.processes.prefetch import prefetched
from solvent.cells.processes.signs import ANSWERING
from solvent.cells.processes.watching import gather, watched
from solvent.cells.scoring import summarise
from solvent.core import stopping
from solvent.core.types import Benchmark, Prediction, Sample
from solvent.storage.folder import CellFolder

AHEAD = 1  # batches that are prepared while the model runs
FILES_APPEAR_WITHIN = 60.0  # seconds until a network disk shows what another machine wrote


def run(cell: Cell, folder: CellFolder, monitor: Monitor | None = None) -> dict[str, Any]:
    """Answer what is missing, merge and score.

    Returns the metrics, which the caller makes final; in processes but the main one, nothing.
    """
    answer_all(cell, folder, monitor)
    return summarise(cell.benchmark, folder.stored()) if team().main else {}


@dataclass(frozen=True)
class Todo:
    """A batch that is not answered, or not as a whole."""

    number: int  # among all batches of the cell
    answered: Collection[str]  # uids of it that are recorded already


def answer_all(cell: Cell, folder: CellFolder, monitor: Monitor | None = None) -> None:
    """Answer what is missing, in all processes of the run, and merge."""
    check_shows_images(cell)
    check_generates(cell)
    together, monitor = team(), monitor or Monitor()
    batches = form_batches(cell.samples, cell.benchmark, cell.batch_size)
    todo = together.once(lambda: missing(batches, folder.resume()))
    shares = [
        sum(len(batches[each.number]) - len(each.answered) for each in todo[rank :: together.size])
        for rank in range(together.size)
    ]
    if todo:
        done = len(cell.samples) - sum(shares)
        following = monitor.follow(folder, cell.title, done, len(cell.samples), shares)
        with following if together.main else nullcontext():
            with together.signs.at(ANSWERING):
                answer_share(cell, folder, batches, todo[together.rank :: together.size], monitor)
            together.exchange()
    together.once(lambda: complete(cell, folder, len(batches)))


def missing(batches: Sequence[Sequence[Sample]], recorded: Mapping[str, bool]) -> list[Todo]:
    """Batches with samples that were not answered, or failed, which a new run tries again."""
    todo = []
    valid = {uid for uid, failed in recorded.items() if not failed}
    for number, batch in enumerate(batches):
        answered = valid.intersection(sample.uid for sample in batch)
        if len(answered) < len(batch):
            todo.append(Todo(number, answered))
    return todo


def answer_share(
    cell: Cell,
    folder: CellFolder,
    batches: Sequence[Sequence[Sample]],
    todo: Sequence[Todo],
    monitor: Monitor,
) -> None:
    """Answer the batches of this process, one after the other; each is kept before the next."""
    rank, room, failed = team().rank, Room(cell.batch_size), 0
    dealt = {batches[each.number][0].uid: each for each in todo}

    def make(batch: Sequence[Sample]) -> Prepared | None:
        return prepare(cell, batch) if len(batch) <= room.size else None

    try:
        with watched(cell, folder) as watch, stopping.patiently():
            log, started = watch.log, time.monotonic()
            coming = prefetched([batches[each.number] for each in todo], make, AHEAD)
            with closing(coming):
                for batch, prepared in coming:
                    stopping.check()
                    if folder.halted:
                        return
                    attending, present = log.seconds, dealt[batch[0].uid]
                    predictions = predict(cell, batch, log, room, prepared)
                    check_edited(cell, predictions)
                    watch.keep(present.number)
                    new = [row for row in predictions if row.uid not in present.answered]
                    ended = time.monotonic()
                    folder.append(new, ended - started, log.seconds - attending, room.size, rank)
                    failed += sum(row.status == "error" for row in new)
                    check_budget(cell, max(failed, monitor.failed), new)
                    started = ended
        stopping.check()
    except BaseException:
        if team().size > 1:
            folder.halt()
        raise


def complete(cell: Cell, folder: CellFolder, batches: int) -> None:
    """Put together what the processes wrote."""
    check_budget(cell, folder.failures(), ())
    gather(cell, folder, batches)
    wait = FILES_APPEAR_WITHIN if team().size > 1 else 0.0
    folder.merge([sample.uid for sample in cell.samples], wait)


def check_budget(cell: Cell, failed: int, latest: Sequence[Prediction]) -> None:
    """Stop a cell in which too much fails, before hours are spent."""
    allowed = math.ceil(cell.max_failed * len(cell.samples))
    if failed > allowed:
        why = next((f": {row.uid}: {row.error}" for row in latest if row.error), "")
        raise ValueError(
            f"{failed:,} samples failed, more than max_failed={cell.max_failed:g} of "
            f"{len(cell.samples):,} allows{why}. Mend the cause, or raise max_failed; the same "
            "command tries them again"
        )


def check_shows_images(cell: Cell) -> None:
    """Refuse to subtract what is said without an image from the very same."""
    without = [
        sample.uid
        for sample in cell.samples
        if not sample.images and needs_blind(cell.benchmark, sample)
    ]
    if without:
        raise ValueError(
            "benchmark.answer.normalise=minus_blind subtracts what the model says without the "
            f"image, but {len(without):,} samples, first {without[0]}, show none (condition "
            f"{cell.condition!r}): set normalise to sum or mean"
        )


def check_generates(cell: Cell) -> None:
    """Refuse to change a picture in the middle of an answer that has no middle."""
    ranked = [
        sample.uid
        for sample in cell.samples
        if sample.later and cell.benchmark.mode(sample) == "rank"
    ]
    if ranked:
        raise ValueError(
            f"the condition {cell.condition!r} shows another picture after the first sentence of a "
            f"generated answer, but the options of {len(ranked):,} samples, first {ranked[0]}, are "
            "ranked: set benchmark.answer.mode to generate, or choose another condition"
        )


def check_edited(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Stop at the first batch in which an intervention changed nothing, before hours are spent."""
    answered = [row for row in predictions if row.status != "error"]
    if not (cell.measured or any(row.n_image_tokens for row in answered)):
        return  # a test wants to know what is said without an image
    if answered and not cell.intervention.is_identity and not any(r.cells_edited for r in answered):
        raise ValueError(
            f"the intervention {cell.intervention.name!r} edited no attention in a whole batch of "
            f"{len(answered)} samples (condition {cell.condition!r}): choose rows, keys and phase "
            "that meet, and a condition that shows an image"
        )


def form_batches(
    samples: Sequence[Sample], benchmark: Benchmark, batch_size: int
) -> list[list[Sample]]:
    """Alike samples side by side: little is wasted on padding, in prompts and in candidates.

    The samples of a batch are answered in one mode.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")

    def shape(sample: Sample) -> tuple[int, int, int, str]:
        text = benchmark.prompt(sample)
        return len(sample.images), len(sample.options), len(text), sample.uid

    modes: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=shape):
        modes.setdefault(benchmark.mode(sample), []).append(sample)
    return [
        order[start : start + batch_size]
        for _, order in sorted(modes.items())
        for start in range(0, len(order), batch_size)
    ]

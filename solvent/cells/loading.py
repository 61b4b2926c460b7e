"""From configuration to model, benchmark and conditions; what a sweep asks for again is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from solvent.cells.building import TARGET, build, target
from solvent.cells.diagnosing import needed
from solvent.cells.processes.memory import keep_freed
from solvent.cells.request import Settings, check_known
from solvent.cells.revisions import is_pinned
from solvent.core.checkpoints import digest_of
from solvent.core.content import digest_samples, files_of
from solvent.core.digests import Seal, seals
from solvent.core.types import VLM, Benchmark, Condition, Diagnostic, Sample

log = logging.getLogger("solvent")


@dataclass(frozen=True)
class _Loaded:
    """A benchmark that is kept, and what tells that its pictures are no longer those of then."""

    benchmark: Benchmark
    samples: Sequence[Sample]
    pictures: Sequence[Path]
    seals: Sequence[Seal | None]


def load_model(settings: Settings) -> VLM:
    """The model of a configuration.

    That of the last cell is kept, so a sweep loads it once, as long as its files stay as they are.
    """
    return _model(_text(settings), digest_of(settings))


def load_benchmark(settings: Settings) -> tuple[Benchmark, Sequence[Sample]]:
    """The benchmark of a configuration with its samples.

    The last two are kept, as long as the files that they were read from stay as they are.
    """
    source = build(settings["source"], "benchmark.source", "__call__")
    asked = _text(settings), seals(getattr(source, "files", list)())
    found = _benchmark(*asked)
    if seals(found.pictures) != found.seals:
        _benchmark.cache_clear()
        found = _benchmark(*asked)
    return found.benchmark, found.samples


def data_digest(benchmark: Settings) -> str | None:
    """What the samples of a configuration are made of. None where its settings say it: the hub's
    commit, or the seed of what is drawn.

    Raises as reading them does.
    """
    source = benchmark["source"]
    drawn = getattr(target(source.get(TARGET), "benchmark.source"), "drawn", False)
    if drawn or is_pinned(source):
        return None
    return digest_samples(load_benchmark(benchmark)[1])


@lru_cache(maxsize=1)
def _model(text: str, checkpoint: str) -> VLM:
    settings = json.loads(text)
    log.info("loading %s", settings["name"])
    keep_freed()
    return build(settings, "model", "rank")


@lru_cache(maxsize=2)  # the samples that are evaluated, and those of a calibration
def _benchmark(text: str, tables: Sequence[Seal | None]) -> _Loaded:
    benchmark = build(json.loads(text), "benchmark", "samples")
    samples = benchmark.samples()
    pictures = files_of(image for sample in samples for image in sample.images)
    return _Loaded(benchmark, samples, pictures, seals(pictures))


def named_condition(conditions: Mapping[str, Settings], name: str) -> Condition:
    """What a condition's name stands for. Raises `ValueError` where nobody defined it."""
    check_known(name, list(conditions))
    return build(conditions[name], f"conditions.{name}", "views")


def needed_conditions(
    conditions: Mapping[str, Settings], tests: Mapping[str, Diagnostic]
) -> dict[str, Condition]:
    """All conditions that the tests need, by name, `real` first."""
    known = {name: named_condition(conditions, name) for name in conditions}
    for test in tests.values():
        known |= test.composed(known)
    return {name: known[name] for name in needed(tests, list(known))}


def _text(settings: Settings) -> str:
    return json.dumps(settings)

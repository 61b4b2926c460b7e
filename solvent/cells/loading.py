"""From configuration to model, benchmark and conditions; what a sweep asks for again is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from solvent.cells.building import TARGET, build, target
from solvent.cells.diagnosing import needed
from solvent.cells.processes.memory import keep_freed
from solvent.cells.request import check_known
from solvent.cells.revisions import is_pinned
from solvent.core.checkpoints import digest_of
from solvent.core.content import digest_samples
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


def load_model(config: DictConfig) -> VLM:
    """The model of a configuration.

    That of the last cell is kept, so a sweep loads it once, as long as its files stay as they are.
    """
    return _model(_yaml(config), digest_of(config))


def load_benchmark(config: DictConfig) -> tuple[Benchmark, Sequence[Sample]]:
    """The benchmark of a configuration with its samples.

    The last two are kept, as long as the files that they were read from stay as they are.
    """
    source = build(config.source, "benchmark.source", "__call__")
    asked = _yaml(config), seals(getattr(source, "files", list)())
    found = _benchmark(*asked)
    if seals(found.pictures) != found.seals:
        _benchmark.cache_clear()
        found = _benchmark(*asked)
    return found.benchmark, found.samples


def data_digest(config: DictConfig) -> str | None:
    """What the samples of a configuration are made of. None where its settings say it: the hub's
    commit, or the seed of what is drawn.

    Raises as reading them does.
    """
    drawn = getattr(target(config.source.get(TARGET), "benchmark.source"), "drawn", False)
    if drawn or is_pinned(config.source):
        return None
    return digest_samples(load_benchmark(config)[1])


@lru_cache(maxsize=1)
def _model(yaml: str, checkpoint: str) -> VLM:
    config = OmegaConf.create(yaml)
    log.info("loading %s", config.name)
    keep_freed()
    return build(config, "model", "rank")


@lru_cache(maxsize=2)  # the samples that are evaluated, and those of a calibration
def _benchmark(yaml: str, tables: Sequence[Seal | None]) -> _Loaded:
    benchmark = build(OmegaConf.create(yaml), "benchmark", "samples")
    samples = benchmark.samples()
    files = (getattr(image, "file", None) for sample in samples for image in sample.images)
    pictures = list(dict.fromkeys(file for file in files if file is not None))
    return _Loaded(benchmark, samples, pictures, seals(pictures))


def named_condition(config: DictConfig, name: str) -> Condition:
    """What a condition's name stands for. Raises `ValueError` where nobody defined it."""
    check_known(name, list(config.conditions))
    return build(config.conditions[name], f"conditions.{name}", "views")


def needed_conditions(config: DictConfig, tests: Mapping[str, Diagnostic]) -> dict[str, Condition]:
    """All conditions that the tests need, by name, `real` first."""
    known = {name: named_condition(config, name) for name in config.conditions}
    for test in tests.values():
        known |= test.composed(known) if hasattr(test, "composed") else {}
    return {name: known[name] for name in needed(tests, list(known))}


def _yaml(config: DictConfig) -> str:
    return OmegaConf.to_yaml(config, resolve=True)

"""What a configuration asks for, built as far as it can be refused before a model is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from solvent.cells.building import build
from solvent.cells.diagnosing import with_options
from solvent.cells.identity import Identity, cell_folder, identity, labels
from solvent.cells.input_files import (
    InputFile,
    check_disjoint,
    check_inputs,
    input_files,
    warn_of_other_checkpoints,
)
from solvent.cells.loading import load_benchmark, named_condition, needed_conditions
from solvent.cells.request import Request
from solvent.core.checkpoints import digest_of
from solvent.core.types import Benchmark, Condition, Diagnostic, Sample, Tracking
from solvent.storage.folder import CellFolder


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a configuration asks for."""

    config: DictConfig
    request: Request
    intervention: Any
    files: Sequence[InputFile]
    condition: Condition
    tests: Mapping[str, Diagnostic]
    tracking: Tracking
    labels: Mapping[str, Any]
    identity: Identity
    folder: CellFolder


def identify(config: DictConfig) -> Identity:
    """What defines the cell. Looks at data, checkpoint and input files; raises where one lacks."""
    intervention = build(config.intervention, "intervention", "is_identity")
    files = input_files(config.intervention)
    check_inputs(intervention.name, files, calibration_command(config))
    return identity(config, intervention)


def read(config: DictConfig, known: Identity, request: Request) -> Asked:
    """Build what is quick to build."""
    intervention = build(config.intervention, "intervention", "is_identity")
    files = input_files(config.intervention)
    condition = named_condition(config, request.condition)
    return Asked(
        config=config,
        request=request,
        intervention=intervention,
        files=files,
        condition=condition,
        tests=build_tests(config),
        tracking=build(config.tracking, "tracking", "follow"),
        labels=labels(config, intervention, condition, known),
        identity=known,
        folder=cell_folder(config, known),
    )


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What the model is asked."""

    benchmark: Benchmark
    shown: Sequence[Sample]  # of the benchmark, under the cell's condition
    tested: Sequence[Sample]  # as they are, for the modality-usage tests
    conditions: Mapping[str, Condition]  # that these need


def build_tests(config: DictConfig) -> dict[str, Diagnostic]:
    """The modality-usage tests of a configuration, by name."""
    asked = config.get("diagnostic") or {}
    return {name: build(asked[name], f"diagnostic.{name}", "conditions") for name in asked}


def question(asked: Asked) -> Questions:
    """Read the benchmark; what cannot be shown is refused before anything is computed."""
    config, tests = asked.config, asked.tests
    benchmark, samples = load_benchmark(config.benchmark)
    benchmark = build(config.compat, "compat", "__call__")(benchmark)
    check_disjoint(asked.files, samples)
    warn_of_other_checkpoints(asked.files, digest_of(config.model))
    tested = with_options(benchmark, samples) if tests else []
    conditions = needed_conditions(config, tests) if tests else {}
    for each in conditions.values():
        each.views(tested)
    return Questions(
        benchmark=benchmark,
        shown=asked.condition.views(samples),
        tested=tested,
        conditions=conditions,
    )


def calibration_command(config: DictConfig) -> str | None:
    """What makes the file that the intervention reads; None where no recipe is known.

    The run's own overrides, without those that make no difference, and without an experiment, which
    may be a sweep of its own: what it says of the samples is said explicitly.
    """
    if config.get("calibration") is None:
        return None
    groups = ("intervention", "model", "benchmark")
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    left_out = ("condition=", "tracking", "study=", "experiment=")
    overrides = [each for each in given if not each.startswith(left_out)]
    named = {each.partition("=")[0] for each in overrides}
    said = {group: config[group].name for group in groups} | {"limit": config.limit}
    missing = [f"{key}={value}" for key, value in said.items() if key not in named and value]
    return shlex.join(["python", "-m", "solvent", "calibrate", *missing, *overrides])

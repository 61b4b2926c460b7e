"""What a configuration asks for, built as far as it can be refused before a model is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from solvent.cells.request import Request, Settings
from solvent.core.checkpoints import digest_of
from solvent.core.paths import own_folder
from solvent.core.types import Benchmark, Condition, Diagnostic, Sample, Tracking
from solvent.diagnostics.base import PAIRS
from solvent.diagnostics.contract import check_tests
from solvent.storage.folder import CellFolder


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a configuration asks for."""

    request: Request
    intervention: Any
    files: Sequence[InputFile]
    condition: Condition
    tests: Mapping[str, Diagnostic]
    tracking: Tracking
    labels: Mapping[str, Any]
    identity: Identity
    folder: CellFolder


def identify(request: Request) -> Identity:
    """What defines the cell. Looks at data, checkpoint and input files; raises where one lacks."""
    intervention = build(request.intervention, "intervention", "is_identity")
    files = input_files(request.intervention)
    check_inputs(intervention.name, files, calibration_command(request))
    return identity(request, intervention)


def understand(request: Request, known: Identity) -> Asked:
    """Build what is quick to build."""
    intervention = build(request.intervention, "intervention", "is_identity")
    files = input_files(request.intervention)
    condition = named_condition(request.conditions, request.condition)
    return Asked(
        request=request,
        intervention=intervention,
        files=files,
        condition=condition,
        tests=build_tests(request.tests),
        tracking=build(request.tracking, "tracking", "follow"),
        labels=labels(request, intervention, condition, known),
        identity=known,
        folder=cell_folder(request, known),
    )


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What the model is asked."""

    benchmark: Benchmark
    shown: Sequence[Sample]  # of the benchmark, under the cell's condition
    tested: Sequence[Sample]  # as they are, for the modality-usage tests
    conditions: Mapping[str, Condition]  # that these need


def build_tests(settings: Mapping[str, Settings]) -> dict[str, Diagnostic]:
    """Modality-usage tests by name."""
    tests = {name: build(settings[name], f"diagnostic.{name}") for name in settings}
    check_tests(tests)
    return tests


def question(asked: Asked) -> Questions:
    """Read the benchmark; what cannot be shown is refused before anything is computed."""
    request, tests = asked.request, asked.tests
    benchmark, samples = load_benchmark(request.benchmark)
    benchmark = build(request.compat, "compat", "__call__")(benchmark)
    shown = asked.condition.views(samples)
    benchmark.check_scores(shown)
    check_disjoint(asked.files, samples)
    warn_of_other_checkpoints(asked.files, digest_of(request.model))
    tested = with_options(benchmark, samples) if tests else []
    conditions = needed_conditions(request.conditions, tests) if tests else {}
    _check_paired(tests, conditions, tested)
    return Questions(
        benchmark=benchmark,
        shown=shown,
        tested=tested,
        conditions=conditions,
    )


def _check_paired(
    tests: Mapping[str, Diagnostic], conditions: Mapping[str, Condition], asked: Sequence[Sample]
) -> None:
    """Make every view once, and refuse one of other questions where no test expects that."""
    known = {sample.uid for sample in asked}
    apart = {name for test in tests.values() for name in test.watches.get(PAIRS, ())}
    for name, condition in conditions.items():
        shown = condition.views(asked)
        if name not in apart and not known.issuperset(sample.uid for sample in shown):
            needing = " and ".join(test for test, each in tests.items() if name in each.conditions)
            raise ValueError(
                f"the condition {name!r}, which {needing} needs, asks others than the benchmark's "
                "questions, and its answers pair with nothing: write watches = "
                f"{{'pairs': ({name!r},)}} in the test's class, which then gets them in seen.pairs"
            )


def calibration_command(request: Request) -> str | None:
    """What makes the file that the intervention reads; None where no recipe is known.

    The run's own overrides, without those that make no difference, and without an experiment, which
    may be a sweep of its own: what it says of the samples is said explicitly.
    """
    if request.calibration is None:
        return None
    groups = ("intervention", "model", "benchmark")
    left_out = ("condition=", "tracking", "study=", "experiment=")
    overrides = [each for each in request.overrides if not each.startswith(left_out)]
    named = {each.partition("=")[0] for each in overrides}
    said = {group: request.settings[group]["name"] for group in groups}
    said["limit"] = request.limit
    missing = [f"{key}={value}" for key, value in said.items() if key not in named and value]
    own = [f"--config-dir={folder}"] if (folder := own_folder()) else []
    return shlex.join(["python", "-m", "solvent", "calibrate", *own, *missing, *overrides])

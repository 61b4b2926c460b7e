"""From a composed configuration to a finished cell: build, run, record, show."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from evaluation.answering import Cell
from evaluation.diagnosing import (
    REFERENCE,
    check_known,
    diagnose,
    needed,
    serves_as_real,
    watches,
    with_options,
)
from evaluation.inputs import (
    by_content,
    check_disjoint,
    check_inputs,
    input_files,
    record,
    warn_of_other_weights,
)
from evaluation.provenance import ROOT, provenance
from evaluation.report.figures import draw_cell
from evaluation.report.table import cell_title, console, show_cell, show_line
from evaluation.report.usage import draw_usage
from evaluation.results import CellFolder, digest_weights, fingerprint
from evaluation.runner import run
from evaluation.types import VLM, Benchmark, Condition, Diagnostic, Sample

SETTING_KEYS = ("model", "benchmark", "compat", "condition", "diagnostic", "batch_size")
TRACKED_FILES = (
    "predictions.jsonl",
    "metrics.json",
    "config.yaml",
    "provenance.json",
    "diagnostics/findings.json",
)

log = logging.getLogger("solvent")


def run_cell(config: DictConfig) -> dict[str, Any]:
    """Run one cell, or say that it is finished; returns its metrics."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    screen = console()
    intervention = instantiate(config.intervention, _convert_="all")
    files = input_files(config.intervention)
    check_inputs(intervention.name, files, calibration_command(config))
    condition = named_condition(config, config.condition)
    tests = instantiate(config.get("diagnostic") or {}, _convert_="all")
    folder = cell_folder(config, intervention)
    labels = _labels(config, intervention, condition)
    if folder.finished:
        screen.print(f"already finished  [dim]{folder.path}[/dim]", highlight=False)
        show_line(screen, folder.metrics())
        return folder.metrics()
    benchmark, samples = load_benchmark(config.benchmark)
    benchmark = instantiate(config.compat)(benchmark)
    check_disjoint(files, samples)
    warn_of_other_weights(files, digest_weights(ROOT / config.model.checkpoint))
    shown = condition.views(samples)
    asked = with_options(benchmark, samples) if tests else []
    conditions = needed_conditions(config, tests) if tests else {}
    for each in conditions.values():
        each.views(asked)  # what cannot be shown is refused before anything is computed
    model = load_model(config.model)
    tracking = instantiate(config.tracking, _convert_="all")
    facts = provenance(model.provenance()) | {
        "files": record(files),
        "data": benchmark.provenance(),
    }
    folder.open(_yaml(config), facts)
    cell = Cell(
        model=model,
        benchmark=benchmark,
        condition=condition.name,
        samples=shown,
        intervention=intervention,
        batch_size=config.batch_size,
        title=cell_title(labels),
        measured=True,
    )
    if tests and serves_as_real(cell, REFERENCE):
        cell = replace(cell, watches=watches(tests, REFERENCE))
    metrics = labels | run(cell, folder)
    if tests:
        findings = diagnose(cell, asked, tests, conditions, folder)
        draw_usage(findings, cell_title(labels), folder.path / "figures")
        metrics["diagnostics"] = {
            name: {key: value for key, value in found.items() if key != "series"}
            for name, found in findings.items()
        }
    benchmark.export(folder.predictions(), folder.path)
    draw_cell(metrics, folder.path / "figures")
    folder.finish(metrics)
    with tracking.follow(
        identity=folder.path.name,
        folder=folder.path,
        study=config.study,
        config=OmegaConf.to_container(config, resolve=True),
        labels=labels,
        provenance=facts,
        total=len(shown),
    ) as followed:
        followed.finish(
            metrics=metrics,
            predictions=folder.predictions(),
            samples=shown,
            figures=sorted((folder.path / "figures").glob("*.png")),
            files=[folder.path / name for name in TRACKED_FILES],
        )
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        show_line(screen, metrics)
    else:
        show_cell(screen, metrics)
        screen.print(f"[dim]{folder.path}[/dim]", highlight=False)
    return metrics


def cell_folder(config: DictConfig, intervention: Any) -> CellFolder:
    """Where a cell lives: equal definitions have equal folders.

    Where nothing is edited, layers make no difference; where a local checkpoint was trained again,
    its weights do, though its path is the same. Files count by what is in them, too.
    """
    what = by_content(repr(intervention), input_files(config.intervention))
    what = intervention.name if intervention.is_identity else what
    identity = fingerprint({**_setting(config), "intervention": what, "seed": config.seed})
    place = Path(config.output) / config.study / config.model.name / config.benchmark.name
    return CellFolder(place / f"{intervention.name}-{identity[:12]}")


def named_condition(config: DictConfig, name: str) -> Condition:
    """What a condition's name stands for. Raises `ValueError` where nobody defined it."""
    check_known(name, list(config.conditions))
    return instantiate(config.conditions[name], _convert_="all")


def needed_conditions(config: DictConfig, tests: Mapping[str, Diagnostic]) -> dict[str, Condition]:
    """All conditions that the tests need, by name, `real` first."""
    known = {name: named_condition(config, name) for name in config.conditions}
    for test in tests.values():
        known |= test.composed(known) if hasattr(test, "composed") else {}
    return {name: known[name] for name in needed(tests, list(known))}


def _setting(config: DictConfig) -> dict[str, Any]:
    """Everything that can change a bit of a result, apart from the intervention and its seed."""
    container = OmegaConf.to_container(config, resolve=True)
    setting = {key: container.get(key) for key in SETTING_KEYS}
    setting["condition"] = container["conditions"][config.condition]
    setting["conditions"] = container["conditions"] if container.get("diagnostic") else None
    return setting | {"weights": digest_weights(ROOT / config.model.checkpoint)}


def _labels(config: DictConfig, intervention: Any, condition: Condition) -> dict[str, Any]:
    """What a table of many cells needs to tell them apart."""
    return {
        "model": config.model.name,
        "benchmark": config.benchmark.name,
        "prompt": config.prompt.name,
        "compat": config.compat.name,
        "intervention": intervention.name,
        "variant": "" if intervention.is_identity else _variant(config.intervention),
        "layers": None if intervention.is_identity else str(config.intervention.layers),
        "condition": condition.name,
        "seed": config.seed,
        "setting": fingerprint(_setting(config))[:6],  # equal for cells that may be paired
    }


def _variant(intervention: DictConfig) -> str:
    """Fields that differ from the intervention's own definition, beside layers and seed; files by
    the first digits of their digest.
    """
    files = {file.field: f"file={file.digest[:8]}" for file in input_files(intervention)}
    stock = _flat(_definition(intervention.name))
    fields = _flat(OmegaConf.to_container(intervention))
    changed = [
        f"{name}={value}"
        for name, value in fields.items()
        if name not in ("layers", "seed", *files) and stock.get(name) != value
    ]
    return ", ".join([*dict.fromkeys(files.values()), *changed])


def _definition(name: str) -> dict[str, Any]:
    """The stock definition of an intervention; empty where the name is the user's own."""
    known = name in get_method("interventions.available")()
    return get_method("interventions.intervention.definition")(name) if known else {}


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
    return shlex.join(["python", "-m", "evaluation.calibrate", *missing, *overrides])


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat |= inner if inner is not None else {f"{prefix}{name}": value}
    return flat


def _yaml(config: DictConfig) -> str:
    return OmegaConf.to_yaml(config, resolve=True)


def load_model(config: DictConfig) -> VLM:
    """The model of a configuration; that of the last cell is kept, so a sweep loads it once."""
    return _model(_yaml(config))


def load_benchmark(config: DictConfig) -> tuple[Benchmark, Sequence[Sample]]:
    """The benchmark of a configuration with its samples; the last two are kept."""
    return _benchmark(_yaml(config))


@lru_cache(maxsize=1)
def _model(yaml: str) -> VLM:
    config = OmegaConf.create(yaml)
    log.info("loading %s", config.name)
    return instantiate(config, _convert_="all")


@lru_cache(maxsize=2)  # the samples that are evaluated, and those of a calibration
def _benchmark(yaml: str) -> tuple[Benchmark, Sequence[Sample]]:
    benchmark = instantiate(OmegaConf.create(yaml), _convert_="all")
    return benchmark, benchmark.samples()

"""From somebody else's saved answers to finished cells, without a model.

    outputs/<study>/<model>/<benchmark>/imported-<arm>-<hash>/

The files are those of any cell (`solvent.storage.folder`); `imported` stands in the folder's name,
in its configuration, identity, metrics and provenance. The identity has no model's settings and no
intervention of ours, so that no run of ours has its hash: `evaluate` neither resumes nor skips one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from solvent.benchmarks.saved.saved_answers import SavedAnswers
from solvent.benchmarks.saved.saved_questions import SavedQuestions
from solvent.cells.asking import build_tests
from solvent.cells.building import build
from solvent.cells.diagnosing import FINDINGS, REFERENCE, answers_of, needed
from solvent.cells.identity import SCHEMA, fingerprint, lasting
from solvent.cells.imported.sorting import SavedCell, as_prediction, sort_out
from solvent.cells.provenance import code
from solvent.cells.request import Settings, as_yaml, check_name
from solvent.cells.scoring import summarise
from solvent.core.content import digest_samples
from solvent.core.files import write_atomically
from solvent.core.names import did_you_mean
from solvent.core.own_code import own_code, targets_of
from solvent.core.paths import definitions
from solvent.core.redaction import redacted
from solvent.core.types import Benchmark, Diagnostic, Sample
from solvent.diagnostics.judging import judge_all
from solvent.reports.figures import draw_cell
from solvent.reports.overall_reading import overall_of
from solvent.reports.table import cell_title, console, show_cell, show_failures
from solvent.reports.usage_figures import draw_usage
from solvent.storage.claims import claimed
from solvent.storage.folder import CellFolder
from solvent.storage.records import encode
from solvent.storage.runs import PLACE

PARTS = ("name", "subset", "conditions", "benchmark", "answers", "tests")  # of a mapping
PREFIX = "imported"  # of the cells' folders, and the key that marks what is stored in them


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A mapping of `conf/import`, built, and the questions that it leads to."""

    settings: Settings
    benchmark: Benchmark
    samples: Sequence[Sample]
    answers: SavedAnswers
    tests: Mapping[str, Diagnostic]

    @property
    def name(self) -> str:
        """Of the mapping."""
        return self.settings["name"]


def import_answers(settings: Settings) -> list[dict[str, Any]]:
    """Make all cells of a mapping; returns their metrics. One that is finished is only shown.

    Args:
        settings: of conf/import.yaml, composed: `output`, `study` and the mapping, `import`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the mapping, a file or a row is not as expected. Nothing is written then.
    """
    check_name("study", settings["study"], nested=True)
    if settings.get("import") is None:
        raise ValueError(
            "there is no mapping: choose one with import=NAME; known are "
            f"{', '.join(definitions('import'))}"
        )
    mapped = built(settings["import"])
    study = Path(settings["output"]) / settings["study"]
    cells = sort_out(mapped.answers, mapped.samples, list(mapped.settings["conditions"]))
    return [_import(mapped, cell, study) for cell in cells]


def built(settings: Settings) -> Mapped:
    """A mapping, checked and built. Raises as reading its questions does, and `ValueError`."""
    for name in settings:
        if name not in PARTS:
            meant = did_you_mean(name, PARTS, "import.")
            raise ValueError(f"there is no setting import.{name}{meant}")
    if missing := [name for name in PARTS if name not in settings]:
        raise ValueError(f"the setting import.{missing[0]} is missing; a mapping needs it")
    check_name("import.name", settings["name"], nested=False)
    check_name("import.benchmark.name", settings["benchmark"]["name"], nested=False)
    if REFERENCE not in settings["conditions"]:
        raise ValueError(
            f"import.conditions lacks {REFERENCE!r}, whose answers are the cell's score: call so "
            "what the others are compared with"
        )
    for name in settings["conditions"]:
        check_name(f"import.conditions: {name}", name, nested=False)
    tests = build_tests(settings["tests"])
    needed(tests, list(settings["conditions"]))
    benchmark = build(settings["benchmark"], "import.benchmark", "samples")
    answers = build(settings["answers"], "import.answers", "of")
    samples = benchmark.samples()
    benchmark.check_scores(samples)
    _check_mode(benchmark, answers, samples)
    return Mapped(
        settings=settings, benchmark=benchmark, samples=samples, answers=answers, tests=tests
    )


def _check_mode(benchmark: Benchmark, answers: SavedAnswers, samples: Sequence[Sample]) -> None:
    saved = "rank" if answers.answer is None else "generate"
    for sample in samples:
        if benchmark.mode(sample) != saved:
            raise ValueError(
                f"{sample.uid} is answered in the mode {benchmark.mode(sample)!r}, and what was "
                f"saved is of the mode {saved!r}: set import.benchmark.answer.mode={saved}; "
                "questions without options are always generated"
            )


def definition(mapped: Mapped, cell: SavedCell) -> dict[str, Any]:
    """Everything that decides the cell: what is hashed. Cells that are alike in it but for the
    intervention, which here is the arm with its files, answer the same questions and are paired.
    """
    settings = mapped.settings
    benchmark = {name: value for name, value in settings["benchmark"].items() if name != "source"}
    fields = {name: value for name, value in settings["answers"].items() if name != "tables"}
    own = own_code(targets_of(settings))  # modules of the user's own, by what is in them
    return {
        "schema": SCHEMA,
        PREFIX: {"mapping": mapped.name, "answers": fields},
        "model": {"name": cell.model},
        "benchmark": lasting(benchmark),
        "condition": {REFERENCE: settings["conditions"][REFERENCE]},
        "conditions": settings["conditions"],
        "diagnostic": lasting(settings["tests"]),
        **({"code": own} if own else {}),
        "data": digest_samples(mapped.samples),
        "intervention": {"name": cell.arm, "files": sorted(each.sha256 for each in cell.tables)},
        "seed": 0,
    }


def _import(mapped: Mapped, cell: SavedCell, study: Path) -> dict[str, Any]:
    identity = redacted(definition(mapped, cell))
    name = f"{PREFIX}-{cell.arm}-{fingerprint(identity)[:12]}"
    folder = CellFolder(study / cell.model / mapped.benchmark.name / name)
    if folder.finished:
        folder.check()
        folder.check_identity(identity)
        console().print(f"already imported  [dim]{escape(str(folder.path))}[/dim]", highlight=False)
        return _show(folder)
    folder.make(len(mapped.samples) * len(cell.answers))
    with claimed(folder.path):
        folder.open(as_yaml(redacted(_configuration(mapped, cell))), identity)
        _store(mapped, cell, folder)
        text = json.dumps([redacted(_provenance(mapped, cell))], indent=2)
        write_atomically(folder.path / PLACE, f"{text}\n")
        _conclude(mapped, cell, folder, identity)
    return _show(folder)


def _configuration(mapped: Mapped, cell: SavedCell) -> dict[str, Any]:
    """What `rescore`, `recompute` and people find in `config.yaml`."""
    settings = mapped.settings
    return {
        PREFIX: {"mapping": mapped.name, "answers": settings["answers"]},
        "model": {"name": cell.model},
        "intervention": {"name": cell.arm},
        "benchmark": settings["benchmark"],
        "condition": REFERENCE,
        "conditions": settings["conditions"],
        "diagnostic": settings["tests"],
        "seed": 0,
    }


def _store(mapped: Mapped, cell: SavedCell, folder: CellFolder) -> None:
    """Write all answers as they are read: those of `real` are the cell's own."""
    for condition, answers in cell.answers.items():
        place = folder if condition == REFERENCE else folder.condition(condition)
        place.make(0)
        rows = [
            as_prediction(answers[sample.uid], sample, mapped.benchmark)
            for sample in mapped.samples
        ]
        write_atomically(
            place.path / "predictions.jsonl", (f"{encode(row)}\n".encode() for row in rows)
        )


def _provenance(mapped: Mapped, cell: SavedCell) -> dict[str, Any]:
    """Whose answers, and the code that read them; nobody knows what computed them."""
    source = mapped.benchmark.source
    asked = source.tables.tables() if isinstance(source, SavedQuestions) else []
    return {
        "answers_before": 0,
        PREFIX: {
            "mapping": mapped.name,
            "answers": [_facts(table) for table in cell.tables],
            "questions": [_facts(table) for table in asked],
        },
        "code": code(),
    }


def _facts(table: Any) -> dict[str, Any]:
    return {"file": table.name, "sha256": table.sha256, "rows": len(table.rows)}


def _conclude(
    mapped: Mapped, cell: SavedCell, folder: CellFolder, identity: Mapping[str, Any]
) -> None:
    labels = _labels(mapped, cell, identity)
    metrics = {**labels, **summarise(mapped.benchmark, folder.stored())}
    if mapped.tests:
        names = needed(mapped.tests, list(cell.answers))
        findings = judge_all(mapped.tests, answers_of(folder, names), folder.path)
        text = json.dumps(findings, indent=1, allow_nan=False)
        write_atomically(folder.path / "diagnostics" / FINDINGS, f"{text}\n")
        draw_usage(findings, mapped.tests, cell_title(labels), folder.path / "figures")
        metrics["diagnostics"] = {
            name: {key: value for key, value in found.items() if key != "series"}
            for name, found in findings.items()
        }
        metrics |= overall_of(findings)
    draw_cell(metrics, folder.path / "figures")
    folder.write_metrics(metrics, {"seconds": 0.0, "attention_seconds": 0.0, "batch_size": 0})
    folder.finish([])


def _labels(mapped: Mapped, cell: SavedCell, identity: Mapping[str, Any]) -> dict[str, Any]:
    treatment = ("schema", "intervention", "seed")
    setting = {name: value for name, value in identity.items() if name not in treatment}
    return {
        "model": cell.model,
        "benchmark": mapped.benchmark.name,
        "prompt": PREFIX,
        "compat": "none",
        "intervention": cell.arm,
        "variant": "",
        "layers": None,
        "condition": REFERENCE,
        "seed": 0,
        "setting": fingerprint(setting)[:8],
        PREFIX: mapped.name,
    }


def _show(folder: CellFolder) -> dict[str, Any]:
    screen, metrics = console(), folder.metrics()
    if metrics["errors"]:
        show_failures(screen, folder.stored())
    show_cell(screen, metrics)
    screen.print(f"[dim]{escape(str(folder.path))}[/dim]", highlight=False)
    return metrics

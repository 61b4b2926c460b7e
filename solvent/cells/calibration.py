"""From a composed configuration to the file that an intervention reads.

The file is a safetensors file whose metadata say what it was made from: intervention, recipe,
model and its weights, benchmark, the uids of the samples, seed, versions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from solvent.cells.answering import prompts
from solvent.cells.building import build
from solvent.cells.identity import fingerprint, without_later, without_locations
from solvent.cells.input_files import input_files, read_metadata
from solvent.cells.loading import load_benchmark, load_model
from solvent.cells.processes.monitor import progress_bar
from solvent.cells.provenance import installed
from solvent.cells.request import Request, parse
from solvent.cells.revisions import pinned
from solvent.core.checkpoints import digest_of
from solvent.core.content import digest_samples
from solvent.core.files import replacing
from solvent.core.paths import definitions
from solvent.core.redaction import RedactedFormatter
from solvent.core.types import Benchmark, Prompt, Sample
from solvent.reports.table import console

PACKAGES = ("torch", "transformers", "safetensors")


@dataclass(frozen=True)
class Group:
    """Samples that are read together, as a recipe sees them."""

    benchmark: Benchmark
    samples: Sequence[Sample]

    def prompts(self) -> list[Prompt]:
        """As a model takes them. Raises `ValueError` when a picture cannot be read."""
        readable, errors = prompts(self.benchmark, self.samples)
        if errors:
            uid, reason = next(iter(errors.items()))
            raise ValueError(f"the sample {uid} of the calibration split cannot be shown: {reason}")
        return readable

    def candidates(self) -> list[Sequence[str]]:
        """Candidate answers of every sample."""
        return [self.benchmark.candidates(sample) for sample in self.samples]

    def gold(self) -> list[int]:
        """Index of the right candidate of every sample. Raises `ValueError` without candidates."""
        free = [sample.uid for sample in self.samples if not sample.options]
        if free:
            raise ValueError(
                f"{len(free)} calibration samples, first {free[0]}, have no options to choose "
                "from: fit to next_token, or calibrate on a benchmark with options"
            )
        return [sample.gold for sample in self.samples]


def calibrate(config: Any) -> Path:
    """Make the file that a configuration composed by Hydra asks for, or say that it is there;
    returns its path.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(RedactedFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("solvent").setLevel(logging.INFO)
    screen = console()
    request = pinned(parse(config))
    path = place(request)
    calibration = request.calibration
    benchmark, samples = calibration_split(request)
    recipe = build(calibration["recipe"], "calibration.recipe")
    facts = describe(request, recipe, samples)
    if is_made(path, facts, calibration["overwrite"]):
        screen.print(f"already made  [dim]{path}[/dim]", highlight=False)
        return path
    intervention = build(request.intervention, "intervention")
    model = load_model(request.model)
    groups = form_groups(benchmark, samples, request.batch_size)
    with progress_bar() as progress:
        task = progress.add_task(
            f"{intervention.name} of {request.model['name']} on {request.benchmark['name']}",
            total=recipe.passes(len(groups)),
        )
        made = recipe.make(model, intervention, groups, lambda: progress.advance(task))
    report = {name: f"{value:.6g}" for name, value in made.report.items()}
    save(path, made.tensors, facts | report)
    for name, value in report.items():
        screen.print(f"{name.replace('_', ' ')}  {value} nats per sample", highlight=False)
    screen.print(f"made from {facts['n']} samples  [dim]{path}[/dim]", highlight=False)
    return path


def place(request: Request) -> Path:
    """The file that the intervention names. Raises `ValueError` where it names none to be made."""
    name = request.intervention["name"]
    if request.calibration is None:
        known = definitions("calibration")
        raise ValueError(
            f"The intervention {name!r} reads no file that can be made; those that do are "
            f"{', '.join(known)}"
        )
    paths = {file.path for file in input_files(request.intervention)}
    if len(paths) != 1:
        raise ValueError(
            f"The intervention {name!r} should name one file to be made, but names "
            f"{sorted(map(str, paths))}; give all of its fields the same path"
        )
    return paths.pop()


def calibration_split(request: Request) -> tuple[Benchmark, list[Sample]]:
    """Samples that are not evaluated under the same settings.

    A benchmark that draws its samples draws others, with another seed; of any other, those are
    taken that `limit` leaves out, in the order in which a greater limit would add them.
    """
    _, evaluated = load_benchmark(request.benchmark)
    wanted, name = request.calibration["samples"], request.benchmark["name"]
    if wanted < 1:
        raise ValueError(f"calibration.samples must be at least 1, not {wanted}")
    source, limit = request.benchmark["source"], request.benchmark["limit"]
    if "seed" in source:
        source, limit = {**source, "seed": request.calibration["seed"]}, wanted
        remedy = "choose another calibration.seed than benchmark.source.seed"
    else:
        limit = None if limit is None else limit + wanted
        remedy = "set a limit, here and for evaluate.py: calibration takes what it leaves out"
    benchmark, samples = load_benchmark({**request.benchmark, "source": source, "limit": limit})
    uids = {sample.uid for sample in evaluated}
    left = [sample for sample in samples if sample.uid not in uids]
    if not left:
        raise ValueError(
            f"No sample of {name} is left to calibrate on, because all {len(samples):,} of them "
            f"are evaluated: {remedy}"
        )
    return benchmark, left


def form_groups(benchmark: Benchmark, samples: Sequence[Sample], size: int) -> list[Group]:
    """Groups of at most `size`, each spread evenly over the split."""
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, not {size}")
    count = math.ceil(len(samples) / size)
    return [Group(benchmark, samples[start::count]) for start in range(count)]


def describe(request: Request, recipe: Any, samples: Sequence[Sample]) -> dict[str, str]:
    """Metadata of the file. Equal `settings` mean equal content."""
    uids = [sample.uid for sample in samples]
    names = uids if recipe.looks_at_samples else []
    checkpoint = digest_of(request.model)
    settings = {
        "model": without_later(request.model),
        "checkpoint": checkpoint,
        "benchmark": {k: v for k, v in request.benchmark.items() if k != "limit"},
        "calibration": {k: v for k, v in request.calibration.items() if k != "overwrite"},
        "batch_size": request.batch_size,
        "samples": digest_samples(samples),
        "intervention": _without_files(request.intervention)
        if recipe.depends_on_intervention
        else request.intervention["name"],
    }
    return {
        "intervention": request.intervention["name"],
        "recipe": repr(recipe),
        "model": request.model["name"],
        "checkpoint": checkpoint,
        "benchmark": request.benchmark["name"],
        "n": str(len(names)),
        "uids": json.dumps(names),
        "uids_digest": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "seed": str(request.calibration["seed"]),
        "versions": json.dumps({name: installed(name) for name in PACKAGES}),
        "settings": fingerprint(without_locations(settings)),
    }


def _without_files(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_files(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if name != "file"
    }


def is_made(path: Path, facts: Mapping[str, str], overwrite: bool) -> bool:
    """Whether the file is there, from the same settings. Raises `ValueError` if from others."""
    if overwrite or not path.exists():
        return False
    found = read_metadata(path)
    if found.get("settings") == facts["settings"]:
        return True
    raise ValueError(
        f"{path} was made with other settings (model {found.get('model', 'unknown')}, benchmark "
        f"{found.get('benchmark', 'unknown')}, n {found.get('n', 'unknown')}): make it again with "
        "calibration.overwrite=true, or name another file with intervention.pattern.file=..."
    )


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the file so that it is either the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path, shared=True) as new:
        save_file(whole, new, metadata=dict(metadata))

"""A study without a model: cells of made-up answers, stored as real cells are.

Definitions are composed from conf/ with `tiny` on `shapes` under other names; answers are drawn:
questions about one image share how hard they are, an intervention loses and gains some. Equal
arguments give equal files, and a cell that is there is left alone, so that a study can be grown.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count, islice, product
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.stats import norm

from solvent.cells.asking import Asked, identify, understand
from solvent.cells.identity import fingerprint
from solvent.cells.request import Request, as_yaml, parse
from solvent.core.types import CandidateScore, Prediction, VisualEntropy, VisualMass
from solvent.storage.records import encode
from solvent.studies.composing import compose_cell, composing

MODEL, BENCHMARK = "MODEL_NAME", "BENCHMARK_NAME"  # what stands for a name until a cell is written
PLAIN_MEAN = ("benchmark.reducers.score._target_=solvent.benchmarks.reducers.Mean",
              "~benchmark.reducers.score.tags")  # fmt: skip
KINDS = ("existence", "colour", "count", "where", "relation")
OPTIONS = ("yes", "no")
RIGHT = 0.8  # share of the control's answers
CORRELATION = 0.4  # of how hard the questions about one image are
LAYERS = range(6)  # of `tiny`
SPANS = tuple(tuple(LAYERS[at : at + n]) for n in range(1, 6) for at in range(len(LAYERS) - n + 1))
WINDOWS = ("all", "early", "middle", "late", *SPANS)
DOSES = (0.25, 0.5, 2.0, 4.0, 8.0)
Changes = tuple[tuple[str, Any], ...]  # of settings: dotted name and value
CHANGES = {"uniform": (0.06, 0.02), "gaussian": (0.04, 0.03), "permuted": (0.03, 0.03),
           "reweight": (0.02, 0.02), "knockout": (0.4, 0.1), "learned": (0.0, 0.0)}  # fmt: skip
"""Shares of the right answers that are lost, and of the wrong ones that become right."""
MASSES = {"knockout": 0.0, "reweight": 1.5}  # of the control's, after the intervention
PROVENANCE = {
    "answers_before": 0,
    "code": {"commit": "0" * 40, "uncommitted_changes": False, "changes": None},
    "model": {"family": "llava", "dtype": "float32", "attention": "sdpa", "devices": ["cpu"]},
    "packages": {"solvent": "0.1.0", "torch": "2.13.0+cpu", "transformers": "5.24.0"},
    "python": "3.11.7",
    "hardware": {"cpu": "x86_64", "threads": 2, "gpus": []},
    "data": {},
    "processes": 1,
}


@dataclass(frozen=True)
class Study:
    """How many cells of what size.

    Attributes:
        folder: of the study, as `python compare.py` finds it.
        cells: in all; spread evenly over models and benchmarks.
        samples: questions of a cell.
        per_image: questions about one image.
    """

    folder: Path
    cells: int
    samples: int
    models: int
    benchmarks: int
    per_image: int
    lines: dict[tuple[str, int, bool, str], bytes] = field(default_factory=dict, repr=False)
    looks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict, repr=False)

    def write(self) -> int:
        """Write the cells that are not there yet; how many these were."""
        written = 0
        for definition, model, benchmark in track(self.plan(), "writing", total=self.cells):
            written += self._write_cell(definition, model, benchmark)
        return written

    def plan(self) -> Iterator[tuple[Definition, str, str]]:
        """Definition, model and benchmark of every cell, family after family."""
        families = list(product(range(self.models), range(self.benchmarks)))
        each, more = divmod(self.cells, len(families))
        chosen = islice(all_arms(), each + bool(more))
        arms = [defined(*arm, self.samples) for arm in chosen]
        for place, (model, benchmark) in enumerate(families):
            for arm in arms[: each + (place < more)]:
                yield arm, f"model_{model}", f"set_{benchmark}"

    def _write_cell(self, arm: Definition, model: str, benchmark: str) -> bool:
        definition = arm.identity(model, benchmark)
        folder = self.folder / model / benchmark / f"{arm.name}-{fingerprint(definition)[:12]}"
        if (folder / "DONE").exists():
            return False
        folder.mkdir(parents=True, exist_ok=True)
        right = self._answers(arm, model, benchmark)
        lines = [self._line(benchmark, n, bool(each), arm.name) for n, each in enumerate(right)]
        sealed = {
            "identity.json": json.dumps(definition, indent=1, sort_keys=True).encode() + b"\n",
            "metrics.json": _text(self._metrics(arm, model, benchmark, right)),
            "predictions.jsonl": b"".join(lines),
        }
        rest = {
            "config.yaml": arm.config.replace(MODEL, model).replace(BENCHMARK, benchmark).encode(),
            "provenance.json": _text([PROVENANCE]),
            "timing.json": _text({"seconds": 60.0, "attention_seconds": 20.0, "batch_size": 32}),
        }
        for name, content in (sealed | rest).items():
            (folder / name).write_bytes(content)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in sealed.items()}
        (folder / "DONE").write_bytes(_text({"tracking": ["none"], "sha256": digests}))
        return True

    def _answers(self, arm: Definition, model: str, benchmark: str) -> np.ndarray:
        """Which questions are answered right: (sample,) truth values."""
        images = -(-self.samples // self.per_image)
        hard = _drawn(model, benchmark)
        ease = np.sqrt(CORRELATION) * hard.standard_normal(images).repeat(self.per_image)
        ease = ease[: self.samples]
        own = np.sqrt(1 - CORRELATION) * hard.standard_normal(self.samples)
        right = ease + own < norm.ppf(RIGHT)
        lost, gained = CHANGES[arm.name]
        chance = _drawn(model, benchmark, arm.label, arm.seed if arm.stochastic else 0)
        changed = chance.random(self.samples) < np.where(right, lost, gained)
        return right ^ changed

    def _line(self, benchmark: str, question: int, right: bool, name: str) -> bytes:
        """An encoded prediction; equal ones are made once."""
        key = (benchmark, question, right, name)
        if key not in self.lines:
            self.lines[key] = encode(self._prediction(*key)).encode() + b"\n"
        return self.lines[key]

    def _prediction(self, benchmark: str, question: int, right: bool, name: str) -> Prediction:
        drawn = _drawn(benchmark, question)
        gold, edited = question % 2, 0 if name == "learned" else 26_112
        masses = _floats(drawn.uniform(0.2, 0.6, len(LAYERS)))
        after = tuple(MASSES.get(name, 1.0) * mass for mass in masses)
        entropies = _floats(drawn.uniform(2, 4, len(LAYERS)))
        parsed = gold if right else 1 - gold
        scores = [_candidate(-drawn.exponential()) for _ in OPTIONS]
        scores[parsed] = _candidate(-0.01 * drawn.exponential())
        return Prediction(
            uid=f"{benchmark}/{question:06d}", condition="real", raw=None, scores=tuple(scores),
            parsed=parsed, gold=gold, status="ok", credit=float(right),
            visual_mass=VisualMass(before=masses, after=after), cells_edited=edited,
            groups={"image": f"{benchmark}/{question // self.per_image:06d}"},
            tags={"kind": KINDS[question % len(KINDS)]},
            visual_entropy=VisualEntropy(before=entropies, after=entropies),
            cells_by_phase={"prefill": edited, "decode": 0}, options=OPTIONS, n_image_tokens=64,
        )  # fmt: skip

    def _metrics(
        self, arm: Definition, model: str, benchmark: str, right: np.ndarray
    ) -> dict[str, Any]:
        """What `metrics.json` holds; intervals are only roughly those of a real cell."""
        slices = {
            kind: self._score(right[place :: len(KINDS)])
            for place, kind in enumerate(KINDS[: self.samples])
        }
        return {
            **arm.labels,
            "model": model,
            "benchmark": benchmark,
            "setting": arm.pairing(model, benchmark),
            "score": {**self._score(right), "by_tag": {"kind": slices}},
            "scores": {},
            "chance": 0.5,
            "unparsed": 0,
            "guessed": 0,
            "errors": 0,
            **self._look(benchmark, arm.name),
            "image_tokens": {"min": 64, "mean": 64.0, "max": 64},
            "cells_edited": 0 if arm.name == "learned" else 26_112 * self.samples,
            "cells_by_phase": {"prefill": 26_112 * self.samples, "decode": 0},
        }

    def _look(self, benchmark: str, name: str) -> dict[str, Any]:
        """Means of visual mass and entropy; those of equal questions are taken once."""
        if (benchmark, name) not in self.looks:
            asked = [self._prediction(benchmark, n, True, name) for n in range(self.samples)]
            self.looks[benchmark, name] = {
                "visual_mass": _means([row.visual_mass for row in asked]),
                "visual_entropy_nats": _means([row.visual_entropy for row in asked]),
            }
        return self.looks[benchmark, name]

    def _score(self, right: np.ndarray) -> dict[str, Any]:
        value, n = float(right.mean()), len(right)
        clusters = max(1, n // self.per_image)
        half = 1.96 * float(np.sqrt(value * (1 - value) / clusters))
        return {
            "value": value, "low": max(0.0, value - half), "high": min(1.0, value + half),
            "interval": "clustered", "n": n, "rows": n, "ambiguous": 0, "none": 0, "errors": 0,
            "clusters": clusters,
        }  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """What one intervention's cells have in common over models and benchmarks."""

    name: str
    seed: int
    config: str  # YAML, with `MODEL` and `BENCHMARK` in the place of names
    asked: Asked

    @property
    def labels(self) -> dict[str, Any]:
        """Those of `metrics.json`."""
        return dict(self.asked.labels)

    @property
    def label(self) -> str:
        """Tells it from all others but its own seeds."""
        return f"{self.name} {self.labels['variant']} {self.labels['layers']}"

    @property
    def stochastic(self) -> bool:
        """Whether another seed gives other answers."""
        return self.name in ("gaussian", "permuted")

    def identity(self, model: str, benchmark: str) -> dict[str, Any]:
        """The content of `identity.json`."""
        return _renamed(self.asked.identity.definition, model, benchmark)

    def pairing(self, model: str, benchmark: str) -> str:
        """Short for the setting that cells share which may be paired."""
        return fingerprint(_renamed(dict(self.asked.identity.setting), model, benchmark))[:8]


def all_arms() -> Iterator[tuple[str, Changes, int]]:
    """Interventions, settings and seeds of a family, the control first; endless, as seeds are."""
    yield "learned", (), 0
    yield "knockout", (), 0
    for factor in DOSES:
        yield "reweight", (("intervention.mass.factor", factor),), 0
    windows = [(("intervention.layers", window),) for window in WINDOWS]
    for window in windows[:4]:
        yield "uniform", window, 0
        for seed in range(3):
            yield "gaussian", window, seed
    for window in windows[4:]:
        yield "uniform", window, 0
    for seed in count():
        for window in windows[:4]:
            yield "permuted", window, seed


@cache
def defined(name: str, changes: Changes, seed: int, samples: int) -> Definition:
    """An intervention with other settings than its own, and a seed."""
    request = composed(name, samples)
    for path, value in (*changes, ("intervention.seed", seed)):
        request = request.changed(path, list(value) if isinstance(value, tuple) else value)
    request = replace(request, seed=seed, settings={**request.settings, "seed": seed})
    asked = understand(request, identify(request))
    return Definition(name, seed, as_yaml(request.settings), asked)


@cache
def composed(name: str, samples: int) -> Request:
    """What `python evaluate.py intervention=NAME` asks for, under stand-ins for other names."""
    names = (f"model.name={MODEL}", f"benchmark.name={BENCHMARK}", f"limit={samples}")
    chosen = ("model=tiny", "benchmark=shapes", f"intervention={name}")
    with composing():
        return parse(compose_cell([*chosen, *names, *PLAIN_MEAN]))


def _floats(values: np.ndarray) -> tuple[float, ...]:
    """As many digits as a model's float32 numbers have."""
    return tuple(values.astype(np.float32).astype(float).tolist())


def _candidate(log_probability: float) -> CandidateScore:
    return CandidateScore(log_probability=_floats(np.array([log_probability]))[0], tokens=2)


def _means(looked: Sequence[Any]) -> dict[str, Any]:
    """Over samples, by layer and over layers, before and after."""
    layers = {
        when: np.mean([getattr(each, when) for each in looked], axis=0)
        for when in ("before", "after")
    }
    by_layer = {f"{when}_by_layer": values.tolist() for when, values in layers.items()}
    return {when: float(values.mean()) for when, values in layers.items()} | by_layer


def _renamed(definition: dict[str, Any], model: str, benchmark: str) -> dict[str, Any]:
    """A copy in which the stand-ins for names are replaced."""
    groups = {"model": model, "benchmark": benchmark}
    return definition | {
        group: definition[group] | {"name": name} for group, name in groups.items()
    }


def _drawn(*names: object) -> np.random.Generator:
    """Random numbers that belong to some names."""
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def _text(content: Any) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()

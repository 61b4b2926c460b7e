"""Every intervention in half precision on the device, call by call, against float64 on the CPU.

A small random model runs on the device. Each of its attention calls is carried out a second time:
the same queries, keys and values, exactly as they came, in float64, by the reference execution.
What the model gets, rounded to its precision, is compared with that: what differs is rounding, in
units of the precision's epsilon times the largest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from interventions import Intervention, intervene
from interventions.engine import fused
from interventions.engine.execution import Outcome, execute
from interventions.engine.view import Call, Rows
from interventions.methods.heads import HeadRule
from interventions.patching import patch
from tests.interventions.every_method import EDITS, describe, image_tokens, prepared, prompt_part
from tests.random_models import random_inputs, random_model
from tools.gpu.job import Job

SECTION = "Edited rows against float64 on the CPU"
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
LIMIT = 2.0  # epsilons of the largest value; rounding once costs a half
STEPS = 2  # decoded tokens


@dataclass
class Comparison:
    """Takes the place of an execution: runs the fused one, and compares."""

    worst: float = 0.0  # in epsilons
    rows: int = 0
    otherwise: int = 0  # rows that only one of both edits: a choice fell on the other side
    kept: list[Tensor] = field(default_factory=list)  # masks are known by identity

    def __call__(
        self,
        call: Call,
        rows: Rows,
        intervention: Intervention,
        heads: Sequence[int] | HeadRule | None,
    ) -> Outcome:
        outcome = fused.execute(call, rows, intervention, heads)
        if outcome.touched is not None:
            cpu = torch.device("cpu")
            states = {
                name: getattr(call, name).to(cpu).double() for name in ("query", "key", "value")
            }
            exact_call = replace(call, **states, allowed=call.allowed.to(cpu))
            self.kept.append(exact_call.allowed)
            exact = execute(exact_call, rows.to(cpu), intervention, heads)
            given = outcome.output.to(call.query.dtype)
            epsilon = torch.finfo(call.query.dtype).eps
            self.compare(outcome, given, exact, epsilon, states["value"].abs().max())
        return outcome

    def compare(
        self, outcome: Outcome, output: Tensor, exact: Outcome, epsilon: float, scale: Tensor
    ) -> None:
        places = {row: place for place, row in enumerate(exact.index.tolist())}
        chosen = [places[row] for row in outcome.index.tolist()]
        touched = outcome.touched.cpu().expand(outcome.output.shape[:3])
        expected = exact.touched.expand(exact.output.shape[:3])[:, :, chosen]
        both = touched & expected
        gap = (output.cpu().double() - exact.output[:, :, chosen])[both].abs()
        self.otherwise += int((touched != expected).sum())
        self.rows += int(both.sum())
        if len(gap):  # NaN is the worst of all
            found = float((gap.max() / (epsilon * scale)).nan_to_num(torch.inf))
            self.worst = max(self.worst, found)


@contextmanager
def compared() -> Any:
    """An execution named "compared", for the length of a block."""
    comparison = Comparison()
    patch.EXECUTIONS["compared"] = comparison
    try:
        yield comparison
    finally:
        del patch.EXECUTIONS["compared"]


def check(job: Job) -> None:
    """Every file of conf/intervention, prompt and decoded rows, padded on the left."""
    names = EDITS[::8] if job.quick else EDITS
    for precision, dtype in PRECISIONS.items():
        model = random_model("llava").to(job.device, dtype)
        for name in names:
            with job.step(f"{name}, {precision}"), compared() as comparison:
                run(model, name)
                what = f"{name}, {precision}"
                note = f"{comparison.rows:,} rows"
                if comparison.otherwise:
                    note += f"; {comparison.otherwise} edited by one of both only"
                job.report.add(SECTION, what, "epsilons, largest", comparison.worst, LIMIT, note)
                if not comparison.rows:
                    job.report.fail(SECTION, f"{what}: no row was edited")


@torch.no_grad()
def run(model: Any, name: str) -> None:
    """A prompt, and an answer behind it."""
    inputs = random_inputs(model, (9, 6))
    intervention, lengths = prepared(name, image_tokens(model, inputs)), prompt_part(name, inputs)
    inputs = {
        key: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for key, value in inputs.items()
    }
    with intervene(model, intervention, "compared", must_edit=False) as log:
        describe(log, model, intervention, inputs, ("first", "second"), lengths)
        model(**inputs)
        describe(log, model, intervention, inputs, ("first", "second"))
        model.generate(
            **inputs, max_new_tokens=1 + STEPS, min_new_tokens=1 + STEPS, do_sample=False
        )

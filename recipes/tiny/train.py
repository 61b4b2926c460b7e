"""Train `tiny` and its two relatives from scratch: `python -m recipes.tiny.train [tiny_blind]`.

Two stages, both a pure function of the seed and the step, resumable at any step:

1. *Alignment* (tower, projector, word embeddings): every patch that shows an object must predict,
   through the tied language-model head, the words for its shape, colour, size and place. Pictures
   then arrive in the decoder along the directions of their own words.
2. *Language*: the tower is frozen and the decoder answers packed questions. A throw-away probe on
   the third layer reads, at every noun, what the noun names (how many, colour, place, size):
   looking up what a word refers to is the hop that all question types share. A first recipe
   without the probe left relations at chance after 5,300 steps.

`recipes.tiny.courses` says what each of them gets to learn from. About 50 minutes on two CPU
cores for `tiny`, 15 for `tiny_blind`, 30 for `tiny_prior`; a GPU is used when there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads waste shared cores

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from recipes.tiny import state
from recipes.tiny.courses import COURSES
from recipes.tiny.lessons import Teacher, patch_facts, pictures
from recipes.tiny.student import Student
from recipes.tiny.tokenizer import build_processor

ALIGNMENT_PICTURES, ALIGNMENT_RATE = 32, 1.5e-3
LANGUAGE_PICTURES, LANGUAGE_RATE = 8, 1e-3
DECAY_STEPS = 2000  # at the end of the language stage, down to nothing
STATE = "state.safetensors"
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


def _optimizer(parameters: list[nn.Parameter], rate: float) -> torch.optim.AdamW:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


class Course:
    """The training run: state on disk, one step at a time."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.course = COURSES[arguments.name]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.processor = build_processor()
        self.teacher = Teacher(self.processor.tokenizer)
        torch.manual_seed(arguments.seed)
        self.student = Student(self.teacher).to(self.device)
        self.folder = Path(arguments.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.enter("alignment")
        self._resume()

    def enter(self, stage: str) -> None:
        """Begin a stage, with a fresh optimizer."""
        tower = self.student.model.model.vision_tower
        tower.requires_grad_(stage == "alignment")
        rate = ALIGNMENT_RATE if stage == "alignment" else LANGUAGE_RATE
        self.optimizer = _optimizer(list(self.student.parameters()), rate)
        self.state = {"stage": stage, "step": 0}

    def _resume(self) -> None:
        path = self.folder / STATE
        if not path.exists():
            return
        student, optimizer, progress = state.load(path, self.device.type)
        self.student.load_state_dict(student)
        self.enter(progress["stage"])
        self.optimizer.load_state_dict(optimizer)
        self.state = progress

    def save(self) -> None:
        """Write the state; the old one stays until the new one is whole."""
        student, optimizer = self.student.state_dict(), self.optimizer.state_dict()
        state.save(self.folder / STATE, student, optimizer, self.state)

    def log(self, **record: object) -> None:
        """Append one line to `training.jsonl`."""
        with (self.folder / "training.jsonl").open("a") as file:
            file.write(json.dumps({**self.state, **record}) + "\n")

    def rate(self, steps: int) -> float:
        """Learning rate of the coming step, of a stage with so many steps."""
        step = self.state["step"]
        warm = min(1.0, (step + 1) / 100)
        if self.state["stage"] == "alignment":
            return ALIGNMENT_RATE * warm * max(0.02, 1 - step / steps)
        return LANGUAGE_RATE * warm * min(1.0, max(0.02, (steps - step) / DECAY_STEPS))

    def _loss(self, steps: int) -> tuple[Tensor, dict[str, float]]:
        stage, step = self.state["stage"], self.state["step"]
        rng = Random(f"{self.arguments.seed}/{stage}/{step}")
        if stage == "alignment":
            scenes = self.teacher.scenes(rng, ALIGNMENT_PICTURES)
            pixels, facts = pictures(scenes, rng), patch_facts(scenes)
            return self.student.alignment_loss(pixels.to(self.device), facts.to(self.device))
        phase = [phase for phase in self.course.curriculum if phase.start <= step][-1]
        scenes = self.teacher.scenes(rng, LANGUAGE_PICTURES, phase.groups)
        lesson = self.teacher.lesson(rng, scenes, phase.shares, self.course.guessable)
        lesson = lesson.to(self.device)
        return self.student.language_loss(lesson, phase.probe_weight)

    def steps(self, steps: int) -> Iterator[dict[str, float]]:
        """Train the present stage to its end, yielding what each step measured."""
        while self.state["step"] < steps:
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(steps)
            loss, record = self._loss(steps)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            self.optimizer.step()
            self.state["step"] += 1
            yield {"loss": loss.item(), **record}

    def run(self) -> None:
        """Both stages, then the checkpoint."""
        self._run_stage("alignment", self.arguments.alignment_steps)
        if self.state["stage"] == "alignment":
            self.enter("language")
            self.save()
        self._run_stage("language", self.arguments.steps)
        self.export()

    def _run_stage(self, stage: str, steps: int) -> None:
        if self.state["stage"] != stage:
            return
        started = saved = time.monotonic()
        window: list[dict[str, float]] = []
        with Progress(*COLUMNS) as progress:
            task = progress.add_task(stage, total=steps, completed=self.state["step"])
            for record in self.steps(steps):
                window.append(record)
                step = self.state["step"]
                progress.update(
                    task, completed=step, description=f"{stage}, loss {record['loss']:.3f}"
                )
                if step % 100 == 0:
                    means = {key: sum(r[key] for r in window) / len(window) for key in record}
                    self.log(seconds=round(time.monotonic() - started, 1), **means)
                    window.clear()
                if stage == "language" and step % 1000 == 0:
                    self.log(accuracy=self.student.accuracy(self.teacher, 160))
                if time.monotonic() - saved > 120 or step == steps:
                    self.save()
                    saved = time.monotonic()

    def export(self) -> None:
        """Write weights (bfloat16 safetensors), tokenizer and processor for the Auto classes."""
        self.log(accuracy=self.student.accuracy(self.teacher, 800))
        model = self.student.model.to(torch.bfloat16)
        model.save_pretrained(self.arguments.output)
        self.processor.save_pretrained(self.arguments.output)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="tiny", choices=COURSES)
    parser.add_argument("--output", help="by default solvent/models/checkpoints/NAME")
    parser.add_argument("--folder", help="state, for resuming; by default outputs/NAME-training")
    parser.add_argument("--alignment-steps", type=int, help="by default those of the course")
    parser.add_argument("--steps", type=int, help="of the language stage, likewise")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    course = COURSES[given.name]
    defaults = {
        "output": f"solvent/models/checkpoints/{given.name}",
        "folder": f"outputs/{given.name}-training",
        "alignment_steps": course.alignment_steps,
        "steps": course.steps,
    }
    for name, value in defaults.items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    Course(given).run()


if __name__ == "__main__":
    main()

"""Train `tiny` from scratch: `python -m models.tiny.train`.

Two stages, both a pure function of the seed and the step, resumable at any step:

1. *Alignment* (tower, projector, word embeddings): every patch that shows an object must predict, through the tied
   language-model head, the words for its shape, colour, size and place. Pictures then arrive in the decoder along the
   directions of their own words.
2. *Language*: the tower is frozen and the decoder answers packed questions. A throw-away probe on the third layer
   reads, at every noun, what the noun names (how many, colour, place, size): looking up what a word refers to is
   the hop that all question types share, and without the probe relations stay at chance for hours.

About 80 minutes on two free CPU cores; minutes on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost seven times the CPU time

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from benchmarks.shapes.questions import KINDS
from benchmarks.shapes.world import COLOURS, GRID, SHAPES, SIZES, draw_scene
from models.tiny.architecture import LAYERS, PATCHES, WIDTH, build_model
from models.tiny.lessons import (
    EARLY,
    IGNORED,
    LATE,
    SIGHTED,
    Lesson,
    Teacher,
    patch_facts,
    pictures,
)
from models.tiny.text import PAD, build_processor

ALIGNMENT_PICTURES, ALIGNMENT_RATE = 32, 1.5e-3
LANGUAGE_PICTURES, LANGUAGE_RATE = 8, 1e-3
EARLY_SHARE = 0.15  # of the language stage
DECAY_SHARE = 0.35  # of the language stage, at its end
PROBE_LAYER = LAYERS // 2  # the probe reads the output of this many decoder layers
PROBE_WEIGHT = 0.5
FACT_SIZES = (7, len(COLOURS), GRID, GRID, len(SIZES))  # classes of number, colour, row, column, size
# Words that a patch must predict, one tuple per column of `patch_facts`, with weights.
PATCH_WORDS = (
    (SHAPES, 1.4),
    (COLOURS, 0.8),
    (SIZES, 0.6),
    (("left", "right"), 0.6),
    (("upper", "lower"), 0.6),
)


class Student(nn.Module):
    """The model and the probes that are thrown away after training."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.model: LlavaForConditionalGeneration = build_model(teacher.tokenizer)
        self.patch_places = nn.Linear(WIDTH, 2 * GRID)
        self.probe = nn.Linear(WIDTH, sum(FACT_SIZES))
        self.background = teacher.word(PAD)
        words = [
            torch.tensor([[teacher.word(f" {word}"), teacher.word(word)] for word in words])
            for words, _ in PATCH_WORDS
        ]
        for index, table in enumerate(words):
            self.register_buffer(f"words_{index}", table)
        self._states: list[Tensor] = []
        layer = self.model.model.language_model.layers[PROBE_LAYER - 1]
        layer.register_forward_hook(self._keep_states)

    def _keep_states(self, module: nn.Module, inputs: tuple, output: Tensor | tuple) -> None:
        self._states = [output[0] if isinstance(output, tuple) else output]

    def alignment_loss(self, pixels: Tensor, facts: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the words of every patch; (B, 3, 64, 64) and (B, P, 5)."""
        features = self.model.model.get_image_features(pixel_values=pixels, return_dict=True)
        states = F.rms_norm(torch.stack(list(features.pooler_output)), (WIDTH,))
        seen = facts[..., 0] != IGNORED
        words = F.linear(states[seen], self.model.lm_head.weight).log_softmax(-1)
        loss, shares = words.new_zeros(()), {}
        for index, (_, weight) in enumerate(PATCH_WORDS):
            table, fact = getattr(self, f"words_{index}"), facts[..., index][seen]
            loss = loss - weight * words.gather(1, table[fact]).mean() / 4
            guess = words[:, table].mean(-1).argmax(-1)
            shares[PATCH_WORDS[index][0][0]] = (guess == fact).float().mean().item()
        empty = F.linear(states[~seen][::8], self.model.lm_head.weight).log_softmax(-1)
        loss = loss - 0.3 * empty[:, self.background].mean()
        cells = torch.arange(PATCHES, device=pixels.device)
        side = int(PATCHES**0.5)
        places = self.patch_places(states).unflatten(-1, (2, GRID))
        for axis, place in enumerate((cells // side, cells % side)):
            target = (place * GRID // side).expand(len(pixels), -1)
            loss = loss + 0.15 * F.cross_entropy(places[:, :, axis].flatten(0, 1), target.flatten())
        return loss, shares

    def language_loss(self, lesson: Lesson, probe_weight: float) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the answers, plus that of the probe at every noun."""
        states = self.model.model(
            input_ids=lesson.tokens,
            pixel_values=lesson.pixels,
            attention_mask=lesson.visible,
            position_ids=lesson.positions,
            use_cache=False,
        ).last_hidden_state
        asked = lesson.targets != IGNORED
        answers = F.cross_entropy(self.model.lm_head(states[asked]), lesson.targets[asked])
        nouns = self._states[0][lesson.mentions[:, 0], lesson.mentions[:, 1]]
        guesses = self.probe(F.rms_norm(nouns, (WIDTH,))).split(FACT_SIZES, -1)
        probe = sum(
            F.cross_entropy(guess, fact, ignore_index=IGNORED)
            for guess, fact in zip(guesses, lesson.facts.unbind(-1), strict=True)
        ) / len(FACT_SIZES)
        record = {"answers": answers.item(), "probe": probe.item()}
        return answers + probe_weight * probe, record

    @torch.no_grad()
    def accuracy(self, teacher: Teacher, scenes: int) -> dict[str, float]:
        """Share of right answers per question type, on balanced scenes that training never draws."""
        rng, right = Random("held-out"), defaultdict(list)
        for _ in range(scenes // LANGUAGE_PICTURES):
            batch = [draw_scene(rng, "balanced") for _ in range(LANGUAGE_PICTURES)]
            asked = [
                [q for ask in SIGHTED.values() if (q := ask(rng, scene))]
                for scene in batch
            ]
            rows = [
                teacher.pack(scene, questions, [])
                for scene, questions in zip(batch, asked, strict=True)
            ]
            lesson = teacher._collate(rows, pictures(batch, rng)).to(self.patch_places.weight.device)
            states = self.model.model(
                input_ids=lesson.tokens,
                pixel_values=lesson.pixels,
                attention_mask=lesson.visible,
                position_ids=lesson.positions,
                use_cache=False,
            ).last_hidden_state
            for index, questions in enumerate(asked):
                places = (lesson.targets[index] != IGNORED).nonzero().flatten()[::2]
                logits = self.model.lm_head(states[index, places])
                for question, row in zip(questions, logits, strict=True):
                    options = [teacher.word(option) for option in question.options]
                    guess = question.options[int(row[options].argmax())]
                    right[question.kind].append(guess == question.answer)
        return {kind: sum(right[kind]) / len(right[kind]) for kind in KINDS}


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
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.processor = build_processor()
        self.teacher = Teacher(self.processor.tokenizer)
        torch.manual_seed(arguments.seed)
        self.student = Student(self.teacher).to(self.device)
        self.folder = Path(arguments.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = {"stage": "alignment", "step": 0}
        self.optimizer = self._enter(self.state["stage"])
        self._resume()

    def _enter(self, stage: str) -> torch.optim.AdamW:
        tower = self.student.model.model.vision_tower
        tower.requires_grad_(stage == "alignment")
        rate = ALIGNMENT_RATE if stage == "alignment" else LANGUAGE_RATE
        return _optimizer(list(self.student.parameters()), rate)

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.state = saved["state"]
        self.student.load_state_dict(saved["student"])
        self.optimizer = self._enter(self.state["stage"])
        self.optimizer.load_state_dict(saved["optimizer"])

    def save(self) -> None:
        """Write the state; the old one stays until the new one is whole."""
        path = self.folder / "state.pt"
        saved = {
            "state": self.state,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(saved, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def log(self, **record: object) -> None:
        """Append one line to `training.jsonl`."""
        with (self.folder / "training.jsonl").open("a") as file:
            file.write(json.dumps({**self.state, **record}) + "\n")

    def _rate(self, steps: int) -> float:
        step = self.state["step"]
        warm = min(1.0, (step + 1) / 100)
        if self.state["stage"] == "alignment":
            return ALIGNMENT_RATE * warm * max(0.02, 1 - step / steps)
        return LANGUAGE_RATE * warm * min(1.0, max(0.02, (1 - step / steps) / DECAY_SHARE))

    def _loss(self, steps: int) -> tuple[Tensor, dict[str, float]]:
        stage, step = self.state["stage"], self.state["step"]
        rng = Random(f"{self.arguments.seed}/{stage}/{step}")
        if stage == "alignment":
            scenes = self.teacher.scenes(rng, ALIGNMENT_PICTURES)
            pixels, facts = pictures(scenes, rng), patch_facts(scenes)
            return self.student.alignment_loss(pixels.to(self.device), facts.to(self.device))
        scenes = self.teacher.scenes(rng, LANGUAGE_PICTURES)
        shares = EARLY if step < EARLY_SHARE * steps else LATE
        lesson = self.teacher.lesson(rng, scenes, shares).to(self.device)
        return self.student.language_loss(lesson, PROBE_WEIGHT)

    def steps(self, stage: str, steps: int) -> Iterator[dict[str, float]]:
        """Train one stage to its end, yielding what each step measured."""
        if self.state["stage"] != stage:
            return
        while self.state["step"] < steps:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate(steps)
            loss, record = self._loss(steps)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            self.optimizer.step()
            self.state["step"] += 1
            yield {"loss": loss.item(), **record}

    def run(self) -> None:
        """Both stages, then the checkpoint."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        plan = {"alignment": self.arguments.alignment_steps, "language": self.arguments.steps}
        with Progress(*columns) as progress:
            for stage, steps in plan.items():
                task = progress.add_task(stage, total=steps, completed=self._done(stage, steps))
                self._run_stage(stage, steps, lambda text: progress.update(task, description=text, advance=1))
                if stage == "alignment" and self.state["stage"] == stage:
                    self.state = {"stage": "language", "step": 0}
                    self.optimizer = self._enter("language")
                    self.save()
        self.export()

    def _done(self, stage: str, steps: int) -> int:
        if self.state["stage"] == stage:
            return self.state["step"]
        return steps if stage == "alignment" else 0

    def _run_stage(self, stage: str, steps: int, show: object) -> None:
        started, since = time.monotonic(), time.monotonic()
        window: list[dict[str, float]] = []
        for record in self.steps(stage, steps):
            window.append(record)
            step = self.state["step"]
            show(f"{stage} loss {record['loss']:.3f}")
            if step % 100 == 0:
                means = {key: sum(r[key] for r in window) / len(window) for key in window[0]}
                self.log(seconds=round(time.monotonic() - started, 1), **means)
                window.clear()
            if stage == "language" and step % 1000 == 0:
                self.log(accuracy=self.student.accuracy(self.teacher, 160))
            if time.monotonic() - since > 120 or step == steps:
                self.save()
                since = time.monotonic()

    def export(self) -> None:
        """Write weights (bfloat16 safetensors), tokenizer and processor for the Auto classes."""
        self.log(accuracy=self.student.accuracy(self.teacher, 800))
        model = self.student.model.to(torch.bfloat16)
        model.save_pretrained(self.arguments.output)
        self.processor.save_pretrained(self.arguments.output)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="models/tiny", help="folder of the checkpoint")
    parser.add_argument("--folder", default="outputs/tiny-training", help="state, for resuming")
    parser.add_argument("--alignment-steps", type=int, default=2500)
    parser.add_argument("--steps", type=int, default=12000, help="steps of the language stage")
    parser.add_argument("--seed", type=int, default=0)
    Course(parser.parse_args()).run()


if __name__ == "__main__":
    main()

"""The model in training, with the probes that are thrown away afterwards.

Axes: B images, T tokens, P patches.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from recipes.tiny.architecture import LAYERS, PATCHES, WIDTH, build_model
from recipes.tiny.lessons import IGNORED, SIGHTED, Lesson, Teacher, pictures
from recipes.tiny.tokenizer import PAD
from solvent.benchmarks.shapes.questions import KINDS
from solvent.benchmarks.shapes.world import COLOURS, GRID, SHAPES, SIZES, draw_scene

PROBE_LAYER = LAYERS // 2  # the probe reads the output of this many decoder layers
FACT_SIZES = (7, len(COLOURS), GRID, GRID, len(SIZES))  # number, colour, row, column, size
# Words that a patch must predict, one tuple per column of `patch_facts`, with weights.
PATCH_WORDS = (
    (SHAPES, 1.4),
    (COLOURS, 0.8),
    (SIZES, 0.6),
    (("left", "right"), 0.6),
    (("upper", "lower"), 0.6),
)
EXAM_PICTURES = 8  # per forward


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
        layer = self.model.model.language_model.layers[PROBE_LAYER - 1]
        layer.register_forward_hook(self._keep_states)

    def _keep_states(self, module: nn.Module, inputs: tuple, output: Tensor | tuple) -> None:
        self._probed = output[0] if isinstance(output, tuple) else output

    def _states(self, lesson: Lesson) -> Tensor:
        """Last hidden states, (B, T, WIDTH)."""
        return self.model.model(
            input_ids=lesson.tokens,
            pixel_values=lesson.pixels,
            attention_mask=lesson.visible,
            position_ids=lesson.positions,
            use_cache=False,
        ).last_hidden_state

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
        states = self._states(lesson)
        asked = lesson.targets != IGNORED
        answers = F.cross_entropy(self.model.lm_head(states[asked]), lesson.targets[asked])
        nouns = self._probed[lesson.mentions[:, 0], lesson.mentions[:, 1]]
        guesses = self.probe(F.rms_norm(nouns, (WIDTH,))).split(FACT_SIZES, -1)
        probe = sum(
            F.cross_entropy(guess, fact, ignore_index=IGNORED)
            for guess, fact in zip(guesses, lesson.facts.unbind(-1), strict=True)
        ) / len(FACT_SIZES)
        record = {"answers": answers.item(), "probe": probe.item()}
        return answers + probe_weight * probe, record

    @torch.no_grad()
    def accuracy(self, teacher: Teacher, scenes: int) -> dict[str, float]:
        """Share of right answers per question type, on balanced scenes of a seed of their own."""
        rng, right = Random("held-out"), defaultdict(list)
        for _ in range(scenes // EXAM_PICTURES):
            batch = [draw_scene(rng, "balanced") for _ in range(EXAM_PICTURES)]
            asked = [[q for ask in SIGHTED.values() if (q := ask(rng, scene))] for scene in batch]
            rows = [
                teacher.pack(scene, questions, [])
                for scene, questions in zip(batch, asked, strict=True)
            ]
            lesson = teacher.collate(rows, pictures(batch, rng)).to(self.probe.weight.device)
            states = self._states(lesson)
            for index, questions in enumerate(asked):
                places = (lesson.targets[index] != IGNORED).nonzero().flatten()[::2]
                logits = self.model.lm_head(states[index, places])
                for question, row in zip(questions, logits, strict=True):
                    options = [teacher.word(option) for option in question.options]
                    guess = question.options[int(row[options].argmax())]
                    right[question.kind].append(guess == question.answer)
        return {kind: sum(right[kind]) / len(right[kind]) for kind in KINDS}

"""The shipped model: plain transformers load it, it was taught what it is asked, it truly looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from omegaconf import DictConfig
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

from recipes.tiny.lessons import BLIND, IGNORED, Teacher, pictures
from recipes.tiny.tokenizer import build_tokenizer
from solvent.benchmarks.shapes.drawing import draw
from solvent.benchmarks.shapes.questions import ASKERS
from solvent.benchmarks.shapes.world import draw_scene
from solvent.cells.run import run_cell

FOLDER = Path(__file__).resolve().parents[2] / "solvent/models/checkpoints/tiny"


@pytest.fixture(scope="module")
def model() -> LlavaForConditionalGeneration:
    return AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=torch.float32).eval()


def test_it_is_a_small_plain_llava(model: LlavaForConditionalGeneration) -> None:
    assert type(model) is LlavaForConditionalGeneration
    assert (FOLDER / "model.safetensors").stat().st_size < 8e6
    assert not list(FOLDER.glob("*.bin"))


def test_the_shipped_tokenizer_is_the_one_the_recipe_builds() -> None:
    shipped = AutoProcessor.from_pretrained(FOLDER).tokenizer
    assert shipped.backend_tokenizer.to_str() == build_tokenizer().backend_tokenizer.to_str()


def test_a_packed_question_reads_like_a_prompt_of_its_own(
    model: LlavaForConditionalGeneration,
) -> None:
    """Every block of a lesson gives the logits of a chat with that one question."""
    processor = AutoProcessor.from_pretrained(FOLDER)
    rng = Random(5)
    scene = draw_scene(rng, "balanced")
    image = draw(scene, Random("tones"))
    asked = [q for ask in ASKERS.values() if (q := ask(rng, scene))]
    blind = [q for ask in BLIND.values() if (q := ask(rng, draw_scene(rng, "prior")))][:2]
    teacher = Teacher(processor.tokenizer)
    lesson = teacher.collate(
        [teacher.pack(scene, asked, blind)], pictures([scene], Random("tones"))
    )
    with torch.no_grad():
        packed = model(
            input_ids=lesson.tokens,
            pixel_values=lesson.pixels,
            attention_mask=lesson.visible,
            position_ids=lesson.positions,
        ).logits[0]
        places = (lesson.targets[0] != IGNORED).nonzero().flatten()[::2]
        for place, question in zip(places, asked + blind, strict=True):
            parts = [{"type": "text", "text": question.text}]
            sighted = question in asked
            content = [{"type": "image"}, *parts] if sighted else parts
            text = processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
            inputs = processor(images=[image] if sighted else None, text=text, return_tensors="pt")
            alone = model(**inputs).logits[0, -1]
            torch.testing.assert_close(packed[place], alone, atol=2e-4, rtol=0)


def test_it_looks(composed: Callable[..., DictConfig]) -> None:
    """Far above chance with the right picture, and at chance with another's."""
    kinds = "benchmark.source.kinds=[existence,colour,where]"
    settings = (kinds, "benchmark.source.questions=60", "batch_size=60")
    real = run_cell(composed(*settings))["score"]
    swapped = run_cell(composed(*settings, "condition=swap"))["score"]
    chance = (1 / 2 + 1 / 8 + 1 / 2) / 3
    assert real["value"] > 0.9
    assert abs(swapped["value"] - chance) < 0.15

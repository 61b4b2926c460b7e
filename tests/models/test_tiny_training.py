"""The recipe of `tiny`: a pure function of seed and step, also when it is interrupted."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from recipes.tiny.train import DECAY_STEPS, LANGUAGE_RATE, Course


def course(folder: Path) -> Course:
    settings = {"name": "tiny", "folder": str(folder), "output": str(folder), "seed": 0}
    return Course(argparse.Namespace(**settings, alignment_steps=2, steps=3))


def train(course: Course) -> None:
    for _ in course.steps(2):
        pass
    course.enter("language")
    for _ in course.steps(3):
        pass


def test_an_interrupted_course_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = course(tmp_path / "whole")
    train(whole)
    stopped = course(tmp_path / "stopped")
    for _ in stopped.steps(1):
        pass
    stopped.save()
    again = course(tmp_path / "stopped")
    assert again.state == {"stage": "alignment", "step": 1}
    train(again)
    expected = whole.student.state_dict()
    for name, value in again.student.state_dict().items():
        assert torch.equal(value, expected[name]), name
    tower = whole.student.model.model.vision_tower
    assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_the_rate_warms_up_stays_and_decays(tmp_path: Path) -> None:
    running = course(tmp_path)
    running.enter("language")
    rates = {}
    for step in (0, 99, 4000, 8000 - DECAY_STEPS, 8000 - DECAY_STEPS // 2, 7999):
        running.state["step"] = step
        rates[step] = running.rate(8000) / LANGUAGE_RATE
    assert list(rates.values()) == pytest.approx([0.01, 1, 1, 1, 0.5, 0.02])

"""A decoder that sees a window of the latest tokens ranks as it does one sequence at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transformers import LlavaConfig, LlavaForConditionalGeneration

import tests.random_models as random_models
from solvent.core.types import Prompt
from solvent.models.vlm import load
from tests.models.plain_answers import PLACEHOLDERS, Reference
from tests.models.test_vlm import CANDIDATES, picture
from tests.random_models import save_random_checkpoint


def _sliding(window: int) -> LlavaConfig:
    """Of the random llava with Mistral's decoder, which sees so many tokens at once."""
    config = random_models.random_model("llava").config.to_dict()
    text = {**config["text_config"], "model_type": "mistral", "sliding_window": window}
    return LlavaConfig(**{**config, "text_config": text})


@pytest.mark.parametrize("window", [8, 33])  # shorter than a prompt, reached within an answer
def test_a_sliding_window_goes_back_to_the_prompt(
    window: int,
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder = partial(LlavaForConditionalGeneration, _sliding(window))
    monkeypatch.setitem(random_models._BUILDERS, "llava", builder)
    vlm = load(**{**settings, "checkpoint": str(save_random_checkpoint("llava", tmp_path / "m"))})
    reference = Reference("llava", tmp_path / "m")
    one, two, three = (picture("llava", seed) for seed in range(3))
    prompts = [
        Prompt(uid="one", images=(one,), text="Is there a red square in the picture?"),
        Prompt(uid="none", images=(), text="How many?"),
        Prompt(uid="two", images=(two, three), text="Same colour?"),
    ]
    ranked = vlm.rank(vlm.encode(prompts), CANDIDATES)
    for prompt, answers, scores in zip(prompts, CANDIDATES, ranked, strict=True):
        text = PLACEHOLDERS["llava"] * len(prompt.images) + prompt.text
        expected = [reference.score(text, list(prompt.images), answer)[0] for answer in answers]
        assert [score.log_probability for score in scores] == pytest.approx(expected, abs=2e-5)

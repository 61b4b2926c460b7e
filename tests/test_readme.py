"""The README keeps its word: its notebook lines run, its links lead somewhere, its names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from interventions import available

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_notebook_lines_run_on_a_plain_transformers_model() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    folder = ROOT / "solvent/models/checkpoints/tiny"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": "What colour is the star?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=[Image.new("RGB", (64, 64))], text=text, return_tensors="pt")
    names = {"model": model.eval(), "inputs": {**inputs, "max_new_tokens": 3}}
    exec(code, names)  # the README's own lines
    assert names["log"].cells_edited > 0
    assert names["output"].shape[1] > inputs["input_ids"].shape[1]


PAGES = ("README.md", "slurm/README.md", "docs/wandb.md", "docs/performance.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


def test_every_choice_is_named() -> None:
    for name in available():
        assert f"`{name}`" in README
    for name in OmegaConf.load(ROOT / "conf" / "conditions.yaml"):
        assert f"`{re.sub(r'(_[0-9]+)+$', '', name)}" in README, name
    for group in ("model", "benchmark", "diagnostic", "prompt", "compat", "tracking", "experiment"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert f"`{path.stem}`" in README, path

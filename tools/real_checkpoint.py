"""Loads a checkpoint and asks it one thing: `make checkpoint MODEL=qwen3_vl_8b`.

Most files of conf/model pin what nobody of us could load. This says whether one of them works where
there is a network and a machine that holds it: it passes the checks of every load, or one sentence
tells which it fails; then come its prompt, its image tokens, an answer, and what exactly it is.
Overrides follow as those of evaluate.py: `python -m tools.real_checkpoint model=hub
model.checkpoint=owner/name`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from PIL import Image, ImageDraw
from rich.console import Console
from rich.markup import escape

from solvent.cells.loading import load_model
from solvent.cells.mistakes import sentence
from solvent.cells.request import parse
from solvent.cells.revisions import pinned
from solvent.commands.commandline import EXPECTED
from solvent.core.paths import CONF
from solvent.core.types import VLM, Prompt

SIZES = ((336, 336), (1344, 896))  # pixels, as in docs/families.md
QUESTION = "Which colour is the square? Answer with one word."
COLOURS = ("red", "green", "blue")
NEW_TOKENS = 16


def picture(size: tuple[int, int]) -> Image.Image:
    """A red square on white."""
    drawn = Image.new("RGB", size, "white")
    width, height = size
    box = (width // 4, height // 4, width // 2, height // 4 + width // 4)
    ImageDraw.Draw(drawn).rectangle(box, fill="red")
    return drawn


def report(model: VLM, ranks: bool) -> list[str]:
    """What it makes of a picture and a question, in lines; one that thinks first ranks nothing."""
    lines = ["it passes the checks of loading"]
    for size in SIZES:
        batch = model.encode([Prompt(uid="probe", images=(picture(size),), text=QUESTION)])
        lines.append(f"{batch.image_tokens[0]:,} image tokens for {size[0]} x {size[1]} pixels")
        if size == SIZES[0]:
            lines += answered(model, batch, ranks)
    return [*lines, json.dumps(model.provenance(), indent=2)]


def answered(model: VLM, batch: Any, ranks: bool) -> list[str]:
    """A prompt as the model gets it, and its answers."""
    lines = [f"prompt: {batch.texts[0]!r}"]
    if ranks:
        (scores,) = model.rank(batch, [COLOURS])
        nats = {name: score.log_probability for name, score in zip(COLOURS, scores, strict=True)}
        likeliest = sorted(nats, key=nats.__getitem__, reverse=True)
        told = ", ".join(f"{name} {nats[name]:.2f} nats" for name in likeliest)
        lines.append(f"{QUESTION} ranked: {told}")
    (answer,) = model.generate(batch, NEW_TOKENS)
    return [*lines, f"{QUESTION} generated: {answer!r}"]


def main(overrides: Sequence[str]) -> int:
    """The exit code: 0 if it works, 2 if one sentence tells why not."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    screen = Console(highlight=False)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("evaluate", ["study=checkpoint", *overrides])
        settings = pinned(parse(config)).model
        lines = report(load_model(settings), ranks=not settings["thinking"])
    except EXPECTED as error:
        screen.print(f"[red]{escape(sentence(error))}[/red]", soft_wrap=True)
        return 2
    for line in lines:
        screen.print(escape(line), soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Are image tokens where we say? Marks are painted into pictures, and found again among tokens.

The token whose feature changes most must be one that shows the mark, or one beside it. Attention of
the tower is switched off, so that a patch of the picture changes the tokens that show it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from conformance.folders import write
from conformance.oracle import MORE, Oracle
from interventions.patching.layouts import Layout, find_layouts
from interventions.patching.upstream import image_token

ROWS = (((672, 448), (448, 1000)), ((900, 500),))  # width and height of the pictures of each prompt
MARKS = 6  # in every picture, one after the other
CROPPED = ("llava", "video_llava", "vipllava")  # to the square in the middle
PADDED = ("deepseek_vl", "deepseek_vl_hybrid", "janus")  # to a square

Pixels = np.ndarray
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of the marks in one picture."""

    size: tuple[int, int]
    hits: int
    chance: float  # share of the picture's tokens that would count as a hit, on average

    @property
    def placed(self) -> bool:
        """Whether all but one mark are where they must be."""
        return self.hits >= MARKS - 1


@dataclass(eq=False)
class Prompts:
    """Pictures as a family's own processor and tower take them."""

    oracle: Oracle

    def inputs(self, pictures: Sequence[Pixels]) -> dict[str, Tensor]:
        """Arguments of forward for the prompts of `ROWS`."""
        images = iter([Image.fromarray(pixels) for pixels in pictures])
        rows = [[next(images) for _ in row] for row in ROWS]
        texts = [self.oracle.prompt("Well?", len(row)) for row in rows]
        return self.oracle.inputs(texts, rows)

    @torch.no_grad()
    def features(self, inputs: dict[str, Tensor]) -> Float[Tensor, "token width"]:
        model = self.oracle.model
        owner = model if hasattr(model, "get_image_features") else model.model
        output = owner.get_image_features(**{k: v for k, v in inputs.items() if k not in MORE})
        parts = output.pooler_output if output.pooler_output is not None else output[0]
        parts = [parts] if isinstance(parts, Tensor) else parts
        return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])

    def layouts(self, inputs: dict[str, Tensor]) -> list[Layout]:
        model = self.oracle.model
        counts = (inputs["input_ids"] == image_token(model)).sum(dim=1).tolist()
        return [layout for row in find_layouts(model.config, inputs, counts) for layout in row]


def find_marks(family: str) -> list[Found]:
    """What came of marks in the pictures of the family's tiny checkpoint.

    Raises `UnwritableError` where there is no checkpoint, and `InterventionError` where tokens have
    no place.
    """
    with TemporaryDirectory() as made:
        backend = write(family, Path(made))
        return marks_of(Oracle(Path(made), backend))


def marks_of(oracle: Oracle) -> list[Found]:
    """Marks painted into a wide and a tall picture of one prompt, and into that of another."""
    with silenced(oracle.model.get_encoder(modality="image")):
        return _found(Prompts(oracle), np.random.default_rng(0))


def _found(prompts: Prompts, draw: np.random.Generator) -> list[Found]:
    sizes = [size for row in ROWS for size in row]
    plain = [scenery(size, draw) for size in sizes]
    inputs = prompts.inputs(plain)
    layouts, features = prompts.layouts(inputs), prompts.features(inputs)
    hits, chances = np.zeros(len(plain)), np.zeros(len(plain))
    for _ in range(MARKS):
        pairs = zip(plain, layouts, strict=True)
        painted = [marked(pixels, layout, prompts.oracle.family, draw) for pixels, layout in pairs]
        changed = prompts.features(prompts.inputs([pixels for pixels, _ in painted])) - features
        parts = changed.norm(dim=-1).split([layout.tokens for layout in layouts])
        for place, (layout, part) in enumerate(zip(layouts, parts, strict=True)):
            right = beside(layout, painted[place][1])
            hits[place] += bool(right[int(part.argmax())])
            chances[place] += float(right.float().mean()) / MARKS
    return [
        Found(size=size, hits=int(hit), chance=float(chance))
        for size, hit, chance in zip(sizes, hits, chances, strict=True)
    ]


def scenery(size: tuple[int, int], draw: np.random.Generator) -> Pixels:
    """Soft patches of colour, so that a picture differs from place to place."""
    patches = draw.integers(60, 190, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC))


def marked(
    pixels: Pixels, layout: Layout, family: str, draw: np.random.Generator
) -> tuple[Pixels, Point]:
    """A picture with a square of black and white blocks, and the square's centre.

    The square is as large as the smallest token's part of the picture; its centre is in shares of
    what the family's processor makes of the picture.
    """
    height, width = pixels.shape[:2]
    short, long = min(height, width), max(height, width)
    sides = [(right - left, bottom - top) for left, top, right, bottom in real(layout)]
    seen = {True: (short, short), False: (width, height)}[family in CROPPED]
    seen = (long, long) if family in PADDED else seen
    side = round(max(min(x * seen[0] for x, _ in sides), min(y * seen[1] for _, y in sides)))
    inner = min(seen[0], width), min(seen[1], height)  # where marks are seen
    side = min(side, *(part // 2 for part in inner))
    corner = [
        int(draw.integers((whole - part) // 2, (whole + part) // 2 - side))
        for whole, part in zip((width, height), inner, strict=True)
    ]
    blocks = draw.integers(0, 2, (-(-side // 4), -(-side // 4), 3), dtype=np.uint8) * 255
    square = blocks.repeat(4, axis=0).repeat(4, axis=1)[:side, :side]
    painted = pixels.copy()
    painted[corner[1] : corner[1] + side, corner[0] : corner[0] + side] = square
    centre = (
        (start + side / 2 - (whole - part) / 2) / part
        for start, whole, part in zip(corner, (width, height), seen, strict=True)
    )
    across, down = centre
    return painted, (across, down)


def real(layout: Layout) -> list[list[float]]:
    """Boxes of the tokens that have one."""
    boxes = layout.boxes
    return boxes[~boxes.isnan().any(dim=1)].tolist()


def beside(layout: Layout, point: Point) -> Tensor:
    """Tokens that show a point, or stand beside one that does."""
    left, top, right, bottom = layout.boxes.unbind(dim=1)
    across, down = right - left, bottom - top
    within = (left - across <= point[0]) & (point[0] <= right + across)
    return within & (top - down <= point[1]) & (point[1] <= bottom + down)


@contextmanager
def silenced(tower: nn.Module) -> Iterator[None]:
    """Attention in the tower gives zeros."""
    kinds = [part for part in tower.modules() if type(part).__name__.endswith("Attention")]
    handles = [part.register_forward_hook(_zeros) for part in kinds]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _zeros(module: nn.Module, args: Any, output: Any) -> Any:
    if isinstance(output, Tensor):
        return torch.zeros_like(output)
    return (torch.zeros_like(output[0]), *output[1:])

"""Where the row that gives the first answer token looks in the picture, before and after.

    d(x, y) = sum over image tokens j of  w_j c_j(x, y)

w_j: the row's attention to the token, mean over all heads and over the layers that the arm edits;
c_j: 1 / share of the picture's area that the token shows, inside of it, else 0. So the mean of d
over the picture is the attention on tokens that show a part of it, and d = 1 everywhere were all
of the row's attention spread evenly over the picture. The control is looked at in the same layers.

Axes: L layers, H heads, Y and X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image

from interventions.looking.maps import heat_map
from interventions.methods.cutting import Behind
from interventions.methods.intervention import Intervention
from interventions.methods.patterns.pictured import WHOLE
from interventions.patching.decoders import find_decoder
from interventions.patching.generation import whole_model
from interventions.patching.layouts import Layout, find_layouts
from solvent.cells.answering import prompts
from solvent.cells.revisited.stored_cell import StoredCell
from solvent.core.image_places import in_text_order
from solvent.core.types import Prompt
from solvent.models.prefill import EncodedBatch
from solvent.models.vlm import VLM

ALIKE = 0.05  # difference of a token's width and height that rounding of sizes may make


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionMap:
    """Of one prompt with pictures."""

    pictures: tuple[Image.Image, ...]  # in the order of the prompt, at the size of the maps
    density: tuple[Float[np.ndarray, "y x"], ...]  # share of attention over share of the area
    mass: float  # share of the row's attention on all image tokens, in [0, 1]


@dataclass(frozen=True, kw_only=True, eq=False)
class BeforeAndAfter:
    """The maps of one question; None where the prompt has no picture."""

    control: AttentionMap | None
    arm: AttentionMap | None
    layers: tuple[int, ...]  # that the means are over
    heads: int  # likewise


def attention_maps(
    control: StoredCell, arm: StoredCell, uids: Sequence[str], side: int
) -> dict[str, BeforeAndAfter]:
    """Run these questions once more, one at a time, under the control and under the arm.

    The model is loaded: seconds for the small ones of this repository, and a GPU's memory for a
    big one. The longer side of maps has `side` pixels. Questions that cannot be shown are left out.

    Raises:
        InterventionError: image tokens of this family have no place in the picture, or its
            attention cannot be seen.
        ValueError: a cell cannot be made again, see `StoredCell`.
    """
    layers = edited_layers(arm.model(), arm.intervention())
    before, after = (_maps(cell, uids, layers, side) for cell in (control, arm))
    heads = find_decoder(whole_model(arm.model().model)).config.num_attention_heads
    return {
        uid: BeforeAndAfter(control=before[uid], arm=after[uid], layers=layers, heads=heads)
        for uid in uids
        if uid in before and uid in after
    }


def edited_layers(model: VLM, intervention: Intervention) -> tuple[int, ...]:
    """Layers that an intervention edits, rising; all with attention where it edits none."""
    decoder = find_decoder(whole_model(model.model))
    if intervention.is_identity:
        return tuple(decoder.attention)
    edited = set(decoder.select(intervention.layers))
    if isinstance(intervention, Behind):
        edited |= {*decoder.select(intervention.cut.layers)}
    return tuple(sorted(edited))


def _maps(
    cell: StoredCell, uids: Sequence[str], layers: tuple[int, ...], side: int
) -> dict[str, AttentionMap | None]:
    model, intervention, benchmark = cell.model(), cell.intervention(), cell.benchmark
    samples = cell.samples(set(uids))
    readable, _ = prompts(benchmark, [samples[uid] for uid in uids if uid in samples])
    found: dict[str, AttentionMap | None] = {}
    with cell.altered(model):
        for prompt in readable:
            batch = model.encode([prompt])
            if not any(batch.image_tokens):
                found[prompt.uid] = None
                continue
            with model.capture(1, intervention) as seen:
                model.respond(batch, 1)
            (attention,) = seen.take()
            weights = attention.pattern * attention.mass[..., None]
            mean = weights[list(layers), :, 0].double().mean(dim=(0, 1)).numpy()
            found[prompt.uid] = _placed(model, batch, prompt, mean, side)
    return found


def _placed(
    model: VLM,
    batch: EncodedBatch,
    prompt: Prompt,
    weights: Float[np.ndarray, " token"],
    side: int,
) -> AttentionMap:
    counts, shown = batch.image_tokens, batch.picture_counts
    (layouts,) = find_layouts(model.model.config, batch.inputs, counts, shown)
    pictures = [sized(each, side) for each in _pictures(model, batch, prompt, layouts)]
    ends = np.cumsum([layout.tokens for layout in layouts])[:-1]
    density = [
        heat_map(layout, part, picture.height, picture.width) * picture.height * picture.width
        for layout, part, picture in zip(layouts, np.split(weights, ends), pictures, strict=True)
    ]
    return AttentionMap(pictures=tuple(pictures), density=tuple(density), mass=float(weights.sum()))


def _pictures(
    model: VLM, batch: EncodedBatch, prompt: Prompt, layouts: Sequence[Layout]
) -> Sequence[Image.Image]:
    """What places are shares of: a picture in one piece as the model gets it, after cropping and
    padding of which its arguments say nothing; else, or where it was padded to the size of another
    one, the picture as it is.
    """
    given = in_text_order(prompt.text, prompt.images)
    arrived = model.appearance(batch).pictures
    if len(arrived) != len(given):
        return given
    pairs = zip(arrived, layouts, strict=True)
    return arrived if all(_fills(picture, layout) for picture, layout in pairs) else given


def _fills(picture: Image.Image, layout: Layout) -> bool:
    """Whether the tokens are one grid for the whole of this picture."""
    if len(layout.grids) != 1 or layout.grids[0].box != WHOLE:
        return False
    across, down = picture.width / layout.grids[0].width, picture.height / layout.grids[0].height
    return abs(across / down - 1) < ALIKE


def sized(picture: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of so many pixels; those of a small one stay squares."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return picture.convert("RGB").resize(size, how)

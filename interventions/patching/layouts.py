"""Where image tokens lie in their pictures, read from what a model is called with.

A processor turns a picture into one grid of tokens, or cuts it into tiles and shows it whole
beside them, and puts tokens between rows. Nothing of that depends on a family's name: sizes are
among the arguments of the model's forward, and how many pixels a token covers follows from how many
image tokens there are. Only where a family puts the whole picture beside its tiles is written down.

Boxes are shares of what the processor was given, with two exceptions that a model's arguments
do not show: a picture that was cropped to a square (LLaVA 1.5), or padded to one (DeepSeek-VL,
Janus), is taken to be that square.

Axes: N pictures or tiles, P patches, C channels, Y and X pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers.image_processing_utils import select_best_resolution

from interventions.errors import InterventionError
from interventions.methods.patterns import Box
from interventions.methods.patterns.pictured import WHOLE
from interventions.patching.mosaics import Piece, laid_out, split_into_pictures
from interventions.patching.tower_inputs import (
    Arguments,
    Size,
    levels_of,
    pixels_of,
    sizes_of,
)

WHOLE_FIRST = ("gemma3", "minicpm_ocr", "minicpmv4_6", "minicpmv4_7", "ovis2", "shieldgemma2")
WHOLE_LAST = (
    "aya_vision", "cohere2_vision", "got_ocr2", "granite_docling", "idefics3", "internvl",
    "lfm2_vl", "llama4", "qianfan_ocr", "smolvlm", "step3p7",
)  # fmt: skip
"""Families (`config.model_type`) that may cut a picture into tiles and show it whole, too, without
saying how many tiles stand beside each other: tiles are then laid so that they give the whole."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Tokens in the order of rows, each of them for an equal part of a box."""

    height: int
    width: int
    box: Box = WHOLE
    row_ends: int = 0  # tokens behind every row, which show nothing

    @property
    def tokens(self) -> int:
        return self.height * (self.width + self.row_ends)

    @property
    def boxes(self) -> Float[Tensor, "token 4"]:
        """What every token shows of the picture; not a number for one that shows nothing."""
        left, top, right, bottom = self.box
        down = top + (bottom - top) * torch.arange(self.height + 1).double() / self.height
        across = left + (right - left) * torch.arange(self.width + 1).double() / self.width
        boxes = torch.full((self.height, self.width + self.row_ends, 4), math.nan).double()
        boxes[:, : self.width, 0], boxes[:, : self.width, 2] = across[:-1], across[1:]
        boxes[:, : self.width, 1] = down[:-1, None]
        boxes[:, : self.width, 3] = down[1:, None]
        return boxes.flatten(0, 1).float()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The tokens of one picture: its grids, one after the other, between tokens without a place."""

    grids: tuple[Grid, ...]
    before: int = 0
    after: int = 0

    @property
    def tokens(self) -> int:
        return self.before + sum(grid.tokens for grid in self.grids) + self.after

    @property
    def boxes(self) -> Float[Tensor, "token 4"]:
        """What every token shows of the picture; not a number for one that shows nothing."""
        before, after = (torch.full((n, 4), math.nan) for n in (self.before, self.after))
        return torch.cat([before, *(grid.boxes for grid in self.grids), after])


def find_layouts(
    config: Any,
    arguments: Arguments,
    counts: Sequence[int],
    pictures: Sequence[int] | None = None,
) -> tuple[tuple[Layout, ...], ...]:
    """The layouts of every row's pictures.

    Arguments:
        config: of the model.
        arguments: of its forward, or of `generate`; of them only what a processor gives.
        counts: image tokens of every row.
        pictures: how many pictures every row has, if known. Only where tiles are told apart by
            their pixels it matters: flat pictures could be tiles of one another.

    Raises `InterventionError` where a token shows no part of a picture, where the arguments do not
    say how big pictures are, and where the pictures do not explain the tokens.
    """
    refusal = without_places(config)
    if refusal is not None:
        raise _unknown(config, refusal)
    if not sum(counts):
        return ((),) * len(counts)
    if lies_by_pixels(config):
        return _cut_into_tiles(config, arguments, counts, pictures)
    return _by_row(_pictures(config, arguments, sum(counts)), counts)


def lies_by_pixels(config: Any) -> bool:
    """Whether how tiles lie can only be seen in their pixels."""
    return config.model_type in (*WHOLE_FIRST, *WHOLE_LAST)


def without_places(config: Any) -> str | None:
    """Why the tokens of a model show no part of a picture each; None where they may."""
    if hasattr(config, "perceiver_config") or hasattr(config, "projector_patch_to_query_dict"):
        return "learned queries gather every token from the whole picture"
    if hasattr(config, "vq_config") and not hasattr(config, "vision_config"):
        return "its tokens are codes of a quantised picture, each made from much of it"
    return None


def _unknown(config: Any, why: str) -> InterventionError:
    return InterventionError(
        f"The visual grid of the family {config.model_type!r} is unknown: {why}; "
        "give the fixed pattern to log.expect(priors=...)."
    )


def _pictures(config: Any, arguments: Arguments, total: int) -> list[Layout]:
    """Layouts of all pictures of a family that says how big each is."""
    if arguments.get("image_grids") is not None:  # Molmo 2: the whole, then its crops joined
        grids = arguments["image_grids"].tolist()
        parts = [((a, b), (c, d)) for a, b, c, d in grids]
        return [
            Layout(grids=tuple(Grid(height=h, width=w) for h, w in pair if h * w)) for pair in parts
        ]
    if hasattr(config, "image_grid_pinpoints"):
        return _any_resolution(config, arguments)
    sizes = sizes_of(arguments)
    if not sizes:
        raise _unknown(config, "its inputs do not say how high and how wide a picture is")
    grids = _reduced(sizes, total)
    if grids is not None:
        return [Layout(grids=(Grid(height=h, width=w),)) for h, w in grids]
    grids = _reduced(sizes, total - 2 * len(sizes), row_ends=1)
    if grids is None:
        raise _unknown(config, f"{total} image tokens do not go into pictures of sizes {sizes}")
    return [  # Hunyuan-VL: a token behind every row, and one at either end
        Layout(grids=(Grid(height=h, width=w, row_ends=1),), before=1, after=1) for h, w in grids
    ]


def _reduced(sizes: Sequence[Size], total: int, row_ends: int = 0) -> list[Size] | None:
    """Sizes in tokens: how many pixels or patches make one, so that there are `total`."""
    area = sum(h * w for h, w in sizes)
    estimate = math.sqrt(area / total) if total > 0 else 0.0
    units = range(1, max(chain.from_iterable(sizes), default=0) + 1)
    for unit in sorted(units, key=lambda unit: abs(unit - estimate)):
        grids = [(h // unit, w // unit) for h, w in sizes]
        if sum(h * (w + row_ends) for h, w in grids) == total:
            return grids
    return None


def _any_resolution(config: Any, arguments: Arguments) -> list[Layout]:
    """The whole picture, then its tiles joined, rid of padding, with a newline behind every row.

    Source: `pack_image_features` of LLaVA-NeXT and LLaVA-OneVision in transformers.
    """
    side = config.vision_config.image_size // config.vision_config.patch_size
    counts = arguments.get("batch_num_images")  # OneVision cuts a picture only if it is alone
    sizes = arguments["image_sizes"].tolist()
    alone = [True] * len(sizes) if counts is None else [n == 1 for n in counts for _ in range(n)]
    whole, layouts = Grid(height=side, width=side), []
    for size, cut in zip(sizes, alone, strict=True):
        if cut:
            height, width = _unpadded(config, size, side)
            tiles = Grid(height=height, width=width, row_ends=1)
            layouts.append(Layout(grids=(whole, tiles)))
        else:
            square = Grid(height=side, width=side, box=_padded_to_square(*size))
            layouts.append(Layout(grids=(square,), after=1))
    return layouts


def _padded_to_square(height: int, width: int) -> Box:
    """The square around the centre of a picture, as shares of the picture."""
    across, down = (0.5 * max(height, width) / side for side in (width, height))
    return 0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down


def _unpadded(config: Any, size: Sequence[int], side: int) -> Size:
    """Height and width in tokens of what is left of the tiles, without their padding."""
    canvas = select_best_resolution(tuple(size), config.image_grid_pinpoints)
    height, width = (length // config.vision_config.image_size * side for length in canvas)
    if size[1] / size[0] > width / height:
        height -= (height - int(round(size[0] * (width / size[1]), 7))) // 2 * 2
    else:
        width -= (width - int(round(size[1] * (height / size[0]), 7))) // 2 * 2
    most = str(getattr(config, "vision_aspect_ratio", "")).removeprefix("anyres_max_")
    ratio = math.sqrt(height * width / (int(most) * side**2)) if most.isdecimal() else 1.0
    return (int(height // ratio), int(width // ratio)) if ratio > 1.1 else (height, width)


def _cut_into_tiles(
    config: Any, arguments: Arguments, counts: Sequence[int], pictures: Sequence[int] | None
) -> tuple[tuple[Layout, ...], ...]:
    """Layouts of a family that says how many tiles there are, but not how they lie."""
    sizes = sizes_of(arguments)
    shapes = _reduced(sizes, sum(counts))
    if shapes is None:
        raise _unknown(config, f"{sum(counts)} image tokens do not go into tiles of sizes {sizes}")
    if len(sizes) == 1:  # nothing beside it
        return _by_row([Layout(grids=(Grid(height=h, width=w),)) for h, w in shapes], counts)
    if pixels_of(arguments) is None:
        raise _unknown(
            config, "how its tiles lie is seen in their pixels, and features came in their place"
        )
    first, levels = config.model_type in WHOLE_FIRST, levels_of(arguments, sizes)
    remaining = [Piece(size=s, levels=level) for s, level in zip(shapes, levels, strict=True)]
    if arguments.get("num_local_patches") is not None:
        parts = [remaining[start:end] for start, end in _spans(arguments)]
        return _by_row([_tiled(laid_out(part, first)[1]) for part in parts], counts)
    rows = []
    for row, count in enumerate(counts):
        pieces: list[Piece] = []
        while remaining and sum(h * w for h, w in (p.size for p in pieces)) < count:
            pieces.append(remaining.pop(0))
        number = None if pictures is None else pictures[row]
        try:
            rows.append(tuple(map(_tiled, split_into_pictures(pieces, first, number))))
        except ValueError as error:
            raise _unknown(config, str(error)) from error
    return _checked(rows, counts)


def _spans(arguments: Arguments) -> list[tuple[int, int]]:
    """Where the pieces of every picture begin and end, tiles and whole."""
    ends = (arguments["num_local_patches"] + 1).cumsum(dim=0).tolist()
    return list(zip([0, *ends], ends, strict=False))


def _tiled(picture: Sequence[tuple[Piece, Box]]) -> Layout:
    parts = ((*piece.size, box) for piece, box in picture)
    return Layout(grids=tuple(Grid(height=h, width=w, box=box) for h, w, box in parts))


def _by_row(layouts: Sequence[Layout], counts: Sequence[int]) -> tuple[tuple[Layout, ...], ...]:
    """The pictures of every row, by its number of image tokens."""
    remaining, rows = list(layouts), []
    for count in counts:
        row: list[Layout] = []
        while remaining and sum(layout.tokens for layout in row) < count:
            row.append(remaining.pop(0))
        rows.append(tuple(row))
    return _checked(rows, counts)


def _checked(
    rows: Sequence[tuple[Layout, ...]], counts: Sequence[int]
) -> tuple[tuple[Layout, ...], ...]:
    for row, count in zip(rows, counts, strict=True):
        found = sum(layout.tokens for layout in row)
        if found != count:
            raise InterventionError(
                f"A sample has {count} image tokens but its pictures have {found}; "
                "give the fixed pattern to log.expect(priors=...)."
            )
    return tuple(rows)

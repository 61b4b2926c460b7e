"""Which tiles make up which picture, and how they lie, seen in their pixels.

Some processors cut a picture into tiles, show it whole beside them, and tell the model neither how
many tiles make a row nor where one picture ends. Laid side by side the right way, the tiles of a
picture look like the whole; in any other way they do not.

Axes: Y and X pixels or patches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from interventions.methods.patterns import Box
from interventions.methods.patterns.pictured import WHOLE

SIDE = 16  # levels per side in which pictures are compared
TOLERANCE = 0.25  # of the whole's variance, by which tiles may differ from it
FLAT = 1e-6  # variance below which a picture shows nothing


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A tile, or a whole picture."""

    size: tuple[int, int]  # height and width in tokens
    levels: Float[Tensor, "y x"]  # brightness

    @cached_property
    def coarse(self) -> Float[Tensor, "y x"]:
        return _pooled(self.levels)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well tiles, so laid, look like a whole."""

    error: float  # mean squared difference over the whole's variance
    boxes: tuple[Box, ...]  # of the tiles


Picture = list[tuple[Piece, Box]]
Parted = tuple[float, int, list[Picture]]
"""How far tiles are from their wholes, the squared numbers of pieces, and the pictures."""


def split_into_pictures(
    pieces: Sequence[Piece], whole_first: bool, count: int | None = None
) -> list[Picture]:
    """The pieces of every picture with their places: one whole, or tiles and a whole.

    Whole and tiles stand in the given order. Of all ways to part the pieces into `count` pictures,
    the one that fits best; of equally good ones, that with pictures of most even size. Where the
    number is not known, tiles and whole differ by `TOLERANCE` at most: what differs more is several
    pictures, however many; a whole without tiles counts as `TOLERANCE`, and of equally good ways
    the one with the fewest pictures is taken. In a flat picture, where all fits, tiles lie as
    nearly square as they go, rather wide than tall.

    Raises `ValueError` where the pieces do not make so many pictures.
    """
    limit = TOLERANCE if count is None else math.inf
    best: list[dict[int, Parted]] = [{0: (0.0, 0, [])}]  # up to each piece, by number of pictures
    for end in range(1, len(pieces) + 1):
        found: dict[int, Parted] = {}
        _offer(found, best[end - 1], TOLERANCE, [(pieces[end - 1], WHOLE)])
        for start in range(end - 3, -1, -1):
            if len({tile.size for tile in _parted(pieces[start:end], whole_first)[1]}) > 1:
                break
            error, picture = laid_out(pieces[start:end], whole_first)
            if error <= limit:
                _offer(found, best[start], error, picture)
        best.append(found)
    if count is not None and count not in best[-1]:
        raise ValueError(f"{len(pieces)} tiles and whole pictures do not make {count} pictures")
    chosen = min(best[-1], key=lambda n: (best[-1][n][0], n)) if count is None else count
    return best[-1][chosen][2]


def _offer(
    found: dict[int, Parted], before: Mapping[int, Parted], error: float, picture: Picture
) -> None:
    """One more picture behind what was parted before, where that is better than what is known."""
    for number, (cost, squares, pictures) in before.items():
        offered = (round(cost + error, 6), squares + len(picture) ** 2)
        known = found.get(number + 1)
        if known is None or offered < known[:2]:
            found[number + 1] = (*offered, [*pictures, picture])


def laid_out(pieces: Sequence[Piece], whole_first: bool) -> tuple[float, Picture]:
    """The pieces of one picture with their places, and how far tiles are from the whole."""
    whole, tiles = _parted(pieces, whole_first)
    if not tiles:
        return 0.0, [(whole, WHOLE)]
    fit = _fit(tiles, whole)
    placed = list(zip(tiles, fit.boxes, strict=True))
    return fit.error, [(whole, WHOLE), *placed] if whole_first else [*placed, (whole, WHOLE)]


def _parted(pieces: Sequence[Piece], whole_first: bool) -> tuple[Piece, Sequence[Piece]]:
    return (pieces[0], pieces[1:]) if whole_first else (pieces[-1], pieces[:-1])


def _fit(tiles: Sequence[Piece], whole: Piece) -> Fit:
    """The best way to lay tiles in rows and columns, all of them filled."""
    coarse = torch.stack([tile.coarse for tile in tiles])
    scale = float(whole.coarse.var(correction=0)) + FLAT
    fits = []
    for rows, columns in _arrangements(len(tiles)):
        canvas = coarse.unflatten(0, (rows, columns)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        for down, across in {canvas.shape, _without_padding(canvas)}:
            difference = _pooled(canvas[:down, :across]) - whole.coarse
            error = round(float(difference.square().mean()) / scale, 6)
            fits.append((error, -down * across, rows, columns, down, across))
    error, _, rows, columns, down, across = min(fits, key=lambda fit: fit[:2])
    tall, wide = down / SIDE, across / SIDE  # of what the tiles show, in tiles
    return Fit(
        error=error,
        boxes=tuple(
            (column / wide, row / tall, (column + 1) / wide, (row + 1) / tall)
            for row in range(rows)
            for column in range(columns)
        ),
    )


def _arrangements(count: int) -> Iterator[tuple[int, int]]:
    """Rows and columns that give `count`, most nearly square first, wide before tall."""
    exact = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    yield from sorted(exact, key=lambda pair: (max(pair) / min(pair), pair[0]))


def _without_padding(canvas: Float[Tensor, "y x"]) -> tuple[int, int]:
    """Height and width of a canvas without the even strip at its bottom and its right."""
    filled = (canvas - canvas[-1, -1]).abs() > FLAT
    if not filled.any():
        return canvas.shape[0], canvas.shape[1]
    down, across = (int(filled.any(dim=axis).nonzero().max()) + 1 for axis in (1, 0))
    return down, across


def _pooled(levels: Float[Tensor, "y x"]) -> Float[Tensor, "y x"]:
    return adaptive_avg_pool2d(levels[None], SIDE)[0]

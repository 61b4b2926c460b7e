"""Where tokens lie: marks painted into pictures are found again, on real processors and tiles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from conformance.marks import Found, find_marks
from interventions import InterventionError
from interventions.looking.maps import heat_map
from interventions.methods.patterns import CentreGaussian, PatchComplexity, Regions
from interventions.patching.grids import fixed_weights, reads_pixels
from interventions.patching.layouts import Grid, Layout, find_layouts
from interventions.patching.mosaics import Piece, split_into_pictures

KINDS = {  # what each family is here for
    "llava": "a square out of the middle",
    "janus": "a square with padding",
    "gemma4": "pooled patches, by their positions",
    "qwen2_5_vl": "merged patches, in windows",
    "hunyuan_vl": "merged patches with row ends",
    "llava_next": "whole first, then tiles without padding, with newlines",
    "llava_onevision": "the same for one picture, padded squares for several",
    "internvl": "tiles, then the whole, in one run of tokens",
    "idefics3": "tiles in rows of a batch, then the whole",
    "minicpmv4_6": "the whole, then slices of another shape",
}
SIDE = 64  # pixels of a tile


@pytest.mark.parametrize("family", KINDS)
def test_marks_are_found_at_their_tokens(family: str) -> None:
    found = find_marks(family)
    assert all(picture.placed for picture in found), found
    assert all(picture.chance < 0.1 for picture in found)
    assert len(found) == 3


def test_a_mark_elsewhere_is_not_placed() -> None:
    assert not Found(size=(1, 1), hits=4, chance=0.02).placed


def family(name: str, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(model_type=name, **fields)


def scene(rows: int, columns: int, seed: int) -> torch.Tensor:
    """One soft picture of rows x columns tiles, (3, Y, X)."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=draw)
    return interpolate(coarse, (rows * SIDE, columns * SIDE), mode="bicubic")[0]


def cut(picture: torch.Tensor, rows: int, columns: int) -> list[torch.Tensor]:
    """Tiles row by row, then the whole."""
    tiles = [
        picture[:, SIDE * y : SIDE * (y + 1), SIDE * x : SIDE * (x + 1)]
        for y in range(rows)
        for x in range(columns)
    ]
    whole = interpolate(picture[None], (SIDE, SIDE), mode="area")[0]
    return [*tiles, whole]


def pieces(*pictures: tuple[int, int, int]) -> list[Piece]:
    tiles = [tile for rows, columns, seed in pictures for tile in _shown(rows, columns, seed)]
    return [Piece(size=(4, 4), levels=tile.mean(dim=0)) for tile in tiles]


def _shown(rows: int, columns: int, seed: int) -> list[torch.Tensor]:
    tiles = cut(scene(rows, columns, seed), rows, columns)
    return tiles if rows * columns > 1 else tiles[-1:]


def test_tiles_are_laid_so_that_they_give_the_whole() -> None:
    """Also where six could be 2 x 3 or 3 x 2, and where pictures without tiles stand between."""
    found = split_into_pictures(
        pieces((2, 3, 0), (1, 1, 1), (3, 2, 2), (1, 1, 3), (1, 1, 4), (4, 1, 5)), whole_first=False
    )
    assert [len(picture) for picture in found] == [7, 1, 7, 1, 1, 5]
    assert found[0][4][1] == pytest.approx((1 / 3, 1 / 2, 2 / 3, 1.0))
    assert found[2][4][1] == pytest.approx((0.0, 2 / 3, 1 / 2, 1.0))
    assert found[5][3][1] == pytest.approx((0.0, 3 / 4, 1.0, 1.0))
    assert found[0][-1][1] == (0.0, 0.0, 1.0, 1.0)


def test_the_whole_may_stand_first() -> None:
    tiles, other = pieces((2, 1, 0)), pieces((1, 2, 1))
    found = split_into_pictures([tiles[2], *tiles[:2], other[2], *other[:2]], whole_first=True)
    assert [len(picture) for picture in found] == [3, 3]
    assert found[0][2][1] == (0.0, 0.5, 1.0, 1.0)
    assert found[1][2][1] == (0.5, 0.0, 1.0, 1.0)


def test_padding_of_the_last_tiles_is_beyond_the_picture() -> None:
    """Llama 4 fills its tiles up at the bottom and at the right; the whole has no padding."""
    picture = scene(2, 3, 0)
    canvas = torch.zeros_like(picture)
    shown = picture[:, :, : 5 * SIDE // 2]  # two tiles and a half
    canvas[:, :, : 5 * SIDE // 2] = shown
    whole = interpolate(shown[None], (SIDE, SIDE), mode="area")[0]
    tiles = [*cut(canvas, 2, 3)[:-1], whole]
    found = split_into_pictures(
        [Piece(size=(4, 4), levels=tile.mean(dim=0)) for tile in tiles], whole_first=False
    )
    assert found[0][2][1] == pytest.approx((0.8, 0.0, 1.2, 0.5))
    grid = Grid(height=4, width=4, box=found[0][2][1])
    layout = Layout(grids=(grid,))
    assert (layout.boxes[:, 0] < 1).reshape(4, 4).tolist() == [[True, True, False, False]] * 4


def test_many_pictures_without_tiles_are_no_tiles_of_the_last() -> None:
    """Nor where all are lit alike from above, as landscapes are."""
    assert len(split_into_pictures(pieces(*((1, 1, seed) for seed in range(9))), False)) == 9
    light = torch.linspace(1, -1, SIDE)[:, None]
    for strength, count in ((0.3, None), (8, 6)):  # so strong a light leaves too little else
        lit = [scene(1, 1, seed).mean(dim=0) + strength * light for seed in range(6)]
        tiles = [Piece(size=(4, 4), levels=levels) for levels in lit]
        assert len(split_into_pictures(tiles, False, count)) == 6


def test_a_flat_picture_lies_nearly_square() -> None:
    flat = [Piece(size=(4, 4), levels=torch.ones(8, 8)) for _ in range(7)]
    (picture,) = split_into_pictures(flat, whole_first=False)
    assert picture[1][1] == pytest.approx((1 / 3, 0.0, 2 / 3, 0.5))


@pytest.mark.parametrize(("number", "count", "sizes"), [(3, 3, [1] * 3), (14, 2, [7, 7])])
def test_flat_pictures_are_as_many_as_there_are(number: int, count: int, sizes: list[int]) -> None:
    """What nothing tells apart is told by their number; without it, it is one picture."""
    flat = [Piece(size=(4, 4), levels=torch.ones(8, 8)) for _ in range(number)]
    assert [len(picture) for picture in split_into_pictures(flat, False)] == [number]
    assert [len(picture) for picture in split_into_pictures(flat, False, count)] == sizes


def test_a_fine_texture_is_one_picture_where_it_is_known_to_be() -> None:
    squares = (torch.arange(3 * SIDE)[:, None] + torch.arange(2 * SIDE)) // 7 % 2
    picture = squares.float()[None].expand(3, -1, -1)
    tiles = [Piece(size=(4, 4), levels=tile.mean(dim=0)) for tile in cut(picture, 3, 2)]
    tiles[-1] = Piece(size=(4, 4), levels=picture.mean(dim=0)[::3, ::2])  # no average: it aliases
    assert len(split_into_pictures(tiles, whole_first=False)) == 7
    assert [len(found) for found in split_into_pictures(tiles, False, 1)] == [7]


def test_pieces_that_do_not_make_so_many_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="3 tiles and whole pictures do not make 4 pictures"):
        split_into_pictures(pieces((1, 2, 0)), False, 4)


def tiled() -> tuple[SimpleNamespace, dict[str, torch.Tensor], int]:
    """A picture of 2 x 3 tiles of 8 x 8 tokens, and the whole."""
    pixels = torch.stack(cut(scene(2, 3, 0), 2, 3))
    return family("internvl"), {"pixel_values": pixels}, 7 * 64


def test_the_number_of_pictures_is_taken_into_account() -> None:
    config, arguments, count = tiled()
    blank = {"pixel_values": torch.zeros_like(arguments["pixel_values"])}
    assert [len(row) for row in find_layouts(config, blank, [count])] == [1]
    assert [len(row) for row in find_layouts(config, blank, [count], [7])] == [7]
    (weights,) = fixed_weights(
        CentreGaussian(width=0.2), config, blank, [count], None, pictures=[7]
    )
    np.testing.assert_array_equal(weights.reshape(7, 64), weights[:64][None].repeat(7, axis=0))


def test_a_prior_over_tiles_and_whole_is_a_prior_over_the_picture() -> None:
    """Whole and tiles, each for itself, make the same map; a wide prior is uniform."""
    config, arguments, count = tiled()
    ((layout,),) = find_layouts(config, arguments, [count])
    (weights,) = fixed_weights(CentreGaussian(width=0.2), config, arguments, [count], None)
    tiles, whole = weights.copy(), weights.copy()
    tiles[-64:], whole[:-64] = 0, 0
    places = (np.arange(8) + 0.5) / 8 - 0.5
    expected = np.exp(-(places[:, None] ** 2 + places**2) / (2 * 0.2**2))
    for part in (weights, tiles, whole):
        heat = heat_map(layout, part, 8, 8)
        np.testing.assert_allclose(heat / heat.sum(), expected / expected.sum(), atol=1.5e-3)
    (flat,) = fixed_weights(CentreGaussian(width=1e4), config, arguments, [count], None)
    np.testing.assert_allclose(flat, 1.0, atol=1e-6)


def test_regions_are_those_of_the_whole_picture() -> None:
    config, arguments, count = tiled()
    ((layout,),) = find_layouts(config, arguments, [count])
    boxes = [[[(1 / 3, 0.0, 2 / 3, 0.5)]]]  # the tile above, in the middle
    (weights,) = fixed_weights(Regions(outside=0.0), config, arguments, [count], boxes)
    assert weights[64:128].min() == pytest.approx(1.0)
    assert weights[:64].max() == weights[128:-64].max() == pytest.approx(0.0, abs=1e-5)
    assert weights[-64:].reshape(8, 8)[:4].sum() == pytest.approx(4 * 8 / 3, rel=1e-3)
    heat = heat_map(layout, weights, 2, 3)
    assert heat[0, 1] / heat.sum() > 0.95


def test_what_shows_nothing_gets_nothing() -> None:
    """Newlines of LLaVA-NeXT, ends of Hunyuan-VL, and OneVision's tokens in padding."""
    tower = SimpleNamespace(image_size=336, patch_size=14)
    config = family("llava_next", vision_config=tower, image_grid_pinpoints=[[336, 672]])
    arguments = {"image_sizes": torch.tensor([[336, 672]])}
    count = 24 * 24 + 24 * 49
    (weights,) = fixed_weights(CentreGaussian(width=1e4), config, arguments, [count], None)
    rows = weights[24 * 24 :].reshape(24, 49)
    assert (rows > 0).tolist() == [[True] * 48 + [False]] * 24
    config, arguments = family("hunyuan_vl"), {"image_grid_thw": torch.tensor([[1, 4, 6]])}
    (weights,) = fixed_weights(CentreGaussian(width=1e4), config, arguments, [10], None)
    assert (weights == 0).tolist() == [i in (0, 4, 8, 9) for i in range(10)]
    config = family("llava_onevision", vision_config=tower, image_grid_pinpoints=[[336, 336]])
    arguments = {
        "image_sizes": torch.tensor([[100, 200]] * 2),
        "batch_num_images": torch.tensor([2]),
    }
    (weights,) = fixed_weights(CentreGaussian(width=1e4), config, arguments, [2 * 577], None)
    shown = weights[:576].reshape(24, 24)
    assert np.count_nonzero([*shown[:6].flat, *shown[18:].flat, weights[576]]) == 0
    np.testing.assert_allclose(shown[6:18], 1.0, atol=1e-5)


def test_places_do_not_need_pixels() -> None:
    """With features in the place of pixels, where sizes or squares say enough."""
    kept = SimpleNamespace(pooler_output=[torch.zeros(16, 2)] * 2)
    features = {"mm_encoder_outputs": {"image": kept}}
    ((first, second),) = find_layouts(family("llava"), features, [32])
    assert first == second == Layout(grids=(Grid(height=4, width=4),))
    assert not reads_pixels(CentreGaussian(width=0.5), family("llava"))
    assert reads_pixels(PatchComplexity(temperature=1.0), family("llava"))
    assert reads_pixels(CentreGaussian(width=0.5), family("internvl"))
    with pytest.raises(InterventionError, match="seen in their pixels, and features came"):
        find_layouts(family("internvl"), features, [32])


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (family("idefics2", perceiver_config=None), "learned queries gather every token"),
        (family("aria", projector_patch_to_query_dict={}), "learned queries gather every token"),
        (family("chameleon", vq_config=None), "codes of a quantised picture"),
        (family("fuyu"), "do not say how high and how wide a picture is"),
    ],
)
def test_tokens_without_a_place_are_refused(config: SimpleNamespace, reason: str) -> None:
    with pytest.raises(InterventionError, match=f"'{config.model_type}' is unknown: .*{reason}"):
        fixed_weights(CentreGaussian(width=0.5), config, {}, [4], None)

"""Mosaics as cells: their name changes with the photos, and nothing else changes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from PIL import Image

from solvent.benchmarks.mosaic.collage import Collage
from solvent.cells.asking import identify
from solvent.cells.request import parse
from solvent.cells.run import run_cell
from tests.benchmarks.mosaic.coloured import TWELVE, painted

Composed = Callable[..., DictConfig]
SMALL = ("benchmark.source.grid=[2,3]", "benchmark.source.side=16", "benchmark.source.questions=30")


def asked(composed: Composed, place: Path, *overrides: str) -> DictConfig:
    return composed(
        "model=tiny", "benchmark=mosaic", f"benchmark.source.root={place}", *SMALL, *overrides
    )


def name(config: DictConfig) -> str:
    return identify(parse(config)).folder


def repainted(place: Path) -> None:
    """One photo in another colour, under its own name."""
    Image.new("RGB", (16, 24), (1, 2, 3)).save(place / "owl/2.png")


@pytest.mark.usefixtures("undrawn")
def test_a_mosaic_is_answered_and_other_photos_are_another_cell(
    composed: Composed, tmp_path: Path
) -> None:
    place = tmp_path / "photos"
    painted(place, TWELVE)
    config = asked(composed, place)
    metrics = run_cell(config)
    assert (metrics["errors"], metrics["score"]["rows"]) == (0, 180)
    assert metrics["scores"]["question"]["n"] == 10 + 6 + 4 * 15
    first = name(config)
    assert (tmp_path / "study/tiny/mosaic" / first / "DONE").exists()
    shutil.copytree(place, tmp_path / "copy")
    assert name(asked(composed, tmp_path / "copy")) == first
    (place / "notes.txt").write_text("not a photo")
    assert name(config) == first
    names = [first]
    for change in (
        repainted,
        lambda folder: (folder / "cat/0.png").rename(folder / "cat/9.png"),
        lambda folder: Image.new("RGB", (9, 9), (5, 6, 7)).save(folder / "cat/new.png"),
        lambda folder: (folder / "cat/new.png").unlink(),
    ):
        change(place)
        names.append(name(config))
    assert len(set(names)) == 4
    assert names[4] == names[2]  # nothing but the folder as it is
    settings = ("side=17", "gap=1", "seed=1", "most=3", "kinds=[place]", "law=prior")
    named = {name(asked(composed, place, f"benchmark.source.{each}")) for each in settings}
    assert len(named - {*names}) == len(settings)


@pytest.mark.usefixtures("undrawn")
def test_a_photo_that_changes_while_it_is_asked_about_condemns_the_answers(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "photos"
    painted(place, TWELVE)
    config, load, loaded = asked(composed, place, "limit=12"), Collage.load, []

    def changing(self: Collage) -> Image.Image:
        loaded.append(self.name)
        if len(loaded) == 3:
            for number, path in enumerate(sorted(place.rglob("*.png"))):
                Image.new("RGB", (9, 9), (number, 2, 3)).save(path)
        return load(self)

    monkeypatch.setattr(Collage, "load", changing)
    with pytest.raises(ValueError, match=r"^data changed while \S+ was computed"):
        run_cell(config)


@pytest.mark.usefixtures("undrawn")
def test_every_question_has_a_donor_that_contradicts_it(composed: Composed, tmp_path: Path) -> None:
    painted(tmp_path / "photos", TWELVE)
    config = asked(composed, tmp_path / "photos", "limit=40", "diagnostic=[override,measures]")
    metrics = run_cell(config)
    found = metrics["diagnostics"]
    assert found["override"]["metrics"]["follow_conflicts"] == metrics["score"]["rows"]
    assert found["override"]["metrics"]["conflicts"] == metrics["score"]["rows"]
    assert found["measures"]["metrics"]["invalid"] == 0

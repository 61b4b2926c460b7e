"""What becomes of a comparison: the terminal, files, figures, the page, a tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from solvent.core.files import disk_errors_explained
from solvent.core.text import marked
from solvent.core.types import Tracking
from solvent.reports.compared import frame_files, terminal
from solvent.reports.compared.figures.every_figure import draw_all
from solvent.reports.compared.figures.figure_plan import Drawn
from solvent.reports.compared.frames import Comparison, Flip
from solvent.reports.compared.gallery import draw_gallery
from solvent.reports.compared.page.document import write_page
from solvent.reports.table import console
from solvent.reports.usage_comparison import compare_usage
from solvent.studies.comparison.comparing import Study
from solvent.studies.comparison.flip_choice import Flippable
from solvent.studies.controls.gain_table import show_gains
from solvent.studies.controls.spurious_gains import Gain, gains

FOLDER = "comparison"  # in the study's
PAGE = "index.html"
MADE = (
    "*.csv",
    "*.parquet",
    "*.png",
    "arms.*",
    "index.html",
    "figures/*.png",
    "figures/*.pdf",
    "figures/*.svg",
    "tracking.jsonl",
)  # workspace.json stays: it says which saved view is ours
ROLES = ("primary", "explored", "positive control")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is made of a comparison.

    Attributes:
        figures: formats; none draws none.
        flips_each: questions of the gallery, of one arm at most.
        flips: of all arms.
        attention: whether models are loaded to see where they look.
    """

    figures: tuple[str, ...]
    flips_each: int
    flips: int
    attention: bool


def publish(study: Study, wanted: Wanted, tracking: Tracking) -> Comparison:
    """Print a comparison and write all of it below its study. Returns it with its flips.

    Raises `ValueError` where some cells were damaged, after the others are shown.
    """
    folder, screen = study.folder / FOLDER, console()
    with disk_errors_explained(folder):
        folder.mkdir(exist_ok=True)
    found = gains(study.pairs, {place: each.estimate for place, each in study.found.items()})
    shown, remarks = _flips(study, wanted)
    comparison = replace(
        study.comparison,
        arms=_beyond(study.comparison.arms, found),
        flips=shown,
        remarks=[*study.comparison.remarks, *remarks],
    )
    terminal.show(screen, comparison)
    with disk_errors_explained(folder):
        _clear(folder)  # not before: until here, somebody who stops it keeps the earlier one
        show_gains(screen, found, folder)
        written = frame_files.write(comparison, folder)
        compare_usage(screen, comparison.usage, folder)
        drawn, pictures = _drawn(comparison, folder / "figures", wanted.figures)
        shown_on_page = [each for each in drawn if "png" in each.paths]
        page = write_page(comparison, folder / PAGE, shown_on_page)
    _say_where(screen, folder, page, len(drawn))
    tracking.compared(
        study=comparison.study,
        folder=folder,
        tables={name: getattr(comparison, name) for name in frame_files.FRAMES},
        facts={**comparison.provenance, "remarks": list(comparison.remarks)},
        page=page,
        figures=[path for path in pictures if path.suffix == ".png"],
        files=[*written, *(path for path in pictures if path.suffix != ".png")],
    )
    _check_whole(study)
    return comparison


def _clear(folder: Path) -> None:
    """Remove what an earlier comparison wrote: of fewer arms, fewer files are made."""
    for pattern in MADE:
        for path in folder.glob(pattern):
            path.unlink()


def _drawn(
    comparison: Comparison, folder: Path, formats: Sequence[str]
) -> tuple[list[Drawn], list[Path]]:
    """Figures, and the files of these and of the gallery."""
    if not formats:
        return [], []
    drawn, arms = draw_all(comparison, folder, formats), comparison.arms
    names = dict(zip(arms["key"], arms["title"] + ": " + arms["name"], strict=True))
    gallery = draw_gallery(comparison.flips, folder, formats, names)
    return drawn, [*(path for figure in drawn for path in figure.paths.values()), *gallery]


def _check_whole(study: Study) -> None:
    if study.damaged:
        total = len(study.comparison.cells) + len(study.damaged)
        raise ValueError(
            f"{len(study.damaged)} of {total} cells are damaged and left out. "
            + "; ".join(study.damaged)
        )


def _beyond(arms: pd.DataFrame, found: Sequence[Gain]) -> pd.DataFrame:
    """Arms with the readings of their gains."""
    readings: Mapping[str, str] = {gain.arm.key: gain.reading for gain in found}
    return arms.assign(beyond_controls=arms["key"].map(readings).astype(object))


def _flips(study: Study, wanted: Wanted) -> tuple[Sequence[Flip], Sequence[str]]:
    """Questions of the gallery, and remarks on those that lack a part."""
    if not (wanted.flips and wanted.flips_each):
        return (), ()
    from solvent.studies.comparison.flips import flips  # transformers: not without a gallery

    gallery = flips(_flipped(study), wanted.flips_each, wanted.flips, attention=wanted.attention)
    return gallery.flips, gallery.remarks


def _flipped(study: Study) -> list[Flippable]:
    """Arms whose flips may be shown, in the order in which they get places: what was registered
    first, known harms last.
    """
    found = [(study.found[id(pair)], pair) for pair in study.pairs if id(pair) in study.found]
    found.sort(key=lambda each: ROLES.index(each[0].role))
    return [
        Flippable(
            key=pair.arm.key,
            arm_folder=pair.arm.first.answers.parent,
            control_folder=pair.control.first.answers.parent,
            uids=pair.arm.questions.columns.uids,
            arm_credit=pair.arm.first.credit,
            control_credit=pair.control.first.credit[pair.places],
        )
        for _, pair in found
        if pair.control is not None
    ]


def _say_where(screen: Console, folder: Path, page: Path, figures: int) -> None:
    for name, place in (("page", page), ("tables", folder), ("figures", folder / "figures")):
        if name != "figures" or figures:
            said = f"{name:<8}[dim]{marked(str(place))}[/dim]"
            screen.print(said, highlight=False, soft_wrap=True)

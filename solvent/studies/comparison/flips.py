"""The gallery of questions whose answer flips, read from the cells that answered them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from PIL import Image

from solvent.cells.revisited.attention_maps import AttentionMap, BeforeAndAfter, attention_maps
from solvent.cells.revisited.stored_cell import StoredCell
from solvent.core.types import Prediction, Sample, in_words
from solvent.reports.compared.frames import Flip
from solvent.reports.compared.overlays import overlaid, thumbnail
from solvent.storage.records import Stored, uid_of
from solvent.studies.comparison.flip_choice import Flippable, Shown, choose, shares

SIDE = 320  # pixels of the longer side of a picture, at most
# what making a cell again raises where data, files or a library are not those of then
ELSEWHERE = (ValueError, OSError, ImportError, KeyError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Flips in the order of their pairs, and what a reader must know of those that lack a part."""

    flips: Sequence[Flip]
    remarks: Sequence[str]


def flips(pairs: Sequence[Flippable], each: int, total: int, attention: bool = False) -> Gallery:
    """At most `each` flips of every pair and `total` in all; see `flip_choice` for which.

    Only the lines of candidates are decoded. With `attention` the model of the cells is loaded,
    once as long as pairs of one model follow each other, and asked the chosen questions again,
    under the control and under the arm: a big model needs a GPU. Where data, pictures or weights
    are not on this machine, flips lack them, one remark says why, and nothing fails.
    """
    found: list[Flip] = []
    remarks: list[str] = []
    shown = Shown()
    for number, (pair, share) in enumerate(zip(pairs, shares(pairs, each, total), strict=True)):
        if share:
            flipped = _Flipped(pair)
            chosen = choose(pair, share, number % 2, flipped.control_answers, shown)
            found += flipped.described(chosen, attention, remarks)
    return Gallery(flips=found, remarks=list(dict.fromkeys(remarks)))


class _Flipped:
    """Of one pair: answers, questions and maps of the flips that were chosen."""

    def __init__(self, pair: Flippable) -> None:
        self._pair = pair
        self._arm, self._control = StoredCell(pair.arm_folder), StoredCell(pair.control_folder)

    def control_answers(self, uids: Sequence[str]) -> dict[str, Prediction]:
        """Of the control, to some questions."""
        return _answers(self._pair.control_folder, uids)

    def described(
        self, chosen: Sequence[tuple[str, str]], attention: bool, remarks: list[str]
    ) -> list[Flip]:
        """The flips, with what is there of pictures and maps; `remarks` says why some is not."""
        uids = [uid for _, uid in chosen]
        before = self.control_answers(uids)
        after = _answers(self._pair.arm_folder, uids)
        samples, missing = self._samples(before)
        made = []
        for direction, uid in chosen:
            sample = samples.get(uid)
            picture, unread = _picture(sample)
            missing = missing or unread
            made.append(
                Flip(
                    arm=self._pair.key,
                    uid=uid,
                    direction=cast("Literal['gained', 'lost']", direction),
                    question=_question(sample, before[uid]),
                    options=before[uid].options or (),
                    gold=in_words(before[uid].gold, before[uid].options or ()) or "",
                    control_answer=_said(before[uid]),
                    arm_answer=_said(after[uid]),
                    picture=picture,
                )
            )
        if missing:
            remarks.append(f"gallery: flips of {self._place} have no picture: {missing}")
        return self._with_maps(made, remarks) if attention else made

    @property
    def _place(self) -> str:
        benchmark = self._control.run.parent
        return f"{benchmark.parent.name} on {benchmark.name}"

    def _samples(self, answers: Mapping[str, Prediction]) -> tuple[dict[str, Sample], str]:
        """The questions that are what was answered, and why others are not."""
        try:
            known = self._control.samples(set(answers))
        except ELSEWHERE as error:
            return {}, _why(error)
        same = {
            uid: sample
            for uid, sample in known.items()
            if answers[uid].options in (None, sample.options) and answers[uid].gold == sample.gold
        }
        changed = len(same) < len(answers)
        return same, "the data are no longer those that were answered" if changed else ""

    def _with_maps(self, made: Sequence[Flip], remarks: list[str]) -> list[Flip]:
        uids = [flip.uid for flip in made if flip.picture is not None]
        try:
            maps = attention_maps(self._control, self._arm, uids, SIDE) if uids else {}
        except ELSEWHERE as error:
            remarks.append(f"gallery: flips of {self._place} have no attention: {_why(error)}")
            return [*made]
        return [_with_map(flip, maps[flip.uid]) if flip.uid in maps else flip for flip in made]


def _answers(folder: Path, uids: Sequence[str]) -> dict[str, Prediction]:
    """Answers to some questions; of the others only the uid is read."""
    path, wanted = folder / "predictions.jsonl", set(uids)
    with path.open("rb") as file:
        numbers = [number for number, line in enumerate(file) if uid_of(line) in wanted]
    stored = Stored(path)
    return {answer.uid: answer for answer in (stored[number] for number in numbers)}


def _question(sample: Sample | None, answer: Prediction) -> str:
    if sample is None:
        return answer.question or ""
    return "\n".join(part for part in (sample.context, sample.text) if part)


def _said(answer: Prediction) -> str | None:
    return None if answer.parsed is None else in_words(answer.parsed, answer.options or ())


def _picture(sample: Sample | None) -> tuple[Image.Image | None, str]:
    """A small one, or why there is none."""
    if sample is None:
        return None, ""
    if not sample.images:
        return None, "the questions come without one"
    try:
        return thumbnail([image.load() for image in sample.images], SIDE), ""
    except ELSEWHERE as error:
        return None, _why(error)


def _with_map(flip: Flip, maps: BeforeAndAfter) -> Flip:
    """Both maps in the colours of one scale."""
    there = [each for each in (maps.control, maps.arm) if each is not None]
    top = max((float(part.max()) for each in there for part in each.density), default=0.0)
    return replace(
        flip,
        control_attention=_drawn(maps.control, top),
        arm_attention=_drawn(maps.arm, top),
        control_mass=maps.control.mass if maps.control else None,
        arm_mass=maps.arm.mass if maps.arm else None,
        scale=(
            f"0 (violet) to {_times(top)} (yellow) times even attention, mean over {maps.heads} "
            f"heads and {_layers(maps.layers)}"
        ),
    )


def _drawn(seen: AttentionMap | None, top: float) -> Image.Image | None:
    if seen is None:
        return None
    parts = zip(seen.pictures, seen.density, strict=True)
    return thumbnail([overlaid(picture, density, top) for picture, density in parts], SIDE)


def _times(top: float) -> str:
    return f"{top:.1f}" if top >= 10 else f"{top:.2f}"


def _layers(layers: Sequence[int]) -> str:
    """`layers 0 to 5`, `layer 3`, `layers 0, 2, 4`"""
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layers {', '.join(map(str, layers))}"


def _why(error: Exception) -> str:
    """One line; the name of what is no sentence."""
    said: Any = str(error).strip().splitlines()
    told = isinstance(error, ValueError | OSError | ImportError | RuntimeError) and said
    return said[0] if told else repr(error)

"""Finished cells as tidy pandas frames: a notebook needs no knowledge of folders.

    from solvent import results
    frame = results.cells("outputs/usage")
    frame.pivot_table("score_value", "intervention", "benchmark")

Text is `string`, counts are `Int64`, other numbers `float64`, lists `object`. Missing values are
pandas' own; `groupby` leaves lines out whose key is missing unless it is told `dropna=False`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from solvent.cells.configuration import stored_facts
from solvent.core.over_layers import over_layers
from solvent.core.types import (
    CandidateScore,
    Gold,
    Prediction,
    VisualEntropy,
    VisualMass,
    in_words,
)
from solvent.reports.facts import facts_of
from solvent.reports.finished import DAMAGE, FinishedCell, damage, read_each
from solvent.storage.folder import CellFolder

Record = dict[str, Any]
TEXT, COUNT, NUMBER, LIST = "string", "Int64", "float64", "object"
FLAG, FLAG_OR_MISSING = "bool", "boolean"
LABELS = {"model": TEXT, "benchmark": TEXT, "prompt": TEXT, "compat": TEXT, "intervention": TEXT,
          "variant": TEXT, "layers": TEXT, "condition": TEXT, "seed": COUNT,
          "setting": TEXT, "imported": TEXT}  # fmt: skip
SPREADS = ("visual_mass", "visual_entropy_nats")
MEASURED = {f"{name}_{when}": NUMBER for name in SPREADS for when in ("before", "after")}
CELLS = {
    **LABELS,
    **dict.fromkeys(("score_value", "score_low", "score_high"), NUMBER),
    "score_n": COUNT,
    "chance": NUMBER,
    **dict.fromkeys(("rows", "errors", "unparsed", "cut", "guessed"), COUNT),
    **MEASURED,
    **dict.fromkeys(("image_tokens_min", "image_tokens_mean", "image_tokens_max"), NUMBER),
    "entries_edited": COUNT,
    "seconds": NUMBER,
    "folder": TEXT,
}
SAMPLES = {
    **{"cell_condition" if name == "condition" else name: kind for name, kind in LABELS.items()},
    "uid": TEXT,
    "condition": TEXT,
    "scored": FLAG,
    "status": TEXT,
    "credit": NUMBER,
    "parsed": TEXT,
    "parsed_option": COUNT,
    "gold": TEXT,
    "gold_option": COUNT,
    "raw": TEXT,
    "thought": TEXT,
    "thought_tokens": COUNT,
    "guessed": FLAG,
    "cut": FLAG_OR_MISSING,
    "error": TEXT,
    **dict.fromkeys(("options", "log_probabilities", "blind_log_probabilities", "tokens"), LIST),
    **MEASURED,
    "image_tokens": COUNT,
    "entries_edited": COUNT,
    "folder": TEXT,
}
MAPPINGS = {"tag": "tags", "group": "groups", "shown": "shown"}  # prefix of columns -> of whom
VERDICTS = ("verdict", "strict")
BEGUN = ("config.yaml", "DONE")  # either shows that a folder is a cell
LEVELS = ("", "*", "*/*", "*/*/*", "*/*/*/*")  # a cell, ..., the folder of all results

log = logging.getLogger("solvent")


def cells(path: str | Path) -> pd.DataFrame:
    """One line per finished cell.

    - `model`, `benchmark`, `prompt`, `compat`, `intervention`, `variant`, `layers`, `condition`,
      `seed`, `setting`: the labels of `metrics.json`. `variant` is empty where nothing differs from
      the intervention's own file, `layers` is missing where nothing is edited, and cells of equal
      `setting` differ in the intervention and its seed only. `imported` is the mapping by which
      somebody else's saved answers became the cell; missing where it was run here.
    - `score_value`, `score_low`, `score_high`: the score and its 95 % interval, in [0, 1];
      `score_n`: units that it is a mean of (questions, or groups of them).
    - `chance`: the score to expect of who guesses, in [0, 1].
    - `rows`: questions asked; of these `errors` failed, `unparsed` could not be read, `cut`
      ran into the limit of tokens, and `guessed` were read by another harness's guess.
    - `visual_mass_before`, `visual_mass_after`: share of attention on the image under the learned
      scores and under the intervention, mean over samples and layers, in [0, 1];
      `visual_entropy_nats_before`, `visual_entropy_nats_after`: of the pattern over image tokens.
      Missing where no question shows an image.
    - `image_tokens_min`, `image_tokens_mean`, `image_tokens_max`: tokens of images in a prompt.
    - `entries_edited`: entries of the attention that were edited; `seconds`: spent on batches.
    - `folder`: of the cell, below `path` as it was given.
    - `scores_NAME_value`, `_low`, `_high`, `_n`: every other score, in [0, 1], but in points where
      there is `_highest`, the points of a model that is always right.
    - `measures_NAME_value`, `_low`, `_high`, `_n`: what stands behind a score (precision, recall),
      in [0, 1], but `words` is a number of them; NAME begins with that of the score where it is
      not the main one.
    - `test_NAME_verdict`, `test_NAME_strict`: of each modality-usage test, of the mean and of every
      sample; `test_NAME_value`, `_low`, `_high`, `_n`: the number that is judged, in the unit that
      the modality card shows. Missing where a cell was not tested, or the number is undefined.

    Slices by tag are left to `samples`.

    Args:
        path: folder of all results, of a study, of a model in it, or of one cell. Cells that are
            not finished or damaged are left out, each with a warning that names it.

    Raises:
        FileNotFoundError: there is no finished cell.
        ValueError: the one cell that was asked for is not finished or damaged, or all of them are.
    """
    return _frame(CELLS, _records(Path(path).expanduser(), _of_cell))


def samples(path: str | Path) -> pd.DataFrame:
    """One line per question of every finished cell, and condition under which it was asked.

    - `model`, `benchmark`, `prompt`, `compat`, `intervention`, `variant`, `layers`,
      `cell_condition`, `seed`, `setting`, `imported`: the labels of the cell, as in `cells`.
    - `uid`: of the question; `condition`: what was shown.
    - `scored`: whether the cell's score is made of this answer; all others were given for its
      modality-usage tests, which reuse scored answers that are those of `real`.
    - `status`: `ok`, `ambiguous`, `none` or `error`; `credit`: in [0, 1].
    - `parsed`, `gold`: the answer as read, and what is right, in words; `parsed_option`,
      `gold_option`: which of the options that is, from 0, missing where the answer is free.
    - `raw`: the text that was generated, missing where candidates were ranked; `thought`: what
      stood before it, and `thought_tokens`: how long that was, missing where the model does not
      think; `guessed`: whether another harness's rule guessed; `cut`: whether the text ran into
      the limit of tokens; `error`: why the sample failed.
    - `options`: list of their texts, empty where the answer is free.
    - `log_probabilities`, `tokens`: lists, one entry per option: natural logarithm summed over its
      tokens, and how many these are; `blind_log_probabilities`: the same without any image, where
      these are subtracted. Missing where nothing was ranked.
    - `visual_mass_before`, `visual_mass_after`: share of attention on the image, mean over layers,
      in [0, 1]; `visual_entropy_nats_before`, `visual_entropy_nats_after`: of the pattern over
      image tokens, mean over layers. Missing where it was not measured or no image is shown.
    - `image_tokens`: in the prompt; `entries_edited`: of this sample's attention.
    - `folder`: of the cell, below `path` as it was given.
    - `tag_NAME`, `group_NAME`, `shown_NAME`: tags and groups of the question, and what the
      condition did; missing where a question has none of that name.

    Args:
        path: as for `cells`; what is left out is, too.

    Raises:
        FileNotFoundError: there is no finished cell.
        ValueError: the one cell that was asked for is not finished or damaged, or all of them are.
    """
    return _frame(SAMPLES, _records(Path(path).expanduser(), _of_samples))


def _records(
    path: Path, read: Callable[[Path, FinishedCell], Iterable[Record]]
) -> Iterator[Record]:
    """Lines of all cells, one cell in memory at a time."""
    places = _finished(path)
    read_any, last = False, ""
    for place, cell in read_each(places, stored_facts):
        try:
            if isinstance(cell, str):
                raise ValueError(cell)
            found = list(read(place, cell))
        except DAMAGE as error:
            last = damage(place, error)
            if place == path:
                raise ValueError(last) from error
            log.warning("left out: %s", last)
            continue
        read_any = True
        yield from found
    if not read_any:
        raise ValueError(
            f"none of the {len(places):,} finished cells below {path} can be read: {last}"
        )


def _finished(path: Path) -> list[Path]:
    """Folders of finished cells at or below a folder."""
    found = {
        place.parent
        for level in LEVELS
        for name in BEGUN
        for place in path.glob(f"{level}/{name}".lstrip("/"))
    }
    done = []
    for place in sorted(found):
        if (place / "DONE").exists():
            done.append(place)
            continue
        said = f"{place} is not finished: run its command again, or ask `solvent status` why"
        if place == path:
            raise ValueError(said)
        log.warning("left out: %s", said)
    if not done:
        raise FileNotFoundError(
            f"there is no finished cell below {path}: give the folder of all results (outputs), of "
            "a study, of a model in it, or of a cell"
        )
    return done


def _of_cell(place: Path, cell: FinishedCell) -> Iterator[Record]:
    metrics = cell.metrics
    score, tokens = metrics["score"], metrics.get("image_tokens") or {}
    yield {
        **_labels(metrics),
        **_estimate("score", score),
        "chance": metrics["chance"],
        "rows": score["rows"],
        **{name: metrics.get(name) for name in ("errors", "unparsed", "cut", "guessed")},
        **{
            f"{name}_{when}": (metrics.get(name) or {}).get(when)
            for name in SPREADS
            for when in ("before", "after")
        },
        **{f"image_tokens_{name}": tokens.get(name) for name in ("min", "mean", "max")},
        "entries_edited": metrics["cells_edited"],
        "seconds": metrics["seconds"],
        "folder": str(place),
        **_other_scores(metrics),
        **_tests(metrics.get("diagnostics") or {}),
    }


def _labels(metrics: Mapping[str, Any]) -> Record:
    return {name: metrics.get(name) for name in LABELS}  # old cells lack some


def _estimate(name: str, estimate: Mapping[str, Any]) -> Record:
    """A score, or a number of a test, by column."""
    keys = ("value", "low", "high", "n", *(["highest"] if "highest" in estimate else []))
    return {f"{name}_{key}": estimate[key] for key in keys}


def _other_scores(metrics: Mapping[str, Any]) -> Record:
    found: Record = {}
    for name, estimate in metrics["scores"].items():
        found |= _estimate(f"scores_{name}", estimate)
    for name, estimate in {"": metrics["score"], **metrics["scores"]}.items():
        for part, measure in estimate.get("measures", {}).items():
            found |= _estimate("_".join(filter(None, ("measures", name, part))), measure)
    return found


def _tests(findings: Mapping[str, Mapping[str, Any]]) -> Record:
    found: Record = {}
    for name, finding in findings.items():
        found |= {f"test_{name}_{key}": finding[key] for key in VERDICTS}
        number = finding["metrics"].get(facts_of(name, finding).number)
        if isinstance(number, Mapping):
            found |= _estimate(f"test_{name}", number)
    return found


def _of_samples(place: Path, cell: FinishedCell) -> Iterator[Record]:
    labels = _labels(cell.metrics)
    shared = {"cell_condition": labels.pop("condition"), **labels, "folder": str(place)}
    for prediction in cell.predictions:
        yield {**shared, "scored": True, **_of_prediction(prediction)}
    for answered in sorted((place / "diagnostics").glob("*/predictions.jsonl")):
        for prediction in CellFolder(answered.parent).stored():
            yield {**shared, "scored": False, **_of_prediction(prediction)}


def _of_prediction(prediction: Prediction) -> Record:
    options, scores = prediction.options, prediction.scores
    record: Record = {
        "parsed": _words(prediction.parsed, options),
        "parsed_option": _option(prediction.parsed),
        "gold": _words(prediction.gold, options),
        "gold_option": _option(prediction.gold),
        "options": None if options is None else list(options),
        "log_probabilities": _log_probabilities(scores),
        "blind_log_probabilities": _log_probabilities(prediction.blind_scores),
        "tokens": None if scores is None else [score.tokens for score in scores],
        **_means("visual_mass", prediction.visual_mass),
        **_means("visual_entropy_nats", prediction.visual_entropy),
        "image_tokens": prediction.n_image_tokens,
        "entries_edited": prediction.cells_edited,
    }
    for name in (
        "uid",
        "condition",
        "status",
        "credit",
        "raw",
        "guessed",
        "cut",
        "error",
        "thought",
        "thought_tokens",
    ):
        record[name] = getattr(prediction, name)
    for prefix, name in MAPPINGS.items():
        for key, value in (getattr(prediction, name) or {}).items():
            record[f"{prefix}_{key}"] = value
    return record


def _words(answer: Gold | str | None, options: tuple[str, ...] | None) -> str | None:
    """As a person would say it; None in files that do not say what the options were."""
    return None if isinstance(answer, int) and options is None else in_words(answer, options or ())


def _option(answer: Gold | str | None) -> int | None:
    return answer if isinstance(answer, int) else None


def _log_probabilities(scores: tuple[CandidateScore, ...] | None) -> list[float] | None:
    return None if scores is None else [score.log_probability for score in scores]


def _means(name: str, layers: VisualMass | VisualEntropy | None) -> Record:
    """Over layers."""
    if layers is None:
        return {}
    values = {"before": layers.before, "after": layers.after}
    return {f"{name}_{when}": over_layers(each) for when, each in values.items()}


@dataclass
class Columns:
    """Records by column, each let go when it is added: half the memory of a list of them."""

    count: int = 0
    values: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """One line; what it or all before it lack is None there."""
        for name, value in record.items():
            column = self.values.setdefault(name, [])
            if len(column) < self.count:
                self._fill(column)
            column.append(value)
        self.count += 1

    def series(self, name: str, kind: str) -> pd.Series:
        """One column in full."""
        column = self.values.get(name, [])
        self._fill(column)
        return pd.Series(column, dtype=kind)

    def _fill(self, column: list[Any]) -> None:
        column.extend([None] * (self.count - len(column)))


def _frame(kinds: Mapping[str, str], records: Iterable[Record]) -> pd.DataFrame:
    """Columns that are always there, then those that some cell has, by name."""
    columns = Columns()
    for record in records:
        columns.add(record)
    names = [*kinds, *sorted(columns.values.keys() - kinds.keys())]
    return pd.DataFrame(
        {name: columns.series(name, kinds.get(name) or _kind(name)) for name in names}
    )


def _kind(name: str) -> str:
    """Of a column that only some cells have."""
    if name.startswith(tuple(f"{prefix}_" for prefix in MAPPINGS)) or name.endswith(VERDICTS):
        return TEXT
    return COUNT if name.endswith("_n") else NUMBER

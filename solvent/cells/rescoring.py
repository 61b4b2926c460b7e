"""The stored answers of a finished cell, read and scored by other rules."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.cells.building import build, target
from solvent.cells.configuration import check_targets, has_setting, stored_config, with_change
from solvent.cells.request import Settings
from solvent.cells.scoring import scored
from solvent.core.paths import CONF
from solvent.core.redaction import redacted_text
from solvent.core.text import marked
from solvent.core.types import Benchmark, Prediction, Sample
from solvent.reports.table import console, of_rows, percent
from solvent.storage.folder import CellFolder

PARSERS = "solvent.benchmarks.parsers"


def rescore(run: Path, changes: Sequence[str], *, label: str | None, write: bool) -> dict[str, Any]:
    """Print old and new scores of a cell; returns the new metrics.

    Args:
        run: folder of a finished cell.
        changes: `parser=NAME`, `compat=NAME` or `benchmark.SETTING=VALUE` each.
        label: of the file that `write` makes; None: made from the changes.
        write: keep the new metrics as `metrics-LABEL.json`.

    Raises:
        FileNotFoundError: there is no finished cell.
        ValueError: a change cannot be made, or the file exists already.
    """
    folder = CellFolder(run)
    if not folder.declared:
        raise FileNotFoundError(
            f"{run} is no finished cell (it has no DONE): give the folder that "
            "`python evaluate.py` prints at its end"
        )
    if not (run / "config.yaml").is_file():
        raise FileNotFoundError(f"{run} has no config.yaml, which says how its answers are read")
    stored = stored_config(run / "config.yaml")
    config = changed(with_own_extractor(stored, changes, run / "config.yaml"), changes)
    benchmark = build(config["benchmark"], "benchmark")
    if "compat" in config:
        benchmark = build(config["compat"], "compat")(benchmark)
    folder.check()
    before, metrics = folder.predictions(), folder.metrics()
    after = [read_again(benchmark, prediction) for prediction in before]
    new = metrics | scored(benchmark, after)
    if "compat" in config:
        new["compat"] = config["compat"]["name"]
    screen = console()
    _show(screen, metrics, new)
    pairs = list(zip(after, before, strict=True))
    read = sum(_said(one) != _said(other) for one, other in pairs)
    worth = sum(one.credit != other.credit for one, other in pairs)
    said = f"{read:,} of {len(before):,} answers are read otherwise, {worth:,} judged otherwise"
    screen.print(said)
    if write:
        typed = [redacted_text(change) for change in changes]
        path = _write(run, label or _label(typed), new | {"changes": typed})
        screen.print(f"[dim]{marked(str(path))}[/dim]", highlight=False)
    return new


def with_own_extractor(stored: Settings, changes: Sequence[str], path: Path) -> Settings:
    """A stored configuration that only computes, but for an extractor of one's own.

    A language model that reads answers is called, and its replies are written: where to is taken
    from conf/compat and from the changes, never from a record, which may be somebody else's.

    Raises:
        ValueError: the record would call something, or says otherwise than conf/compat.
    """
    check_targets(stored["benchmark"], ("solvent.benchmarks",), path)
    compat = stored.get("compat") or {}
    own = _profile("llm")
    if compat.get("_target_") != own["_target_"]:
        check_targets(compat, ("solvent.benchmarks",), path)
        return stored
    said = {change.partition("=")[0] for change in changes}
    if "compat" in said:  # another profile takes its place
        return {**stored, "compat": own}
    for key in ("model", "base_url", "cache"):
        if compat.get(key) != own[key] and f"compat.{key}" not in said:
            raise ValueError(
                f"{path} has compat.{key}={compat.get(key)!r}, and conf/compat/llm.yaml has "
                f"{own[key]!r}: whom to call and where to write is not taken from a stored record; "
                f"say compat.{key}=VALUE yourself, or compat=none"
            )
    return {**stored, "compat": own}


def changed(config: Settings, changes: Sequence[str]) -> Settings:
    """The configuration of a cell with other rules. Raises `ValueError` for any other change."""
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"{change!r} is no setting=value")
        if key == "parser":
            benchmark = {**config["benchmark"], "parser": {"_target_": _parser(value)}}
            config = {**config, "benchmark": benchmark}
        elif key == "compat":
            config = {**config, "compat": _profile(value)}
        elif key.startswith(("benchmark.", "compat.")) and has_setting(config, key):
            config = with_change(config, change)
        else:
            raise ValueError(
                f"{key!r} cannot be changed after the answers were given: expected parser=NAME, "
                "compat=NAME or a setting benchmark.SETTING=VALUE or compat.SETTING=VALUE of the "
                "run's config.yaml"
            )
    return config


def read_again(benchmark: Benchmark, prediction: Prediction) -> Prediction:
    """The prediction as the benchmark reads its raw answer or chooses by its scores; a failed one
    stays as it is.
    """
    if prediction.status == "error":
        return prediction
    sample = _sample(prediction)
    if prediction.raw is None:
        reading = benchmark.choose(prediction.scores, sample, prediction.blind_scores)
    else:
        reading = benchmark.parse(prediction.raw, sample)
    return dataclasses.replace(
        prediction,
        parsed=reading.value,
        status=reading.status,
        credit=benchmark.credit(reading, sample),
        guessed=reading.guessed,
    )


def _sample(prediction: Prediction) -> Sample:
    """What a stored prediction still knows of its sample."""
    options = prediction.options
    if options is None and prediction.scores is not None:
        options = tuple(str(number) for number, _ in enumerate(prediction.scores))
    if options is None:
        raise ValueError(
            f"the answer to {prediction.uid} was stored by an older version, without its options: "
            "run the cell again"
        )
    return Sample(
        uid=prediction.uid,
        images=(),
        text=prediction.question or "",
        options=options,
        gold=prediction.gold,
        groups=prediction.groups,
        tags=prediction.tags,
    )


def _said(prediction: Prediction) -> tuple[Any, ...]:
    return prediction.parsed, prediction.status, prediction.guessed


def _parser(name: str) -> str:
    full = name if "." in name else f"{PARSERS}.{name}"
    target(full, "parser")
    return full


def _profile(name: str) -> Settings:
    folder = CONF / "compat"
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise ValueError(f"there is no compat named {name!r}; known are {', '.join(known)}")
    return yaml.safe_load(known[name].read_text(encoding="utf-8"))


def _label(changes: Sequence[str]) -> str:
    return re.sub(r"[^\w.=-]+", "-", "-".join(changes)).replace("=", "-").strip("-") or "same"


def _write(run: Path, label: str, metrics: Mapping[str, Any]) -> Path:
    if not re.fullmatch(r"[\w.-]+", label):
        raise ValueError(f"the label {label!r} is no file name: use letters, digits, . _ and -")
    path = run / f"metrics-{label}.json"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    except FileExistsError as error:
        raise ValueError(f"{path} exists already: give another --label") from error
    return path


def _show(screen: Console, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    table = Table("measure", box=box.SIMPLE_HEAD)
    for when in ("as stored", "again"):
        table.add_column(when, justify="right")
    scores = [
        {"score": each["score"], **each["score"].get("measures", {}), **each["scores"]}
        for each in (old, new)
    ]
    for name in dict.fromkeys([*scores[0], *scores[1]]):
        table.add_row(
            marked(name), *(percent(each[name]) if name in each else "" for each in scores)
        )
    for name in ("unparsed", "cut", "guessed", "errors"):
        cells = [of_rows(each, name) if name in each else "" for each in (old, new)]
        if any(cells):
            table.add_row(name, *cells)
    screen.print(table)

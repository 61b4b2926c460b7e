"""Random effects: what an arm does on benchmarks, or to models, like those that were run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd

from solvent.studies.comparison.paired_statistics.random_effects import (
    summarise,
    summarise_crossed,
)

OVER = {"benchmarks": "model", "models": "benchmark", "both": ""}  # -> what is held


def summaries(arms: pd.DataFrame) -> pd.DataFrame:
    """Of every arm that several families have, over benchmarks, over models, and over both.

    Where a model and benchmark has several families with an arm, of several limits say, that arm
    has no summary: which of them counts is not for us to choose.
    """
    compared = arms[arms["control"].notna() & arms["difference_low"].notna()]
    lines = [line for over, held in OVER.items() for line in _lines(compared, over, held)]
    return pd.DataFrame(lines, columns=list(COLUMNS))


ENDS = ("low", "high", "prediction_low", "prediction_high")
COLUMNS = ("over", "name", "of", "k", "value", "low", "high", "prediction_low", "prediction_high",
           "tau", "i2")  # fmt: skip


def _lines(arms: pd.DataFrame, over: str, held: str) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for arm in arms.itertuples():
        groups[arm.name, getattr(arm, held) if held else ""].append(arm)
    for (name, of), members in groups.items():
        pairs = [(arm.model, arm.benchmark) for arm in members]
        varied = len({pair[1] for pair in pairs}), len({pair[0] for pair in pairs})
        several = {"benchmarks": varied[0] > 1, "models": varied[1] > 1, "both": min(varied) > 1}
        if not several[over] or len(set(pairs)) < len(pairs):
            continue
        values, errors = zip(*((arm.difference_value, arm.error) for arm in members), strict=True)
        if over == "both":
            found = summarise_crossed(values, errors, *zip(*pairs, strict=True))
        else:
            found = summarise(values, errors)
        numbers = {each: getattr(found, each) for each in COLUMNS[3:]}
        for end in ENDS:  # no difference of two rates is beyond
            if numbers[end] is not None:
                numbers[end] = min(1.0, max(-1.0, numbers[end]))
        yield {"over": over, "name": name, "of": of, **numbers}

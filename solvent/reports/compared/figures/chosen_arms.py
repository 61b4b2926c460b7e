"""Which arms a figure shows where a study has more than fit: the registered ones and the positive
control, then those whose difference is clearest; and the words that say so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent.reports.compared.frames import Comparison

SHARES = tuple(f"{what}_{end}" for what in ("score", "difference", "band", "prediction")
               for end in ("value", "low", "high"))  # fmt: skip
MEAN = ("value", "low", "high")
NUMBERS = {
    "arms": (*SHARES, "n", "clusters", "seeds", "margin", "chance", "visual_mass_before",
             "visual_mass_after"),
    "slices": (*SHARES, "n", "clusters", "control_accuracy", "p_adjusted"),
    "curves": (*SHARES, "x", "n"),
    "peaks": (*MEAN, "chosen_value", "n"),
    "summaries": (*SHARES, *MEAN, "k"),
}  # fmt: skip
NO_INTERVAL = "Where there is no interval, too few images have a say."
RANK = {"primary": 0, "positive control": 1}


def with_floats(comparison: Comparison) -> Comparison:
    """Numbers as floats, missing ones as NaN, whatever a frame says that they are."""
    frames = {name: getattr(comparison, name) for name in NUMBERS}
    floats = {
        name: frame.assign(
            **{
                column: pd.to_numeric(frame[column], errors="coerce").astype(float)
                for column in frame.columns.intersection(NUMBERS[name])
            }
        )
        for name, frame in frames.items()
    }
    return replace(comparison, **floats)


def against_control(comparison: Comparison) -> pd.DataFrame:
    """The arms that have a difference, in the order to show them."""
    arms = comparison.arms
    return arms[(arms["role"] != "control") & arms["difference_value"].notna()]


def clearest(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, in their order: by role, then by difference over half its interval."""
    if len(rows) <= most:
        return rows
    half = (rows["difference_high"] - rows["difference_low"]) / 2
    clear = (rows["difference_value"].abs() / half.clip(lower=1e-9)).fillna(0)
    rank = rows["role"].map(RANK).fillna(2) if "role" in rows else pd.Series(2, rows.index)
    order = np.lexsort((np.arange(len(rows)), -clear.to_numpy(), rank.to_numpy()))
    return rows.iloc[np.sort(order[:most])]


def left_out(shown: int, there: int, what: str = "arms") -> str:
    """A sentence for the caption; nothing where all are shown."""
    if shown == there:
        return ""
    return (
        f"Shown are {shown:,} of {there:,} {what}: the registered ones, positive controls, and "
        "those whose difference is clearest."
    )


def sentences(*parts: str) -> str:
    """Those that there are, one behind the other."""
    return " ".join(part for part in parts if part)


def named(arm: pd.Series) -> str:
    """An arm's name, with its seeds where it has several."""
    return f"{arm['name']} ({arm['seeds']:.0f} seeds)" if arm["seeds"] > 1 else str(arm["name"])


def seeds_too(rows: pd.DataFrame) -> str:
    """What intervals are over."""
    return "images and seeds" if (rows["seeds"] > 1).any() else "images"

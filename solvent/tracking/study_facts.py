"""What a dashboard shows of a comparison: flat numbers of its arms, and tables of plain values.

It reads `arms` by the names of its columns (solvent.reports.compared.frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from solvent.tracking.clean_files import clean_frame

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = {"difference": "difference_value", "low": "difference_low", "high": "difference_high",
           "p_adjusted": "p_adjusted", "n": "n", "score": "score_value",
           "verdict": "verdict"}  # fmt: skip
FIRST = ("primary", "positive control")  # roles that a summary names before all others
LONGEST_ARTIFACT = 128  # characters of a name that W&B takes


def run_id(project: str, study: str) -> str:
    """Of the run of a study: comparing it again gives the same."""
    return f"compare-{sha256(f'{project}/{study}'.encode()).hexdigest()[:12]}"


def artifact_name(study: str) -> str:
    """`comparison-<study>` as W&B takes it: letters, digits, dots, hyphens and underscores."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in study)
    return f"comparison-{kept}"[:LONGEST_ARTIFACT]


def study_tags(arms: pd.DataFrame) -> list[str]:
    """Models and benchmarks that are compared."""
    return sorted({str(each) for name in ("model", "benchmark") for each in arms[name].dropna()})


def study_config(arms: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of the comparison, and of its arms: margins and keys of registered ones."""
    return {
        "margins": sorted({float(each) for each in arms["margin"].dropna()}),
        "primaries": [str(each) for each in arms["key"][arms["role"] == "primary"]],
        **facts,
    }


def study_summary(arms: pd.DataFrame, most: int) -> dict[str, Any]:
    """Flat numbers by stable names: `arm/<key>/difference`, `verdicts/<verdict>`, and counts.

    Args:
        arms: of the comparison, controls too.
        most: arms that are named, at most; registered ones and positive controls come first.
    """
    compared = arms[arms["role"] != "control"]
    named = _named(compared, most)
    summary: dict[str, Any] = {
        "arms": len(compared),
        "controls": len(arms) - len(compared),
        "arms_in_table_only": len(compared) - len(named),
    }
    for verdict, count in compared["verdict"].value_counts(sort=False).items():
        summary[f"verdicts/{_slug(str(verdict))}"] = int(count)
    for arm in table(named, len(named)):
        for name, column in NUMBERS.items():
            if arm[column] is not None:
                summary[arm_number(str(arm["key"]), name)] = arm[column]
    return summary


def arm_number(key: str, name: str) -> str:
    """Name of a number of an arm. W&B takes a dot for a level of its own."""
    return f"arm/{key.replace('.', '_')}/{name}"


def named_arms(arms: pd.DataFrame, most: int) -> list[dict[str, Any]]:
    """The arms that a summary names, by column, without controls."""
    named = _named(arms[arms["role"] != "control"], most)
    return table(named, len(named))


def table(frame: pd.DataFrame, most: int) -> list[dict[str, Any]]:
    """The first lines of a frame as plain values by column; None where one is missing."""
    import pandas as pd

    shown = clean_frame(frame.head(most))
    columns: list[Sequence[Any]] = [
        [None if pd.isna(value) else value for value in shown[name].tolist()]
        for name in shown.columns
    ]
    return [dict(zip(shown.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _named(compared: pd.DataFrame, most: int) -> pd.DataFrame:
    ranks = compared["role"].map({role: rank for rank, role in enumerate(FIRST)})
    return compared.loc[ranks.fillna(len(FIRST)).sort_values(kind="stable").index].head(most)


def _slug(verdict: str) -> str:
    return verdict.lower().replace(" ", "_")

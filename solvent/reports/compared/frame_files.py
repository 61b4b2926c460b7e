"""A comparison as files: every frame as CSV and Parquet, the arms as LaTeX and Markdown.

CSV is for people and spreadsheets, which take no text in it for a formula. Parquet keeps types, and
says in its metadata what a column is measured in, and where the comparison is from. Equal
comparisons give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from solvent.core.files import disk_errors_explained, replacing, write_atomically
from solvent.core.text import spreadsheet
from solvent.reports.compared.frames import Comparison
from solvent.reports.compared.paper_tables import latex, markdown

FRAMES = ("arms", "cells", "slices", "curves", "peaks", "summaries", "assay", "measures")
TEXTS: dict[str, Callable[[Comparison], str]] = {"arms.tex": latex, "arms.md": markdown}
METADATA = "solvent"  # key of what a Parquet file says about itself, as JSON
SHARES, DIFFERENCES, COUNTS = "share, 0 to 1", "difference of shares, -1 to 1", "count"
ENDS = ("value", "low", "high")
UNITS = {
    **dict.fromkeys(
        (
            "accuracy", "control_accuracy", "chance", "seeds_better", "discordant", "unparsed",
            "errors", "cut", "guessed", "i2", *(f"score_{end}" for end in ENDS),
            *(f"visual_mass_{when}" for when in ("before", "after")),
        ),
        SHARES,
    ),
    **dict.fromkeys(
        (
            "seed_sd", "error", "margin", "detectable", "band_low", "band_high", "tau",
            "chosen_value", "prediction_low", "prediction_high",
            *(f"{of}difference_{end}" for of in ("", "score_") for end in ENDS),
        ),
        DIFFERENCES,
    ),
    **dict.fromkeys(
        (
            "n", "score_n", "clusters", "effective", "seeds", "gained", "lost", "needed", "skipped",
            "entries_edited", "cells_edited", "k", "difference_n", "difference_clusters",
        ),
        COUNTS,
    ),
    **dict.fromkeys(
        (
            "p", "p_adjusted", "p_worse", "p_better", "p_not_inferior", "p_equivalent",
        ),
        "probability",
    ),
    **dict.fromkeys((f"visual_entropy_nats_{when}" for when in ("before", "after")), "nats"),
    "seconds": "seconds",
    "cost": "ratio to the control",
    "design_effect": "ratio of variances",
}  # fmt: skip
"""Of columns, by name, wherever they occur; `value`, `low` and `high` are by frame."""
OF_FRAMES = {"peaks": DIFFERENCES, "summaries": DIFFERENCES}
COUNTED_IN_CELLS = ("unparsed", "errors", "cut", "guessed")  # there as counts, elsewhere as rates
SCORES = tuple(f"score_{end}" for end in ENDS)  # of a cell, in points where the benchmark has some


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write all files, each at once or not at all; a frame that is empty has none.

    Args:
        comparison: what to write.
        folder: where to; it is made.

    Returns their paths. Raises `DiskError` where one cannot be written.
    """
    with disk_errors_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name in FRAMES:
        frame: pd.DataFrame = getattr(comparison, name)
        places = folder / f"{name}.csv", folder / f"{name}.parquet"
        if not len(frame):
            for place in places:
                place.unlink(missing_ok=True)  # of a comparison that had some
            continue
        text = spreadsheet(frame).to_csv(index=False, lineterminator="\n")
        write_atomically(places[0], text)
        _write_parquet(places[1], typed(comparison, name))
        written += places
    for name, render in TEXTS.items():
        write_atomically(folder / name, render(comparison))
        written.append(folder / name)
    return written


def typed(comparison: Comparison, name: str) -> pa.Table:
    """A frame with the types, units and origin that its Parquet file keeps.

    A column of which nothing is known is text, as it would be were something known.
    """
    frame: pd.DataFrame = getattr(comparison, name)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = []
    for field in table.schema:
        kind = pa.string() if pa.types.is_null(field.type) else field.type
        unit = _unit(name, field.name)
        fields.append(pa.field(field.name, kind, metadata={"unit": unit} if unit else None))
    about = {
        "study": comparison.study,
        "baseline": comparison.baseline,
        "frame": name,
        "provenance": dict(comparison.provenance),
        "remarks": list(comparison.remarks),
    }
    own = {METADATA: json.dumps(about, ensure_ascii=False)}
    return table.cast(pa.schema(fields, metadata={**(table.schema.metadata or {}), **own}))


def _unit(frame: str, column: str) -> str | None:
    if column in ENDS:
        return OF_FRAMES.get(frame)
    if frame == "cells" and column in SCORES:
        return None
    if frame == "cells" and column in COUNTED_IN_CELLS:
        return COUNTS
    return UNITS.get(column)


def _write_parquet(path: Path, table: pa.Table) -> None:
    with disk_errors_explained(path), replacing(path) as new:
        pq.write_table(table, new)

"""Score published answers to MMMU by the official rules and by ours.

python -m tools.replay PATH

PATH is a model's folder of `example_outputs` in https://github.com/MMMU-Benchmark/MMMU, which holds
one `output.json` per subject.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from solvent.benchmarks.compat.official import (
    MmmuContains,
    MmmuLetter,
    MmmuOpen,
    SequentialPick,
)
from solvent.benchmarks.compat.vlmevalkit import GoldAsOption, InferredLetter
from solvent.benchmarks.freeform import FreeForm, Open, Whole
from solvent.benchmarks.matchers import Contains
from solvent.benchmarks.parsers import Letter, Parser, Reading
from solvent.benchmarks.prompts import letters
from solvent.core.types import Accepted


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How all answers are read."""

    parser: Parser
    free: FreeForm


@dataclass(frozen=True)
class Read:
    """One answer as it was read."""

    reading: Reading
    credit: float
    options: bool  # the question had some


def readers() -> dict[str, Reader]:
    """Ours, the official rules with their picks in the published order, and VLMEvalKit's."""
    return {
        "ours": Reader(parser=Letter(), free=FreeForm(parser=Open(), matcher=Contains())),
        "official": Reader(
            parser=MmmuLetter(pick=SequentialPick(seed=42)),
            free=FreeForm(parser=MmmuOpen(), matcher=MmmuContains()),
        ),
        "vlmevalkit": Reader(
            parser=InferredLetter(), free=FreeForm(parser=Whole(), matcher=GoldAsOption())
        ),
    }


def published_answers(folder: Path) -> list[dict[str, Any]]:
    """All rows, by subject. Raises `FileNotFoundError` where there are none."""
    files = sorted(folder.glob("*/output.json"))
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no SUBJECT/output.json: give a model's folder of example_outputs"
        )
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def replay(rows: Sequence[dict[str, Any]], reader: Reader) -> list[Read]:
    """Every answer as a reader reads it, in the order of the rows."""
    return [_read(row, reader) for row in rows]


def _read(row: dict[str, Any], reader: Reader) -> Read:
    if row["question_type"] == "multiple-choice":
        options = list(row["index2ans"].values())
        reading = reader.parser(row["response"], options)
        gold = letters(len(options)).index(row["answer"])
        return Read(reading, float(reading.status == "ok" and reading.value == gold), True)
    answers = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
    gold = Accepted(answers=tuple(answers))
    reading = reader.free.parser(row["response"], gold, "")
    read = reading.status == "ok"
    return Read(reading, reader.free.matcher(reading.value, gold) if read else 0.0, False)


def show(rows: Sequence[dict[str, Any]], screen: Console) -> None:
    """Scores by every reader, and how far ours agrees with the official letters."""
    table = Table("rules")
    for column in ("score", "right", "unparsed", "guessed, of these right"):
        table.add_column(column, justify="right")
    found = {name: replay(rows, reader) for name, reader in readers().items()}
    for name, reads in found.items():
        right = sum(read.credit for read in reads)
        unparsed = sum(read.reading.status != "ok" for read in reads)
        guessed = [read.credit for read in reads if read.reading.guessed]
        table.add_row(
            name,
            f"{100 * right / len(rows):.2f} %",
            f"{right:.0f} of {len(rows)}",
            f"{unparsed} ({100 * unparsed / len(rows):.1f} %)",
            f"{len(guessed)}, {sum(guessed):.0f}",
        )
    screen.print(table)
    both = [
        ours.reading.value == official.reading.value
        for ours, official in zip(found["ours"], found["official"], strict=True)
        if ours.options and ours.reading.status == "ok"
    ]
    screen.print(
        f"ours and official name the same letter in {sum(both)} of {len(both)} that we read"
    )


def main() -> None:
    """Read the argument, print the table."""
    if len(sys.argv) != 2:
        sys.exit("Give one folder: python -m tools.replay PATH/example_outputs/MODEL")
    try:
        show(published_answers(Path(sys.argv[1])), Console())
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

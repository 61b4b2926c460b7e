"""How well answers are read: precision and coverage on the answers of tests/benchmarks/answers.

python -m tools.corpus            # prints the tables of docs/reading.md
python -m tools.corpus --write    # writes them there

Every line of a file there is an answer, with the parser that reads it, the reading that a careful
person gives it (`right`: an option's index, the value of a free answer, "ambiguous" or "none"), and
what would be acceptable, too. A further file needs no change here.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from solvent.benchmarks import freeform, parsers
from solvent.benchmarks.parsers import Reading
from solvent.core.intervals import wilson
from solvent.core.types import Accepted

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = ROOT / "tests/benchmarks/answers"
PAGE = ROOT / "docs/reading.md"
NORMAL = 1.959963984540054  # quantile of the normal distribution for 95 %
OPTIONS = ("Letter", "Words", "YesNo")
KINDS = {"Number": "number", "Numbers": "list"}  # of free answers, by parser; others: text
LANGUAGES = {
    "ar": "Arabic", "de": "German", "en": "English", "es": "Spanish", "fr": "French", "hi": "Hindi",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "pt": "Portuguese", "ru": "Russian",
    "zh": "Chinese",
}  # fmt: skip
UNREAD = ("ambiguous", "none")
Value = int | str | list[float]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One line of the corpus."""

    file: str
    parser: str
    kind: str
    language: str
    answer: str
    right: Value
    acceptable: Sequence[Value] = ()
    options: Sequence[str] = ()
    question: str = ""

    @property
    def says_something(self) -> bool:
        """Whether a careful person reads an answer from it."""
        return self.right not in UNREAD

    @cached_property
    def reading(self) -> Reading:
        """As our parser reads it."""
        if self.parser in OPTIONS:
            return getattr(parsers, self.parser)()(self.answer, self.options)
        gold = Accepted(answers=(), kind=KINDS.get(self.parser, "text"))
        return getattr(freeform, self.parser)()(self.answer, gold, self.question)

    @property
    def read(self) -> bool:
        """Whether an answer was read."""
        return self.reading.status == "ok"

    @property
    def well_read(self) -> bool:
        """Whether it is the right one, or an acceptable one."""
        return self.read and any(
            _same(self.reading.value, value) for value in (self.right, *self.acceptable)
        )


@dataclass(frozen=True)
class Counts:
    """Of some answers."""

    answers: int
    saying: int  # from which a careful person reads an answer
    read: int
    well: int
    covered: int  # that say something and are read well

    @property
    def precision(self) -> float:
        """Of what is read, the share that is read well."""
        return self.well / self.read if self.read else 1.0

    @property
    def coverage(self) -> float:
        """Of the answers that say something, the share that is read well."""
        return self.covered / self.saying if self.saying else 1.0


def answers(folder: Path = ANSWERS) -> list[Answer]:
    """All answers of a folder, by file. Raises `ValueError` naming a line that is none."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                found.append(Answer(file=path.stem, **json.loads(line)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}, is no answer: {error}") from error
    return found


def counted(rows: Iterable[Answer]) -> Counts:
    """The counts of some answers."""
    rows = list(rows)
    return Counts(
        answers=len(rows),
        saying=sum(row.says_something for row in rows),
        read=sum(row.read for row in rows),
        well=sum(row.well_read for row in rows),
        covered=sum(row.says_something and row.well_read for row in rows),
    )


def families(rows: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Answers that choose an option, and free ones."""
    found = {
        "options": [row for row in rows if row.parser in OPTIONS],
        "free": [row for row in rows if row.parser not in OPTIONS],
    }
    return {name: members for name, members in found.items() if members}


def tables(rows: Sequence[Answer]) -> str:
    """Three tables in markdown: by file and parser, by kind, by language."""
    return "\n\n".join(
        (
            _table("file, parser", rows, lambda row: f"`{row.file}`, `{row.parser}`")
            + f"\n{_line('**all**', counted(rows))}",
            _table("kind", rows, lambda row: row.kind),
            _table("language", rows, lambda row: LANGUAGES[row.language]),
        )
    )


def page(text: str, blocks: Mapping[str, str]) -> str:
    """A page with new tables between its marks. Raises `ValueError` where it has no such marks."""
    for name, block in blocks.items():
        marks = re.compile(rf"(?s)(<!-- corpus: {name} -->\n).*?(<!-- end -->)")
        if not marks.search(text):
            raise ValueError(
                f"the page has no place for the tables of {name!r}: write "
                f"`<!-- corpus: {name} -->` and `<!-- end -->` on lines of their own"
            )
        text = marks.sub(lambda found, block=block: f"{found[1]}\n{block}\n{found[2]}", text)
    return text


def _same(value: int | str | None, right: Value) -> bool:
    """Whether a reading is what is right; of numbers, and lists of them, to nine digits."""
    if value == right or isinstance(value, int) or isinstance(right, int):
        return value == right
    try:
        said, meant = (json.loads(str(each)) for each in (value, right))
        return bool(np.allclose(said, meant, rtol=1e-9, atol=0))
    except (ValueError, TypeError):
        return False


def _table(what: str, rows: Sequence[Answer], key: Callable[[Answer], str]) -> str:
    groups: dict[str, list[Answer]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    lines = [f"| {what} | answers | say something | are read | precision, % | coverage, % |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    return "\n".join([*lines, *(_line(name, counted(groups[name])) for name in sorted(groups))])


def _line(name: str, counts: Counts) -> str:
    cells = [f"{counts.answers:,}", f"{counts.saying:,}", f"{counts.read:,}"]
    for share, part, whole in (
        (counts.precision, counts.well, counts.read),
        (counts.coverage, counts.covered, counts.saying),
    ):
        low, high = wilson(part / whole, whole, NORMAL) if whole else (0.0, 1.0)
        shown = f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        cells.append(shown if whole else "")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(prog="python -m tools.corpus", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/reading.md")
    arguments = parser.parse_args()
    blocks = {name: tables(rows) for name, rows in families(answers()).items()}
    if arguments.write:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    else:
        sys.stdout.write("\n\n".join(blocks.values()) + "\n")


if __name__ == "__main__":
    main()

"""The table of `python -m solvent status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from solvent.reports.table import console
from solvent.studies.cell_status import STATES, CellStatus

COLOURS = {"damaged": "magenta", "failed": "red", "stopped": "yellow", "running": "cyan",
           "waiting": "dim", "done": "green"}  # fmt: skip


def show_status(cells: Sequence[CellStatus]) -> None:
    """A row per cell that is not done, a row per model and benchmark for all that are, a sum."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("state")
    table.add_column("cell", no_wrap=True)
    for column in ("progress", "failed samples"):
        table.add_column(column, justify="right")
    table.add_column("where and why", overflow="fold")
    for state in STATES:
        chosen = [cell for cell in cells if cell.state == state]
        if state in ("done", "waiting"):
            _add_groups(table, state, chosen)
            continue
        for cell in chosen:
            notes = ". ".join(note for note in (cell.where, cell.why) if note)
            table.add_row(
                _coloured(state),
                escape("/".join(cell.names)),
                _progress(cell),
                f"{cell.failed:,}" if cell.failed else "",
                escape(notes),
            )
    screen = console()
    screen.print(table)
    counts = Counter(cell.state for cell in cells)
    sums = [f"{counts[state]:,} {state}" for state in reversed(STATES) if counts[state]]
    screen.print(f"cells: {len(cells):,}, of these {', '.join(sums)}", highlight=False)


def _add_groups(table: Table, state: str, cells: Sequence[CellStatus]) -> None:
    """Cells that need nobody's attention, together."""
    for names in dict.fromkeys(cell.names[:-1] for cell in cells):
        group = [cell for cell in cells if cell.names[:-1] == names]
        failed = sum(cell.failed for cell in group)
        name = group[0].names[-1] if len(group) == 1 else f"{len(group):,} cells"
        table.add_row(
            _coloured(state),
            escape("/".join([*names, name])),
            "100 %" if state == "done" else "",
            f"{failed:,}" if failed else "",
            _origin(group),
        )


def _origin(cells: Sequence[CellStatus]) -> str:
    """How many of finished cells are somebody else's answers."""
    count = sum(cell.imported for cell in cells)
    return ("imported" if count == len(cells) else f"{count:,} imported") if count else ""


def _coloured(state: str) -> str:
    return f"[{COLOURS[state]}]{state}[/{COLOURS[state]}]"


def _progress(cell: CellStatus) -> str:
    """`120 of 540, 22 %`, with the condition of a test before it"""
    doing = f"{escape(cell.doing)}\n" if cell.doing else ""
    if not cell.total:
        return f"{doing}{cell.done or 0:,} samples"
    return f"{doing}{cell.done:,} of {cell.total:,}, {100 * (cell.done or 0) // cell.total} %"

"""Which model families interventions are certified on, and which of them can be evaluated.

    solvent families
    solvent families qwen          # those with this in their name

A family is a model type of transformers. Certified means that interventions passed every check of
`python -m conformance` on it, so that they work in a notebook. Evaluated means that a tiny
checkpoint of it, with its real processor, passed those of cells as well. Tokens are those of a
picture of 336 x 336 and of one of 1344 x 896 pixels.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from solvent.commands.commandline import Command
from solvent.core.names import nearest
from solvent.core.paths import PACKAGE
from solvent.core.text import marked

FILE = PACKAGE / "models" / "families.json"
command = Command("Nothing was changed.")


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(
        prog="solvent families",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("part", nargs="?", default="", help="of a family's name")
    part = arguments.parse_args().part
    with command.job():
        show_families(part)


def show_families(part: str) -> None:
    """Print the families that have this in their name. Raises `ValueError` where none has."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    rows = {each["family"]: each for each in known["families"]}
    chosen = [each for name, each in rows.items() if part in name]
    if not chosen:
        raise ValueError(f"no family has {part!r} in its name; {nearest(part, rows)}")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("family", no_wrap=True)
    for column in ("certified", "evaluated", "tokens", "attention, or what is in the way"):
        table.add_column(column)
    for each in chosen:
        table.add_row(
            each["family"],
            "no" if each["reason"] else "[green]yes[/]",
            "[green]yes[/]" if each["evaluated"] else "no",
            ", ".join(map(str, each.get("picture_tokens", ()))),
            marked(said_of(each)),
        )
    certified = sum(each["reason"] is None for each in chosen)
    evaluated = sum(each["evaluated"] for each in chosen)
    screen = Console() if Console().is_terminal else Console(width=120)
    screen.print(table)
    screen.print(
        f"{certified} of {len(chosen)} certified, {evaluated} evaluated, with transformers "
        f"{known['transformers']} and torch {known['torch']}",
        highlight=False,
    )


def said_of(each: dict[str, Any]) -> str:
    """What is in the way of a family, or how it attends and what it needs."""
    in_the_way = each["reason"] or each["unevaluated"]
    if in_the_way:
        return str(in_the_way)
    needed = "" if each["image_backend"] == "pil" else f"needs {each['image_backend']}"
    return ", ".join(filter(None, [needed, each["attention"], each["skipped"], *each["notes"]]))


if __name__ == "__main__":
    command.run(main)

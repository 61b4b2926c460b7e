"""What the files of conf/model say: the settings, and the facts in the lines above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FOLDER = ROOT / "conf" / "model"
TINY = ("tiny", "tiny_blind", "tiny_prior")  # which come with solvent
LINES = re.compile(
    r"# (?P<title>.+)\.\n"
    r"# https://huggingface\.co/(?P<checkpoint>\S+)\n"
    r"# family (?P<family>\w+); (?P<parameters>[\d.]+B) parameters; (?P<memory>[\d.]+) GB in "
    r"bfloat16; licence (?P<licence>[^;]+); (?P<gate>gated|gate not seen|gate not seen, but "
    r"expected)(?P<more>(?:; (?:thinks|needs torchvision))*)\.\n"
    r"# (?:Template and weights not run by us|Loaded by us: [^\n]+)\.\n"
)


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A model on the hub that a file of conf/model pins."""

    name: str
    title: str
    checkpoint: str
    family: str  # as config.json calls it
    parameters: str
    memory: str  # GB in bfloat16
    licence: str
    gate: str
    more: str  # what else there is to know of it


def shipped(path: Path) -> Shipped:
    """Of one file. Raises `ValueError` where its first lines do not say all."""
    found = LINES.match(path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path.name} should begin with lines such as those of qwen3_vl_8b.yaml")
    return Shipped(name=path.stem, **found.groupdict())


def on_the_hub() -> dict[str, Shipped]:
    """All of them, by name."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return {name: shipped(FOLDER / f"{name}.yaml") for name in names if name not in (*TINY, "hub")}


def table() -> list[str]:
    """As docs/models.md has it, a row for each model."""
    rows = ["| `model=` | checkpoint | family | parameters | GB | licence | gate | |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for each in on_the_hub().values():
        gate = {"gated": "gated", "gate not seen": "not seen"}.get(each.gate, "expected")
        link = f"[{each.checkpoint}](https://huggingface.co/{each.checkpoint})"
        cells = (f"`{each.name}`", link, f"`{each.family}`", each.parameters, each.memory,
                 each.licence, gate, each.more.removeprefix("; ").replace("; ", ", "))  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return rows

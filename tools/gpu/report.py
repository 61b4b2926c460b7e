"""What the checks found, written as it comes: a line of JSON and a row of a Markdown page each."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch

LIBRARIES = ("transformers", "accelerate", "tokenizers", "numpy")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the page."""

    section: str
    what: str
    unit: str  # of the values: s, GiB, x (times something named in `what`), ...
    values: tuple[float, ...]  # of every round
    limit: float | None = None  # the median must not be above it
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def failed(self) -> bool:
        """Above the limit, or no number."""
        return self.limit is not None and not self.median <= self.limit


@dataclass
class Report:
    """Everything that was found so far, on disk too."""

    folder: Path
    device: torch.device
    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "figures.jsonl").write_text(json.dumps(setting(self.device)) + "\n")
        self.write()

    def add(
        self,
        section: str,
        what: str,
        unit: str,
        values: Sequence[float] | float,
        limit: float | None = None,
        note: str = "",
    ) -> None:
        """Note a figure, with the values of all its rounds."""
        every = (values,) if isinstance(values, (int, float)) else tuple(values)
        figure = Figure(section=section, what=what, unit=unit, values=every, limit=limit, note=note)
        self.figures.append(figure)
        if figure.failed:
            self.failures.append(
                f"{section}, {what}: {figure.median:.4g} {unit}, at most {limit:g} expected"
            )
        with (self.folder / "figures.jsonl").open("a") as lines:
            lines.write(json.dumps(asdict(figure)) + "\n")
        self.write()

    def fail(self, section: str, why: str) -> None:
        """Note a check that went wrong without a figure."""
        self.failures.append(f"{section}: {why}")
        self.write()

    def leave_out(self, section: str, why: str) -> None:
        """Note a check that was not made."""
        self.left_out.append(f"{section}: {why}")
        self.write()

    def write(self) -> None:
        (self.folder / "page.md").write_text(self.page())

    def page(self) -> str:
        """The whole page."""
        lines = [", ".join(f"{name} {value}" for name, value in setting(self.device).items()), ""]
        for section in dict.fromkeys(figure.section for figure in self.figures):
            lines += [f"### {section}", ""]
            lines += ["| what | median | min | max | unit | at most | remarks |"]
            lines += ["| --- | ---: | ---: | ---: | --- | ---: | --- |"]
            lines += [row(figure) for figure in self.figures if figure.section == section]
            lines += [""]
        lines += _listed("Failed", self.failures) + _listed("Left out", self.left_out)
        return "\n".join(lines)


def row(figure: Figure) -> str:
    """A line of the table."""
    limit = "" if figure.limit is None else f"{figure.limit:g}"
    spread = (figure.median, min(figure.values), max(figure.values))
    numbers = " | ".join(f"{value:.4g}" for value in spread)
    verdict = "**FAILED** " * figure.failed + figure.note
    return f"| {figure.what} | {numbers} | {figure.unit} | {limit} | {verdict} |"


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"### {title}", "", *(f"- {line}" for line in lines or ["nothing"]), ""]


def setting(device: torch.device) -> dict[str, str]:
    """Which device, and the versions of what computes on it."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else platform.processor() or "CPU",
        "CUDA": torch.version.cuda or "none",
        "Python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: version(name) for name in LIBRARIES},
    }

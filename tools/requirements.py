"""The requirements of pyproject.toml at other versions, one a line, as pip takes them.

    python -m tools.requirements latest    # no upper bounds: what the world has now
    python -m tools.requirements lowest    # every lower bound exactly
    pip freeze | python -m tools.requirements pinned    # constraints.txt, from what is installed

torch is everybody's own choice (a build for their CUDA, or for CPUs only): it keeps its bounds in
`latest`, as what only tests need does, and is left out of `pinned`, with all that comes with it.
Needs nothing but Python, so that it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def written() -> tuple[list[str], list[str]]:
    """Requirements of the package, and those of its tests."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    return project["dependencies"], project["optional-dependencies"]["test"]


def latest() -> list[str]:
    """Without upper bounds, but those of torch and of the tests."""
    package, tests = written()
    bounded = re.compile(r",?<=?[\w.]+")
    return [
        line if line.startswith("torch>") else bounded.sub("", line) for line in package
    ] + tests


def lowest() -> list[str]:
    """At their lower bounds. `ValueError` where one has none."""
    package, tests = written()
    return [_at_bound(line) for line in package + tests]


def _at_bound(requirement: str) -> str:
    found = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)(?:>=|==)([\w.]+)", requirement)
    if found is None:
        raise ValueError(f"Expected {requirement!r} in pyproject.toml to begin with NAME>=VERSION.")
    return f"{found[1]}=={found[2]}"


def pinned(installed: Iterable[str]) -> list[str]:
    """Lines of a constraints file, from those of `pip freeze`."""
    versions = [line.strip() for line in installed if re.match(r"[\w.-]+==", line)]
    torch = next((line for line in versions if line.startswith("torch==")), "no torch")
    return [
        "# Exact versions that were tested together; `make constraints` writes this file.",
        f"# {torch.partition('+')[0]} and Python {platform.python_version()} were there too; both "
        "are left to you.",
        *(line for line in versions if not OF_TORCH.match(line)),
    ]


OF_TORCH = re.compile(r"(solvent|torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
KINDS: dict[str, Callable[[], list[str]]] = {
    "latest": latest,
    "lowest": lowest,
    "pinned": lambda: pinned(sys.stdin),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=KINDS)
    print(*KINDS[parser.parse_args().kind](), sep="\n")  # noqa: T201 - its result


if __name__ == "__main__":
    main()

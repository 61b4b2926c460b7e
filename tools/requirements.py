"""The requirements of pyproject.toml at other versions, one a line, as pip takes them.

    python -m tools.requirements latest    # no upper bound but torch's: what the world has now
    python -m tools.requirements lowest    # every lower bound exactly
    pip freeze | python -m tools.requirements pinned    # constraints.txt, from what is installed

torch is everybody's own choice (a build for their CUDA, or for CPUs only): it keeps its bounds in
`latest` and is left out of `pinned`, with all that comes with it. Needs nothing but Python, so that
it runs before anything is installed.
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


def requirements(extras: list[str]) -> list[str]:
    """Those of the package and of some extras, as they are written."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


def latest(requirement: str) -> str:
    """Without an upper bound."""
    if requirement.startswith("torch>"):
        return requirement
    return re.sub(r",?<=?[\w.]+", "", requirement)


def lowest(requirement: str) -> str:
    """At the lower bound. `ValueError` where there is none."""
    found = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)(?:>=|==)([\w.]+)", requirement)
    if found is None:
        raise ValueError(f"Expected {requirement!r} in pyproject.toml to begin with NAME>=VERSION.")
    return f"{found[1]}=={found[2]}"


def pinned(installed: Iterable[str]) -> list[str]:
    """Lines of a constraints file, from those of `pip freeze`."""
    versions = [line.strip() for line in installed if re.match(r"[\w.-]+==", line)]
    torch = next(line for line in versions if line.startswith("torch==")).partition("+")[0]
    return [
        "# Exact versions that were tested together; `make constraints` writes this file.",
        f"# {torch} and Python {platform.python_version()} were there too; both are left to you.",
        *(line for line in versions if not OF_TORCH.match(line)),
    ]


OF_TORCH = re.compile(r"(solvent|torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
KINDS: dict[str, Callable[[str], str]] = {"latest": latest, "lowest": lowest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=(*KINDS, "pinned"))
    parser.add_argument("--extra", action="append", default=[], help="may be repeated")
    settings = parser.parse_args()
    if settings.kind == "pinned":
        lines = pinned(sys.stdin)
    else:
        lines = [KINDS[settings.kind](line) for line in requirements(settings.extra)]
    print(*lines, sep="\n")  # noqa: T201 - what it prints is its result


if __name__ == "__main__":
    main()

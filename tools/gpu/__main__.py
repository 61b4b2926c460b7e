"""Checks a GPU in a few minutes: are the numbers right on it, and how fast are they?

    python -m tools.gpu --minutes 6          # the most important first, as far as the time goes
    python -m tools.gpu --quick              # small shapes, on a CPU too: do the checks work?

Writes every figure as it comes to figures.jsonl and page.md, and ends with what failed and why.
Exit code 1 when something failed, 3 when there was no time for a single check.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

CHECKS = ("scores", "correctness", "speed", "answer_rate", "whole_cells", "placement")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="stop then (default 6)")
    parser.add_argument("--quick", action="store_true", help="small shapes")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="(default: cuda if there is one)")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=CHECKS, help="(default: all)")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of the page")
    settings = parser.parse_args()
    if not 0 < settings.minutes < float("inf"):
        parser.error(f"--minutes must be above 0, got {settings.minutes:g}.")
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
        (settings.out / "page.md").touch()
    except OSError as error:
        parser.error(f"--out must be a folder that can be written: {error}.")
    return settings


def main() -> int:
    settings = arguments()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch  # these take seconds: not for --help

    from tools.gpu.checking import check

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("solvent.gpu").setLevel(logging.INFO)
    if settings.device == "cuda" and not torch.cuda.is_available():
        sys.exit("python -m tools.gpu: error: torch sees no CUDA GPU; give --device cpu")
    return check(settings)


if __name__ == "__main__":
    sys.exit(main())

"""Checks a GPU in a few minutes: are the numbers right on it, and how fast are they?

    python -m tools.gpu --minutes 6          # the most important first, as far as the time goes
    python -m tools.gpu --quick              # small shapes, on a CPU too: do the checks work?

Writes every figure as it comes to figures.jsonl and page.md, and ends with what failed and why. The
table of docs/performance.md is such a page. Exit code 1 when something failed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

CHECKS = ("scores", "correctness", "speed", "answering", "placement")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="stop then (default 6)")
    parser.add_argument("--quick", action="store_true", help="small shapes")
    parser.add_argument(
        "--device", default=None, help="cuda or cpu (default: cuda if there is one)"
    )
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=CHECKS, help="(default: all)")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of the page")
    return parser.parse_args()


def main() -> int:
    settings = arguments()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from tools.gpu.checking import check  # the imports below it take seconds: not for --help

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("solvent.gpu").setLevel(logging.INFO)
    return check(settings)


if __name__ == "__main__":
    sys.exit(main())

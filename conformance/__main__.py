"""`python -m conformance [family ...]`: which families interventions are correct in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine the named families, or all of them and rewrite what is said of them."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument(
        "families",
        nargs="*",
        metavar="family",
        help="model types of transformers, as qwen2_5_vl; none means all, and docs/families.md "
        "and solvent/models/families.json are rewritten (some minutes)",
    )
    names = parser.parse_args(arguments).families
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

    from rich.console import Console  # the imports below take seconds: not for --help
    from rich.progress import track

    from conformance.builders import families
    from conformance.examination import examine
    from conformance.verdicts import FILE, PAGE, page, record, terminal, written

    unknown = sorted(set(names) - set(families()))
    if unknown:
        parser.error(f"transformers has no image-text-to-text family {', '.join(unknown)}.")
    console = Console()
    wanted = track(names or families(), description="Examining families", console=console)
    verdicts = [examine(family) for family in wanted]
    console.print(terminal(verdicts))
    if not names:
        known = record(verdicts)
        FILE.write_text(written(known), encoding="utf-8")
        PAGE.write_text(page(known), encoding="utf-8")
        console.print(f"Wrote {PAGE.name} and {FILE.name}.")


if __name__ == "__main__":
    main()

"""`python -m conformance [family ...]`: where interventions are correct, and cells can be run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine the named families, or all of them and rewrite what is said of them."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument(
        "families",
        nargs="*",
        metavar="family",
        help="model types of transformers, as qwen2_5_vl; none means all, and docs/families.md "
        "and solvent/models/families.json are rewritten (half an hour). What was found is kept in "
        ".conformance: run again, only what is missing is examined, or what needed torchvision "
        "once that is installed",
    )
    parser.add_argument("--again", action="store_true", help="examine also what was examined")
    given = parser.parse_args(arguments)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    from rich.console import Console  # the imports below take seconds: not for --help
    from rich.progress import track

    from conformance.builders import families
    from conformance.kept import find
    from conformance.verdicts import FILE, PAGE, page, record, terminal, written

    unknown = sorted(set(given.families) - set(families()))
    if unknown:
        parser.error(f"transformers has no image-text-to-text family {', '.join(unknown)}.")
    quiet()
    console = Console()
    wanted = track(given.families or families(), description="Examining families", console=console)
    found = [find(family, examined, given.again) for family in wanted]
    console.print(terminal(found))
    if not given.families:
        known = record(found)
        FILE.write_text(written(known), encoding="utf-8")
        PAGE.write_text(page(known), encoding="utf-8")
        console.print(f"Wrote {PAGE.name} and {FILE.name}.")


def quiet() -> None:
    """No bars and lines of the libraries between ours."""
    import logging

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.disable(logging.WARNING)


def examined(family: str) -> dict[str, Any]:
    """Both verdicts on a family; cells can be run only where interventions are correct."""
    from conformance.evaluation import Evaluation, evaluate
    from conformance.examination import Verdict, examine
    from conformance.kept import apart
    from conformance.verdicts import known

    verdict = apart(family, examine, Verdict)
    return known(verdict, apart(family, evaluate, Evaluation) if verdict.certified else None)


if __name__ == "__main__":
    main()

"""All commands: `solvent VERB` or `python -m solvent VERB`.

solvent VERB --help
"""

from __future__ import annotations

import importlib
import sys

from solvent.core.names import did_you_mean

BAD_INPUT = 2  # as every command ends on it
VERBS = {
    "evaluate": "run a cell, or with -m a sweep: a model x a benchmark x an intervention",
    "compare": "the finished cells of a study: paired statistics, a table and a figure",
    "show": "look first: what a model gets of some samples, and their pictures",
    "import": "answers that somebody else's run saved, as cells: scores and tests without a model",
    "calibrate": "make the file that an intervention reads",
    "plan": "which cells of a sweep are left, and which of them one task should run",
    "task": "run one task of a plan",
    "status": "how far everything is: cells done, running, stopped, failed, and why",
    "rescore": "read and score the answers of a finished cell again, by other rules",
    "recompute": "judge the modality-usage tests of a cell again, with other margins",
    "families": "which model families interventions are certified on, and which can be evaluated",
}


def main() -> None:
    """Hand over to the command that is named first."""
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return
    verb, *arguments = given
    if verb not in VERBS:
        meant = did_you_mean(verb, VERBS)
        sys.stderr.write(f"solvent has no command {verb!r}{meant}; it has {', '.join(VERBS)}\n")
        sys.exit(BAD_INPUT)
    command = importlib.import_module(f"solvent.commands.{verb}")
    sys.argv = [f"solvent {verb}", *arguments]
    command.command.run(command.main)


def _usage() -> str:
    lines = [f"  {verb:<10} {what}" for verb, what in VERBS.items()]
    return "\n".join(["usage: solvent VERB ...", "", *lines, "", "solvent VERB --help", ""])


if __name__ == "__main__":
    main()

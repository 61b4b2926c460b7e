"""What `compare.py` makes of a study, in this process and without figures."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir

from solvent.commands.compare import compared
from solvent.core.paths import CONF
from solvent.reports.compared.frames import Comparison

QUICK = ("figures=[]", "flips.total=0")


def comparison_of(
    output: Path, study: str = "study", baseline: str = "learned", *overrides: str
) -> Comparison:
    """The comparison, after it was printed and written."""
    asked = [f"output={output}", f"study={study}", f"baseline={baseline}", *QUICK, *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("compare", asked)
    return compared(config, "python compare.py")

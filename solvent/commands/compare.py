"""Compare the finished cells of a study: every arm with its control, question by question.

solvent compare study=demo
solvent compare study=demo primary=[uniform] margin=0.01

Prints tables and writes `comparison/` in the study's folder: a page, tables for papers, figures.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

if TYPE_CHECKING:
    from solvent.reports.compared.frames import Comparison  # pandas: not needed for --help

command = Command()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="compare")
def main(config: DictConfig) -> None:
    """Read the cells, compare, print and write."""
    with command.job():
        compared(config, shlex.join(["python", "compare.py", *HydraConfig.get().overrides.task]))


def compared(config: DictConfig, typed: str) -> Comparison:
    """The comparison that a configuration asks for, printed and written.

    Args:
        config: composed by Hydra from conf/compare.yaml.
        typed: the command, for whoever wants to make it again.
    """
    from solvent.cells.building import build
    from solvent.cells.request import check_texts, resolved
    from solvent.studies.comparison.comparing import compare_study
    from solvent.studies.comparison.publishing import publish
    from solvent.studies.comparison.settings import registered, wanted

    check_texts(config, "output", "study", "baseline")
    asked = resolved(config)
    plan, made = registered(asked), wanted(asked)  # refused before anything takes long
    tracking = build(asked["tracking"], "tracking")
    if asked["from_wandb"] is not None:
        _fetch(asked)
    study = compare_study(asked["output"], asked["study"], plan, asked["conditions"], typed)
    return publish(study, made, tracking)


def _fetch(asked: Mapping[str, Any]) -> None:
    """Cells that are not here, from W&B."""
    from solvent.cells.building import check_kind
    from solvent.reports.table import console
    from solvent.tracking.reading_back import read_back

    project = asked["from_wandb"]
    check_kind(project, str | None, "from_wandb")
    said = read_back(project, Path(asked["output"]), asked["study"])
    console().print(said, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    command.run(main)

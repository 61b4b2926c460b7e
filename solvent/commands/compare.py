"""Compare the finished cells of a study: paired statistics, a table and a figure.

solvent compare study=demo
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

command = Command()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="compare")
def main(config: DictConfig) -> None:
    """Read the cells, compare each with its baseline, print and draw."""
    from solvent.cells.configuration import stored_facts
    from solvent.cells.request import check_texts
    from solvent.reports.comparison import compare
    from solvent.studies.controls.gain_table import show_gains

    with command.job():
        check_texts(config, "output", "study", "baseline")
        compare(config.output, config.study, config.baseline, stored_facts, show_gains)


if __name__ == "__main__":
    command.run(main)

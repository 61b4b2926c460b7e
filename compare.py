"""Compare the finished cells of a study: paired statistics, a table and a figure.

python compare.py study=demo
"""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command

CONFIGS = str(Path(__file__).resolve().parent / "conf")
command = Command()


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="compare")
def main(config: DictConfig) -> None:
    """Read the cells, compare each with its baseline, print and draw."""
    from solvent.cells.request import check_texts
    from solvent.reports.comparison import compare

    with command.job():
        check_texts(config, "output", "study", "baseline")
        compare(config.output, config.study, config.baseline)


if __name__ == "__main__":
    command.run(main)

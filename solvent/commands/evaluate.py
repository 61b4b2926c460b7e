"""Run one cell: a model x a benchmark x an intervention.

solvent evaluate                      # tiny, shapes, learned
solvent evaluate model=qwen2_5_vl_7b benchmark=nlvr intervention=uniform
solvent evaluate -m intervention=learned,uniform seed=0,1    # one model load, four cells
solvent evaluate --help               # every group and its choices
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

command = Command()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
def main(config: DictConfig) -> None:
    """Compose the configuration, build the objects, run the cell."""
    from solvent.cells.run import run_cell  # torch and transformers: not needed for --help

    with command.job():
        run_cell(config)


if __name__ == "__main__":
    command.run(main)

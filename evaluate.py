"""Run one cell: a model x a benchmark x an intervention.

python evaluate.py                      # tiny, shapes, learned
python evaluate.py model=qwen2_5_vl_7b benchmark=nlvr intervention=uniform
python evaluate.py -m intervention=learned,uniform seed=0,1    # one model load, four cells
python evaluate.py --help               # every group and its choices
"""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command

CONFIGS = str(Path(__file__).resolve().parent / "conf")
command = Command()


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="evaluate")
def main(config: DictConfig) -> None:
    """Compose the configuration, build the objects, run the cell."""
    from solvent.cells.run import run_cell  # torch and transformers: not needed for --help

    with command.job():
        run_cell(config)


if __name__ == "__main__":
    command.run(main)

"""Make the file that an intervention reads, from samples that are not evaluated.

python -m solvent calibrate intervention=fixed_mean model=tiny benchmark=shapes
python evaluate.py intervention=fixed_mean model=tiny benchmark=shapes

Settings are those of `evaluate.py`; what is this command's own stands under `calibration`.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

command = Command("No file was written; the same command begins again.")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
def main(config: DictConfig) -> None:
    """Compose the configuration, run the recipe, write the file."""
    from solvent.cells.calibration import calibrate  # torch and transformers: not needed for --help

    with command.job():
        calibrate(config)


if __name__ == "__main__":
    command.run(main)

"""Look before you run: the exact prompt, what every token is, and the picture as the model gets it.

    python -m solvent show benchmark=nlvr prompt=llava n=3

Settings are those of `evaluate.py` that concern what a model is shown. Prints every chosen sample
and saves a contact sheet of their pictures.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

command = Command("Nothing was written.")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="show")
def main(config: DictConfig) -> None:
    """Compose the configuration, show the samples."""
    from solvent.cells.shown import show  # torch and transformers: not needed for --help

    with command.job():
        show(config)


if __name__ == "__main__":
    command.run(main)

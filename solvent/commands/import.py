"""Make cells of answers that somebody else's run saved, without a model.

solvent import import=blind_faith study=readings
solvent import -m import=cd_rethink import.subset=random,popular study=readings

A mapping, conf/import/NAME.yaml, says which files, what their columns mean, and how answers are
read and scored. What comes out is labelled as imported wherever it is shown.
"""

# ruff: noqa: N999 - a verb, never imported by a statement

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from solvent.commands.commandline import Command
from solvent.core.paths import CONF

command = Command("Nothing was written of the cell that was being made; the same command makes it.")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="import")
def main(config: DictConfig) -> None:
    """Compose the mapping, read the files, write the cells."""
    from solvent.cells.imported.importing import import_answers
    from solvent.cells.request import check_texts, resolved
    from solvent.core.own_code import check_chosen

    with command.job():
        check_chosen("import", str(HydraConfig.get().runtime.choices["import"]))
        check_texts(config, "output", "study")
        import_answers(resolved(config))


if __name__ == "__main__":
    command.run(main)

"""A checkpoint's architecture with weights that were never trained: `python -m tools.untrained`.

What a test says of it says nothing of training. It answers like the checkpoint itself:

    python -m tools.untrained solvent/models/checkpoints/tiny untrained
    python evaluate.py model=tiny model.checkpoint=untrained diagnostic=consistency
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from transformers import AutoConfig, AutoModelForImageTextToText

from interventions.controls.reinitialised import draw_anew

WEIGHTS = ("*.safetensors", "*.bin", "*.safetensors.index.json", "*.bin.index.json")


def write_untrained(checkpoint: Path, folder: Path, seed: int) -> Path:
    """Write the checkpoint to a new folder, its weights drawn as its class starts to train.

    Raises `FileExistsError` when there is such a folder.
    """
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns(*WEIGHTS))
    config = AutoConfig.from_pretrained(checkpoint)
    draw_anew(AutoModelForImageTextToText.from_config, config, seed).save_pretrained(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkpoint", type=Path, help="folder of a checkpoint")
    parser.add_argument("folder", type=Path, help="where the untrained one is written")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default 0)")
    given = parser.parse_args()
    write_untrained(given.checkpoint, given.folder, given.seed)


if __name__ == "__main__":
    main()

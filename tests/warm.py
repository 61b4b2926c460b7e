"""What the server of `tests.processes` has ready before it forks: imports, and `tiny` loaded."""

from __future__ import annotations

import os
import tempfile
from contextlib import redirect_stdout

import torch
from hydra import compose, initialize_config_dir

from solvent.cells.run import run_cell
from solvent.core.paths import CONF

torch.set_num_threads(1)
with (
    tempfile.TemporaryDirectory() as place,
    open(os.devnull, "w") as nowhere,
    redirect_stdout(nowhere),
    initialize_config_dir(str(CONF), version_base="1.3"),
):
    run_cell(compose("evaluate", ["limit=9", f"output={place}"]))

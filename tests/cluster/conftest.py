"""One Slurm for all tests of this folder that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, missing


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if why := missing():
        pytest.skip(why)
    folder: Path = tmp_path_factory.mktemp("slurm")
    cluster = Slurm(folder=folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()

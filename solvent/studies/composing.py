"""The cells of a multirun, composed outside Hydra's own command: exactly what its basic sweeper
would run, many at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from solvent.core.paths import CONF

NAME = "evaluate"


@contextmanager
def composing() -> Iterator[None]:
    """Inside, `expand` and `compose_cell` know the configurations; every file is read once."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        loader.repository = _Kept(loader.repository)
        try:
            yield
        finally:
            HydraConfig.instance().cfg = None


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every cell of `python evaluate.py -m OVERRIDES`, in Hydra's order.

    Raises `ValueError` where another sweeper than Hydra's basic one is chosen, and Hydra's own
    errors where an override cannot be read.
    """
    hydra = GlobalHydra.instance().hydra
    config = hydra.compose_config(NAME, list(overrides), RunMode.MULTIRUN)
    sweeper = config.hydra.sweeper
    if not sweeper._target_.endswith(".BasicSweeper"):
        raise ValueError(
            f"hydra/sweeper is {sweeper._target_}, which chooses cells while they run; only what "
            "the basic sweeper runs can be planned: leave hydra/sweeper=... out"
        )
    pinned = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    parsed = parser.parse_overrides([*pinned, *config.hydra.overrides.task])
    (cells,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return cells


def compose_cell(overrides: Sequence[str]) -> DictConfig:
    """The configuration of one cell. `HydraConfig` is set, as in a job of a multirun."""
    config = compose(NAME, [*overrides, "hydra.mode=MULTIRUN"], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


class _Kept(CachingConfigRepository):
    """Keeps the content of every file from one composition to the next: reading YAML takes more
    than half of the time of a composition.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _Kept:
        return self  # Hydra copies the repository for every composition, and would copy the cache

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A copy of what was read, since a composition changes it."""
        return copy.deepcopy(super().load_config(config_path))

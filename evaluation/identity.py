"""What defines a cell: where its results lie, and what tells it from others in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from evaluation.inputs import by_content, input_files
from evaluation.provenance import ROOT
from evaluation.results import CellFolder, digest_weights, fingerprint
from evaluation.types import Condition

SETTING_KEYS = ("model", "benchmark", "compat", "condition", "diagnostic", "batch_size")


def cell_folder(config: DictConfig, intervention: Any) -> CellFolder:
    """Where a cell lives: equal definitions have equal folders.

    Where nothing is edited, layers make no difference; where a local checkpoint was trained again,
    its weights do, though its path is the same. Files count by what is in them, too.
    """
    what = by_content(repr(intervention), input_files(config.intervention))
    what = intervention.name if intervention.is_identity else what
    identity = fingerprint({**_setting(config), "intervention": what, "seed": config.seed})
    place = Path(config.output) / config.study / config.model.name / config.benchmark.name
    return CellFolder(place / f"{intervention.name}-{identity[:12]}")


def _setting(config: DictConfig) -> dict[str, Any]:
    """Everything that can change a bit of a result, apart from the intervention and its seed."""
    container = OmegaConf.to_container(config, resolve=True)
    setting = {key: container.get(key) for key in SETTING_KEYS}
    setting["condition"] = container["conditions"][config.condition]
    setting["conditions"] = container["conditions"] if container.get("diagnostic") else None
    return setting | {"weights": digest_weights(ROOT / config.model.checkpoint)}


def labels(config: DictConfig, intervention: Any, condition: Condition) -> dict[str, Any]:
    """What a table of many cells needs to tell them apart."""
    return {
        "model": config.model.name,
        "benchmark": config.benchmark.name,
        "prompt": config.prompt.name,
        "compat": config.compat.name,
        "intervention": intervention.name,
        "variant": "" if intervention.is_identity else _variant(config.intervention),
        "layers": None if intervention.is_identity else str(config.intervention.layers),
        "condition": condition.name,
        "seed": config.seed,
        "setting": fingerprint(_setting(config))[:6],  # equal for cells that may be paired
    }


def _variant(intervention: DictConfig) -> str:
    """Fields that differ from the intervention's own definition, beside layers and seed; files by
    the first digits of their digest.
    """
    files = {file.field: f"file={file.digest[:8]}" for file in input_files(intervention)}
    stock = _flat(_definition(intervention.name))
    fields = _flat(OmegaConf.to_container(intervention))
    changed = [
        f"{name}={value}"
        for name, value in fields.items()
        if name not in ("layers", "seed", *files) and stock.get(name) != value
    ]
    return ", ".join([*dict.fromkeys(files.values()), *changed])


def _definition(name: str) -> dict[str, Any]:
    """The stock definition of an intervention; empty where the name is the user's own."""
    known = name in get_method("interventions.available")()
    return get_method("interventions.intervention.definition")(name) if known else {}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat |= inner if inner is not None else {f"{prefix}{name}": value}
    return flat

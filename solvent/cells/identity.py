"""What defines a cell: where its results lie, and what tells it from others in a table.

docs/identity.md says what is in it, what is not, and why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from solvent.cells.configuration import TARGET, first
from solvent.cells.input_files import by_content, input_files
from solvent.cells.loading import data_digest
from solvent.cells.request import Request, Settings
from solvent.core.checkpoints import content, is_folder
from solvent.core.own_code import own_code, targets_of
from solvent.core.paths import definitions
from solvent.core.types import Condition
from solvent.storage.folder import CellFolder

SCHEMA = 2  # raise it when the meaning of a stored number changes
SETTING_KEYS = ("model", "benchmark", "compat", "condition", "diagnostic", "batch_size")
LATER = {"image_settings": {}, "chat_template": None, "thinking": 0, "quantization": "none"}
# settings of a model that the first cells did not have, as they change nothing: where they say
# this, an identity is silent
LATER_OF_BENCHMARKS = {"bad_rows": "refuse", "skip": []}  # likewise


@dataclass(frozen=True)
class Identity:
    """Everything that can change a bit of a result, and nothing that cannot.

    Attributes:
        intervention: its name.
        setting: equal for cells that may be paired.
        treatment: the intervention, and the seed of its noise.
    """

    intervention: str
    setting: Mapping[str, Any]
    treatment: Mapping[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        """Both, as they are written beside the results."""
        return {"schema": SCHEMA, **self.setting, **self.treatment}

    @property
    def folder(self) -> str:
        """Name of the cell's folder."""
        return f"{self.intervention}-{fingerprint(self.definition)[:12]}"

    @property
    def pairing(self) -> str:
        """Short for the setting."""
        return fingerprint(self.setting)[:8]


def identity(request: Request, intervention: Any) -> Identity:
    """Of the cell that is asked for.

    Where nothing is edited, layers make no difference. Data, checkpoints in folders and files that
    the intervention reads count by what is in them; what lies on the hub by its revision, which
    `solvent.cells.revisions` has made a commit.
    """
    what = {"name": intervention.name}
    if not intervention.is_identity:
        what = lasting(by_content(request.intervention)) | _code(request.intervention)
    return Identity(
        intervention=intervention.name,
        setting=_setting(request),
        treatment={"intervention": what, "seed": request.seed},
    )


def cell_folder(request: Request, known: Identity) -> CellFolder:
    """Where the results of a cell lie: equal definitions have equal folders."""
    study = Path(request.output) / request.study
    return CellFolder(study / request.model["name"] / request.benchmark["name"] / known.folder)


def fingerprint(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a definition, in hexadecimal; the order of keys plays no role."""
    canonical = json.dumps(definition, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _setting(request: Request) -> dict[str, Any]:
    """Everything that decides a result, apart from the intervention and its seed."""
    setting = {key: request.settings.get(key) for key in SETTING_KEYS}
    setting["condition"] = {request.condition: request.conditions[request.condition]}
    setting["conditions"] = request.conditions if request.tests else None
    model = setting["model"] = without_later(request.model)
    if is_folder(model["checkpoint"]):  # which counts by what is in it
        files = content(model["checkpoint"], model["trust_remote_code"])
        setting["model"] = model | {"checkpoint": files, "revision": None}
    own = _code(setting)
    return lasting(without_locations(setting)) | own | {"data": data_digest(request.benchmark)}


def _code(settings: Any) -> dict[str, Any]:
    """Modules of the user's own that settings name, by what is in them; nothing where all are ours,
    whose version stands in the provenance.
    """
    found = own_code(targets_of(settings))
    return {"code": found} if found else {}


def without_later(model: Settings) -> dict[str, Any]:
    """Settings of a model without those of `LATER` that change nothing."""
    return _without_silent(model, LATER)


def without_locations(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of settings, by name, without what says where data and weights lie, and without those
    of a benchmark that came later and change nothing.
    """
    found = dict(setting)
    if "model" in found:
        found["model"] = _without(found["model"], ("max_memory", "offload_folder"))
    if "benchmark" in found:
        source = _without(found["benchmark"]["source"], ("root", "local"))
        benchmark = _without_silent(found["benchmark"], LATER_OF_BENCHMARKS)
        found["benchmark"] = benchmark | {"source": source}
    if "compat" in found:
        found["compat"] = _without(found["compat"], ("cache",))
    return found


def _without_silent(settings: Settings, later: Settings) -> dict[str, Any]:
    silent = {name for name, value in later.items() if settings.get(name, value) == value}
    return {name: value for name, value in settings.items() if name not in silent}


def lasting(tree: Any) -> Any:
    """Definitions by names that outlast a move."""
    if isinstance(tree, Mapping):
        return {
            key: first(value) if key == TARGET and isinstance(value, str) else lasting(value)
            for key, value in tree.items()
        }
    return [lasting(value) for value in tree] if isinstance(tree, list) else tree


def _without(tree: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name not in names}


def labels(
    request: Request, intervention: Any, condition: Condition, known: Identity
) -> dict[str, Any]:
    """What a table of many cells needs to tell them apart."""
    return {
        "model": request.model["name"],
        "benchmark": request.benchmark["name"],
        "prompt": request.prompt["name"],
        "compat": request.compat["name"],
        "intervention": intervention.name,
        "variant": "" if intervention.is_identity else _variant(request.intervention),
        "layers": None if intervention.is_identity else str(request.intervention["layers"]),
        "condition": condition.name,
        "seed": request.seed,
        "setting": known.pairing,
    }


def _variant(intervention: Settings) -> str:
    """Fields that differ from the intervention's own definition, beside layers and seed; files by
    the first digits of their digest.
    """
    files = {file.field: f"file={file.digest[:8]}" for file in input_files(intervention)}
    stock = _flat(_definition(intervention["name"]))
    fields = _flat(intervention)
    changed = [
        f"{name}={value}"
        for name, value in fields.items()
        if name not in ("layers", "seed", *files) and stock.get(name) != value
    ]
    return ", ".join([*dict.fromkeys(files.values()), *changed])


def _definition(name: str) -> dict[str, Any]:
    """The stock definition of an intervention; empty where nobody can tell."""
    from interventions.methods.definitions import definition  # torch: not for --help

    known = definitions("intervention")
    try:
        return definition(known[name]) if name in known else {}
    except ValueError:  # composed as only Hydra can
        return {}


def _flat(tree: Settings, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat |= inner if inner is not None else {f"{prefix}{name}": value}
    return flat


def edited_layers(label: str, depth: int) -> tuple[int, ...]:
    """Indices of the layers that a cell's label names, in a decoder of so many."""
    from interventions.methods.selectors import select_layers  # torch: not for --help

    listed = yaml.safe_load(label) if label.startswith("[") else label
    return select_layers(int(listed) if str(listed).isdigit() else listed, depth)

"""A finished cell as its files define it: questions, intervention and model, made again.

What a record says is data, perhaps somebody else's: only classes of ours that compute are made
(`solvent.cells.configuration`), nothing is fetched from a hub that this machine does not keep, and
no code that a checkpoint brings is run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from interventions import available
from interventions.methods.intervention import Intervention
from solvent.cells.asking import build_tests
from solvent.cells.building import TARGET, build
from solvent.cells.configuration import check_targets, stored_config
from solvent.cells.diagnosing import under, with_options
from solvent.cells.identity import lasting
from solvent.cells.imported.importing import PREFIX
from solvent.cells.input_files import by_content
from solvent.cells.loading import (
    load_benchmark,
    load_model,
    named_condition,
    needed_conditions,
)
from solvent.cells.request import Settings
from solvent.core.checkpoints import content, is_folder
from solvent.core.files import read_json
from solvent.core.redaction import redacted
from solvent.core.types import Benchmark, Condition, Sample
from solvent.models.vlm import VLM

HUB = "solvent.benchmarks.hub.HubTable"
LOADER = "solvent.models.vlm.load"
INTERVENTION = "interventions.methods.intervention.Intervention"
SHIPPED = "interventions.load"  # makes what a file of this package defines
SHORT_NAME = "interventions.Intervention"  # of the same class, as our files write it


class StoredCell:
    """One finished cell, or one condition of its modality-usage tests.

    What raises does so with `ValueError`, `OSError` or `ImportError`.

    Args:
        answers: folder of the answers: of the cell, or `diagnostics/CONDITION` in it.
    """

    def __init__(self, answers: Path) -> None:
        self._tested = answers.name if answers.parent.name == "diagnostics" else None
        self.run = answers.parent.parent if self._tested else answers
        self._file = self.run / "config.yaml"

    @cached_property
    def config(self) -> Settings:
        """As it was composed for the run."""
        return stored_config(self._file)

    @property
    def benchmark(self) -> Benchmark:
        """Raises where its data are not on this machine."""
        benchmark, _ = self._questions()
        return benchmark.ranking() if self._tested else benchmark

    def samples(self, uids: Collection[str]) -> dict[str, Sample]:
        """Those of the questions that are still asked, as they were shown, by uid."""
        benchmark, samples = self._questions()
        samples = with_options(benchmark, samples) if self._tested else samples
        views = self._condition.views(samples) if self._condition else samples
        wanted = set(uids)
        return {sample.uid: sample for sample in views if sample.uid in wanted}

    def intervention(self) -> Intervention:
        """What was done to attention, the condition's own part of it included.

        Raises where a file that it reads is not what it was.
        """
        settings = self._ours("intervention")
        whole = dict(settings)
        if whole.get(TARGET) == SHORT_NAME:
            whole[TARGET] = INTERVENTION
        check_targets(whole, ("interventions.methods",), self._file)
        own = build(settings, "intervention", "is_identity")
        if not own.is_identity:
            now, then = redacted(lasting(by_content(settings))), self._identity["intervention"]
            if any(then.get(name) != value for name, value in now.items()):
                raise ValueError(
                    f"what the intervention of {self.run} reads is not what it was when the cell "
                    "was answered: restore the file"
                )
        return under(self._condition.intervention if self._condition else None, own)

    def model(self) -> VLM:
        """The model, loaded; the last one is kept. Raises where its weights are not what they were.

        Image features are not kept, so that every prompt comes with its pixels.
        """
        settings = {**self._ours("model"), "feature_cache_mb": 0}
        if settings.get(TARGET) != LOADER or settings["trust_remote_code"]:
            raise ValueError(
                f"the model of {self.run} would run code that is not ours, and a stored record is "
                "not enough to trust it"
            )
        then, place = self._identity["model"].get("checkpoint"), settings["checkpoint"]
        if is_folder(place) and content(place, trusts_code=False) != then:
            raise ValueError(
                f"the checkpoint {place} is not what it was when {self.run} was answered: restore "
                "it"
            )
        return cast("VLM", load_model(settings))

    def altered(self, model: VLM) -> AbstractContextManager[Any]:
        """A block in which the model is what the condition makes of it."""
        alter = getattr(self._condition, "altered", None)
        return nullcontext() if alter is None else alter(model)

    @property
    def _identity(self) -> Mapping[str, Any]:
        return read_json(self.run / "identity.json")

    @cached_property
    def _condition(self) -> Condition | None:
        """None of somebody else's answers, whose conditions are names."""
        if PREFIX in self.config:
            return None
        name, known = self._tested or self.config["condition"], self.config["conditions"]
        check_targets(without_shipped(known), ("solvent.diagnostics",), self._file)
        if name in known or not self._tested:
            return named_condition(known, name)
        tests = self.config["diagnostic"]  # one of which makes this condition
        check_targets(tests, ("solvent.diagnostics",), self._file)
        return needed_conditions(known, build_tests(tests))[name]

    def _questions(self) -> tuple[Benchmark, Sequence[Sample]]:
        """Not kept here: `load_benchmark` keeps the last ones."""
        settings = self.config["benchmark"]
        check_targets(settings, ("solvent.benchmarks",), self._file)
        for name in _of_hub(settings):
            check_kept(name)
        return load_benchmark(settings)

    def _ours(self, group: str) -> Settings:
        if PREFIX in self.config:
            raise ValueError("these answers are imported, and their model is not known")
        return self.config[group]


def without_shipped(tree: Any) -> Any:
    """Settings without the interventions in them that come with this package, which conditions name
    as `interventions.load` does, with plain fields.
    """
    if isinstance(tree, Mapping):
        fields = {key: value for key, value in tree.items() if key != TARGET}
        plain = all(key.isidentifier() and not isinstance(fields[key], Mapping) for key in fields)
        if tree.get(TARGET) == SHIPPED and plain and fields.get("name") in available():
            return None
        return {key: without_shipped(value) for key, value in tree.items()}
    return [without_shipped(value) for value in tree] if isinstance(tree, list) else tree


def check_kept(name: str) -> None:
    """Raise `FileNotFoundError` where `datasets` keeps nothing of a data set of the hub here."""
    from datasets import config, naming  # seconds to import; only these benchmarks need it

    *owner, last = name.split("/")
    folder = "___".join([*owner, naming.camelcase_to_snakecase(last)])
    if not (Path(config.HF_DATASETS_CACHE) / folder).is_dir():
        raise FileNotFoundError(f"the data set {name} of the hub is not on this machine")


def _of_hub(tree: Any) -> Iterator[str]:
    """Names of the data sets that settings read from the hub."""
    if isinstance(tree, Mapping):
        if tree.get(TARGET) == HUB and tree.get("local") is None:
            yield str(tree["id"])
        for value in tree.values():
            yield from _of_hub(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _of_hub(value)

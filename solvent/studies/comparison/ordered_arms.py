"""Arms that differ in one thing that has an order: layers, or the size of a numeric setting."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from solvent.core.trees import at
from solvent.reports.table import intervention_name
from solvent.studies.comparison.arm_order import REAL
from solvent.studies.comparison.arms import Arm, Pair
from solvent.studies.comparison.slugs import slugs

FEWEST = 3  # points of a curve
NAMED = r"[A-Za-z_][\w.]*="
SETTING = re.compile(rf"({NAMED})(.*?)(?=, {NAMED}|\Z)", re.DOTALL)  # lists have commas, too
Dose = tuple[float, str]  # and the name of an arm: two may have one
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Curve:
    """Arms of one family, from small to large."""

    key: str  # fit for a file, unique in the study
    title: str
    kind: str  # "layers" or "dose"
    setting: str
    pairs: tuple[Pair, ...]
    x: tuple[float, ...]
    labels: tuple[str, ...]


def curves(pairs: Sequence[Pair]) -> list[Curve]:
    """All that the paired arms of a study make."""
    compared = [pair for pair in pairs if pair.control is not None]
    found = [*_over_layers(compared), *_over_doses(compared)]
    keys = slugs([curve.key for curve in found])
    return [replace(curve, key=key) for curve, key in zip(found, keys, strict=True)]


def _over_layers(pairs: Sequence[Pair]) -> Iterator[Curve]:
    sets: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        metrics = pair.arm.metrics
        if metrics["layers"] not in (None, "all") and metrics["depth"]:
            what = (intervention_name(metrics), pair.arm.condition)
            sets[pair.arm.family.key, *what, pair.arm.questions.name].append(pair)
    for (family, name, condition, _), members in sets.items():
        places = {id(pair): _middle(pair.arm) for pair in members}
        if len(set(places.values())) < FEWEST:
            continue
        members.sort(key=lambda pair: (places[id(pair)], pair.arm.name))
        yield Curve(
            key="/".join((family, name, condition, "layers")),
            title=f"{_shown(name, condition)} over layers",
            kind="layers",
            setting="layers",
            pairs=tuple(members),
            x=tuple(places[id(pair)] for pair in members),
            labels=tuple(str(pair.arm.metrics["layers"]) for pair in members),
        )


def _over_doses(pairs: Sequence[Pair]) -> Iterator[Curve]:
    sets: dict[tuple[str, ...], dict[Dose, Pair]] = defaultdict(dict)
    for pair in pairs:
        metrics = pair.arm.metrics
        found = SETTING.findall(metrics["variant"] or "")
        settings = {name.removesuffix("="): value for name, value in found}
        for name, value in settings.items():
            if name == "file" or not NUMBER.fullmatch(value):  # digits of a digest
                continue
            rest = ", ".join(f"{each}={settings[each]}" for each in settings if each != name)
            what = metrics["intervention"] + (f" ({rest})" if rest else "")
            layers = metrics["layers"] or "all"
            key = (pair.arm.family.key, what, layers, pair.arm.condition, name)
            sets[(*key, pair.arm.questions.name)][float(value), pair.arm.name] = pair
    _add_stock(pairs, sets)
    for (family, what, layers, condition, setting, _), doses in sets.items():
        if len({dose for dose, _ in doses}) < FEWEST:
            continue
        where = "" if layers == "all" else f", layers {layers}"
        order = sorted(doses)
        yield Curve(
            key="/".join((family, what + where, condition, setting)),
            title=f"{_shown(what + where, condition)} by {setting}",
            kind="dose",
            setting=setting,
            pairs=tuple(doses[dose] for dose in order),
            x=tuple(dose for dose, _ in order),
            labels=tuple(f"{dose:g}" for dose, _ in order),
        )


def _add_stock(pairs: Sequence[Pair], sets: Mapping[tuple[str, ...], dict[Dose, Pair]]) -> None:
    """The arm as its file has it, at the value that stands there."""
    for pair in pairs:
        metrics = pair.arm.metrics
        if metrics["variant"]:
            continue
        for (family, what, layers, condition, setting, questions), doses in sets.items():
            here = (pair.arm.family.key, metrics["intervention"], metrics["layers"] or "all",
                    pair.arm.condition, pair.arm.questions.name)  # fmt: skip
            if here == (family, what, layers, condition, questions):
                value = at(pair.arm.first.definition, setting)
                number = isinstance(value, int | float) and not isinstance(value, bool)
                if number and all(dose != value for dose, _ in doses):
                    doses[float(value), pair.arm.name] = pair


def _middle(arm: Arm) -> float:
    """Mean index of the layers that are edited."""
    from solvent.cells.identity import edited_layers  # transformers: not without a curve

    found = edited_layers(arm.metrics["layers"], arm.metrics["depth"])
    return sum(found) / len(found)


def _shown(name: str, condition: str) -> str:
    return name if condition == REAL else f"{name}, shown {condition}"

"""Which cells are one arm, and which arm is its control."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float, Int

from solvent.core.names import did_you_mean
from solvent.core.trees import at, differing
from solvent.reports.table import compat, imported, intervention_name
from solvent.storage.runs import unlike
from solvent.studies.comparison.arm_order import REAL, order
from solvent.studies.comparison.compared_cells import ComparedCell, Questions
from solvent.studies.comparison.slugs import short, slugs

FEW = 6  # fields that are named
View = tuple[str, str]  # name and definition of what is shown


@dataclass(frozen=True, eq=False)
class Arm:
    """What was done to one model on one benchmark, all its draws together.

    Axes: R draws, N questions.
    """

    family: Family
    name: str  # for people, unique in its family
    slug: str  # likewise, fit for a file
    cells: tuple[ComparedCell, ...]  # by seed; several draws, or copies of one

    @property
    def first(self) -> ComparedCell:
        """The draw of the lowest seed."""
        return self.cells[0]

    @property
    def key(self) -> str:
        """A slug, unique in the study."""
        return f"{self.family.key}-{self.slug}"

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Of the first draw."""
        return self.first.metrics

    @property
    def condition(self) -> str:
        """What was shown."""
        return self.first.condition

    @property
    def questions(self) -> Questions:
        """That it was asked."""
        return self.first.questions

    @cached_property
    def draws(self) -> tuple[ComparedCell, ...]:
        """One per seed; the first alone where all answers are equal to the last bit: then nothing
        is drawn. Few questions may well get equal answers from two draws, which then both count.
        """
        if len({cell.digest for cell in self.cells}) == 1:
            return self.cells[:1]
        found: dict[int, ComparedCell] = {}
        for cell in self.cells:
            found.setdefault(cell.metrics["seed"], cell)
        return tuple(found.values())

    @property
    def repeated(self) -> list[int]:
        """Seeds of which there are several cells with other answers; the first of them counts."""
        answers = {(cell.metrics["seed"], cell.digest) for cell in self.cells}
        return sorted(seed for seed, n in Counter(seed for seed, _ in answers).items() if n > 1)

    @property
    def stochastic(self) -> bool | None:
        """Whether another seed gives other answers; None: only one was run."""
        return None if len(self.cells) == 1 else len(self.draws) > 1


@dataclass(frozen=True, eq=False)
class Family:
    """Cells of one model on one benchmark in one setting: what arms of it may be paired."""

    key: str
    title: str
    cells: tuple[ComparedCell, ...]

    def arms(self) -> list[Arm]:
        """All that was done, by name."""
        found: dict[tuple[str, str, str], list[ComparedCell]] = defaultdict(list)
        for cell in self.cells:
            done = repr((cell.definition, cell.shown) if cell.shown else cell.definition)
            what = (arm_name(cell), cell.questions.name, done)
            found[what].append(cell)
        times = Counter(name for name, _, _ in found)
        made = {
            name if times[name] == 1 else f"{name} #{short(questions + definition)}": cells
            for (name, questions, definition), cells in sorted(found.items())
        }
        return [
            Arm(
                family=self,
                name=name,
                slug=slug,
                cells=tuple(sorted(cells, key=lambda cell: cell.metrics["seed"])),
            )
            for (name, cells), slug in zip(made.items(), slugs(made), strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Pair:
    """An arm and the arm that it is compared with."""

    arm: Arm
    control: Arm | None
    why: tuple[str, ...] = ()  # there is no control
    remarks: tuple[str, ...] = field(default=())  # in what they are unlike

    @cached_property
    def places(self) -> Int[np.ndarray, " N"]:
        """Where the arm's questions stand among the control's."""
        assert self.control is not None
        return _places(self.arm.questions, self.control.questions)

    @cached_property
    def differences(self) -> Float[np.ndarray, "R N"]:
        """Credit of the arm minus that of its control, of every draw and question.

        Where the control draws, too, draws of equal seed are paired, or else its first; an arm that
        does not draw is compared with every draw of its control.
        """
        assert self.control is not None
        theirs, ours = self.control.draws, self.arm.draws
        by_seed = {cell.metrics["seed"]: cell for cell in theirs} if len(theirs) > 1 else {}
        if len(ours) == 1:
            partners = [(ours[0], each) for each in theirs]
        else:
            partners = [(each, by_seed.get(each.metrics["seed"], theirs[0])) for each in ours]
        same = len(theirs[0].credit) == len(ours[0].credit)
        places = slice(None) if same else self.places
        return np.array([one.credit - other.credit[places] for one, other in partners])


def families(cells: Sequence[ComparedCell]) -> list[Family]:
    """All families of a study, by model and benchmark. Titles tell apart what differs."""
    found: dict[tuple[str, str, str], list[ComparedCell]] = defaultdict(list)
    for cell in cells:
        metrics = cell.metrics
        found[metrics["model"], metrics["benchmark"], cell.setting_name].append(cell)
    beside: dict[tuple[str, str], list[ComparedCell]] = defaultdict(list)
    for (model, benchmark, _), members in sorted(found.items()):
        beside[model, benchmark].append(members[0])
    keys = dict(zip(beside, slugs("/".join(pair) for pair in beside), strict=True))
    made = []
    for (model, benchmark, setting), members in sorted(found.items()):
        others = beside[model, benchmark]
        key = keys[model, benchmark] + (f"-{setting}" if len(others) > 1 else "")
        made.append(Family(key=key, title=_title(members[0], others), cells=tuple(members)))
    return made


def pairs(found: Sequence[Family], baseline: str) -> list[Pair]:
    """Every arm of every family with its control, controls first.

    An arm differs from its control in one thing: the intervention, or what is shown. So an
    intervention is compared with the baseline under the same condition, and the baseline under
    another condition with itself under `real`. Of several arms of the baseline the one that is as
    its file has it, in all layers, is the control, and others are compared with it.
    """
    every = {family.key: family.arms() for family in found}
    made = []
    for family in found:
        arms = every[family.key]
        controls = _controls(arms, baseline)
        members = [_pair(arm, controls, baseline, every) for arm in arms]
        members.sort(
            key=lambda pair: order(pair.arm.first, pair.arm.name, _is_untouched(pair, baseline))
        )
        made += members
    return made


def is_baseline(arm: Arm, baseline: str) -> bool:
    """Whether the intervention is the one that others are compared with."""
    return bool(arm.metrics["intervention"] == baseline)


def _is_untouched(pair: Pair, baseline: str) -> bool:
    """Whether it is a control, or the baseline shown something else."""
    return is_baseline(pair.arm, baseline) and (pair.control is None or pair.arm.condition != REAL)


def check_baseline(
    cells: Sequence[ComparedCell], baseline: str, study: str, damaged: Sequence[str] = ()
) -> None:
    """Raise `ValueError` where no cell is the baseline, with the nearest name that one has, and
    with the damaged cells, of which one may have been it.
    """
    known = sorted({cell.metrics["intervention"] for cell in cells})
    if baseline not in known:
        meant = did_you_mean(baseline, known, "baseline=")
        raise ValueError(
            f"no finished cell of the study {study!r} has the intervention {baseline!r}, which all "
            f"others are compared with{meant}; it has {', '.join(known)}: run the baseline, or "
            "name another with baseline=NAME" + "".join(f". Left out: {each}" for each in damaged)
        )


def arm_name(cell: ComparedCell) -> str:
    """`reweight (mass.factor=4), layers early, shown swap`"""
    metrics, parts = cell.metrics, [intervention_name(cell.metrics)]
    if metrics["layers"] not in (None, "all"):
        parts.append(f"layers {metrics['layers']}")
    if cell.condition != REAL:
        parts.append(f"shown {cell.condition}")
    return ", ".join(parts)


def _controls(arms: Sequence[Arm], baseline: str) -> dict[View, list[Arm]]:
    """Of what is shown, the arms that others may be compared with: one, or nobody can tell."""
    found: dict[View, list[Arm]] = defaultdict(list)
    for arm in arms:
        if is_baseline(arm, baseline):
            found[_view(arm)].append(arm)
    return {view: [arm for arm in each if _is_whole(arm)] or each for view, each in found.items()}


def _view(arm: Arm) -> View:
    """What is shown, by name and definition."""
    return arm.condition, repr(arm.first.shown)


def _is_whole(arm: Arm) -> bool:
    """Whether its intervention is as its file has it, in all layers."""
    return arm.metrics["layers"] in (None, "all") and not arm.metrics["variant"]


def _pair(
    arm: Arm, controls: Mapping[View, list[Arm]], baseline: str, every: Mapping[str, Sequence[Arm]]
) -> Pair:
    candidates = controls.get(_view(arm), [])
    if arm in candidates:
        real = [each for view, arms in controls.items() if view[0] == REAL for each in arms]
        if arm.condition == REAL or not real:
            return Pair(arm, None)
        candidates = real
    if not candidates:
        return Pair(arm, None, tuple(_unpaired(arm, baseline, every)))
    alike = [each for each in candidates if each.questions.name == arm.questions.name]
    candidates = alike or candidates
    if len(candidates) > 1:
        names = "; ".join(each.name for each in candidates)
        return Pair(arm, None, (f"because it could be compared with several arms: {names}",))
    control = candidates[0]
    within = arm.condition != control.condition
    if not alike and not (within and _is_part(arm.questions, control.questions)):
        return Pair(arm, None, (_other_questions(arm, control, baseline),))
    said = [f"computed with other {what} than {control.name}" for what in _unlike(arm, control)]
    return Pair(arm, control, (), tuple(said))


def _unlike(arm: Arm, control: Arm) -> Iterator[str]:
    pairs_of_runs = {
        (id(one.runs), id(other.runs)): (one.runs, other.runs)
        for one in arm.cells
        for other in control.cells
    }
    yield from dict.fromkeys(
        what
        for ours, theirs in pairs_of_runs.values()
        if ours is not theirs or len(ours) > 1
        for one in ours
        for other in theirs
        for what in unlike(one, other)
    )


def _unpaired(arm: Arm, baseline: str, every: Mapping[str, Sequence[Arm]]) -> Iterator[str]:
    """Why no baseline is its control, one clause per candidate, or that there is none."""
    candidates = [
        other
        for arms in every.values()
        for other in arms
        if is_baseline(other, baseline)
        and other.condition == arm.condition
        and all(other.metrics[key] == arm.metrics[key] for key in ("model", "benchmark"))
    ]
    if not candidates:
        yield f"because this model has no {baseline} on this benchmark under this condition"
    for other in candidates:
        ours, theirs = arm.first.setting, other.first.setting
        if ours is None or theirs is None:
            yield f"because some setting is not that of {baseline} (an old cell: unknown which)"
            continue
        shown = [{"condition": each.first.shown} for each in (other, arm)]
        fields = differing({**theirs, **shown[0]}, {**ours, **shown[1]})
        more = f" and {len(fields) - FEW} more" if len(fields) > FEW else ""
        yield f"because it differs from {baseline} in {', '.join(fields[:FEW])}{more}"


def _other_questions(arm: Arm, control: Arm, baseline: str) -> str:
    return (
        f"because it answered other questions than {baseline} ({len(arm.questions):,} and "
        f"{len(control.questions):,})"
    )


def _is_part(some: Questions, all_of_them: Questions) -> bool:
    return bool((_places(some, all_of_them) >= 0).all())


def _places(some: Questions, all_of_them: Questions) -> Int[np.ndarray, " N"]:
    """Of questions among others; -1 where they are not."""
    found = pc.index_in(some.columns.uids, value_set=all_of_them.columns.uids)
    return np.asarray(found.fill_null(-1))


def _title(cell: ComparedCell, others: Sequence[ComparedCell]) -> str:
    """`tiny on shapes, benchmark.limit=180`"""
    metrics = cell.metrics
    rules = f", compat {name}" if (name := compat(metrics)) else ""
    origin = f", imported by {by}" if (by := imported(metrics)) else ""
    fields = sorted(
        {
            name
            for other in others
            if other.setting is not None and cell.setting is not None
            for name in differing(cell.setting, other.setting)
        }
    )
    told = [f"{name}={at(cell.setting, name)}" for name in fields if _is_brief(cell.setting, name)]
    if len(others) > 1 and not told:
        told = [f"setting {cell.setting_name}"]
    return ", ".join([f"{metrics['model']} on {metrics['benchmark']}{rules}{origin}", *told[:3]])


def _is_brief(tree: Any, name: str) -> bool:
    value = at(tree, name)
    return isinstance(value, str | int | float | bool | None) and len(str(value)) <= FEW * 3

"""The difference of every paired arm, its verdict, and whether benchmarks notice a harm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import yaml

from solvent.core.names import did_you_mean
from solvent.core.paths import CONF, definitions
from solvent.reports.compared.frames import Verdict
from solvent.studies.comparison.arm_order import REAL
from solvent.studies.comparison.arms import Arm, Pair
from solvent.studies.comparison.paired_statistics.margin_claims import Claims, adjust, claims
from solvent.studies.comparison.paired_statistics.paired import (
    PairedEstimate,
    compare,
    equal_accuracy,
)
from solvent.studies.comparison.paired_statistics.power import needed
from solvent.studies.comparison.verdict_rules import Assay, Judged, judge, margin_of

Method = Literal["holm", "fdr_bh"]
METHODS: Mapping[str, Method] = {"primary": "holm", "explored": "fdr_bh"}  # by role
TOLD = {"holm": "Holm", "fdr_bh": "BH"}


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What was decided before anybody looked at the numbers.

    Attributes:
        baseline: name of the intervention that the others are compared with.
        margin: of equivalence, in accuracy.
        margin_share: of what the control is above chance; the smaller margin counts. None: only
            `margin` does.
        primary: names of interventions, or of arms, that the study is about.
        positive_controls: names of interventions and conditions that must cost accuracy where the
            picture is needed.
    """

    baseline: str
    margin: float
    margin_share: float | None
    primary: tuple[str, ...]
    positive_controls: tuple[str, ...]

    def role(self, arm: Arm, control: bool) -> str:
        """Of an arm: control, primary, positive control or explored."""
        if control:
            return "control"
        if not self.positive_controls_of(arm).isdisjoint(self.positive_controls):
            return "positive control"
        return "explored" if self.names_of(arm).isdisjoint(self.primary) else "primary"

    @staticmethod
    def names_of(arm: Arm) -> set[str]:
        """Names by which it may be registered."""
        return {arm.name, str(arm.metrics["intervention"]), arm.condition} - {REAL}

    def check(self, pairs: Sequence[Pair], study: str) -> None:
        """Raise `ValueError` where a name means no arm: a misspelt one would register nothing."""
        arms = [pair.arm for pair in pairs if pair.control or pair.why]
        known: set[str] = set().union(*(self.names_of(arm) for arm in arms))
        for name in self.primary:
            roles = {self.role(arm, control=False) for arm in arms if name in self.names_of(arm)}
            if not roles:
                raise ValueError(
                    f"primary names {name!r}, which no arm of the study {study!r} is"
                    f"{did_you_mean(name, known)}; name an intervention, a condition (those of "
                    "tests are arms with conditions=all) or an arm as in arms.csv"
                )
            if roles == {"positive control"}:
                raise ValueError(
                    f"primary names {name!r}, which is a positive control: an arm cannot be both, "
                    "take it out of one of the two lists"
                )
        known |= {*definitions("intervention"), *_conditions()}
        for name in self.positive_controls:
            if name not in known:
                raise ValueError(
                    f"positive_controls names {name!r}, which is no intervention and no condition"
                    f"{did_you_mean(name, known)}"
                )

    def positive_controls_of(self, arm: Arm) -> set[str]:
        """Names by which it may be one: of an intervention as its file has it, in all layers."""
        metrics = arm.metrics
        if metrics["intervention"] == self.baseline:
            return {arm.condition}
        whole = metrics["layers"] in (None, "all") and not metrics["variant"]
        return {str(metrics["intervention"])} if whole and arm.condition == REAL else set()


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """A paired arm with all that is concluded of it."""

    pair: Pair
    role: str
    estimate: PairedEstimate
    margin: float
    p: float | None  # of equal accuracy
    p_adjusted: float | None
    claims: Claims  # corrected
    correction: str | None  # None: nothing is claimed
    needed: int | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True)
class FamilyAssay:
    """The positive control of a family with the clearest drop; None: there is none."""

    assay: Assay
    pair: Pair | None
    estimate: PairedEstimate | None


def estimated(
    pairs: Sequence[Pair], registered: Registered
) -> tuple[dict[int, Estimated], dict[str, FamilyAssay]]:
    """What is concluded of paired arms, by the identity of the pair; and of families, by key."""
    compared = [pair for pair in pairs if pair.control is not None]
    estimates = {
        id(pair): compare(pair.differences, pair.arm.questions.layout) for pair in compared
    }
    margins = {id(pair): _margin(pair, registered) for pair in compared}
    roles = {id(pair): registered.role(pair.arm, control=False) for pair in compared}
    made = {id(pair): claims(estimates[id(pair)], margins[id(pair)]) for pair in compared}
    assays = _assays(pairs, compared, estimates, made, roles, registered)
    p_values = _p_values(compared, estimates)
    corrected = _corrected(compared, p_values, made, roles)
    found = {}
    for pair in compared:
        place = id(pair)
        estimate, (p, claim, correction) = estimates[place], corrected[place]
        wanted = needed(estimate.variance, margins[place], estimate.design_effect)
        assay = assays[pair.arm.family.key].assay
        judged: Judged = judge(claim, estimate, margins[place], assay, wanted, p)
        found[place] = Estimated(
            pair=pair,
            role=roles[place],
            estimate=estimate,
            margin=margins[place],
            p=p_values[place],
            p_adjusted=p,
            claims=claim,
            correction=correction,
            needed=wanted,
            verdict=judged.verdict,
            reason=judged.reason,
        )
    return found, assays


def _conditions() -> set[str]:
    """Names of what a model can be shown."""
    return set(yaml.safe_load((CONF / "conditions.yaml").read_text(encoding="utf-8")))


def _margin(pair: Pair, registered: Registered) -> float:
    assert pair.control is not None
    control = pair.control.first
    accuracy = float(control.credit.mean()) if len(control.credit) else 0.0
    chance = float(control.metrics["chance"])
    return margin_of(accuracy, chance, registered.margin, registered.margin_share)


def _p_values(
    compared: Sequence[Pair], estimates: Mapping[int, PairedEstimate]
) -> dict[int, float | None]:
    """Of equal accuracy; arms that answered the same questions share the flips of signs."""
    groups: dict[int, list[int]] = defaultdict(list)
    for pair in compared:
        groups[id(pair.arm.questions)].append(id(pair))
    return {
        place: p
        for places in groups.values()
        for place, p in zip(
            places, equal_accuracy([estimates[each] for each in places]), strict=True
        )
    }


def _corrected(
    compared: Sequence[Pair],
    p_values: Mapping[int, float | None],
    made: Mapping[int, Claims],
    roles: Mapping[int, str],
) -> dict[int, tuple[float | None, Claims, str | None]]:
    """p of every arm, corrected for all arms of the same role in the study: Holm over what was
    registered, Benjamini-Hochberg over what was explored. Positive controls claim nothing.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for pair in compared:
        groups[roles[id(pair)]].append(id(pair))
    found: dict[int, tuple[float | None, Claims, str | None]] = {}
    for role, places in groups.items():
        if role not in METHODS:
            found |= {place: (p_values[place], made[place], None) for place in places}
            continue
        method = METHODS[role]
        told = f"{TOLD[method]} of {len(places):,}"
        p = adjust([p_values[place] for place in places], method)
        columns = {
            name: adjust([getattr(made[place], name) for place in places], method)
            for name in Claims.__dataclass_fields__
        }
        for row, place in enumerate(places):
            claim = Claims(**{name: column[row] for name, column in columns.items()})
            found[place] = (p[row], claim, told)
    return found


def _assays(
    pairs: Iterable[Pair],
    compared: Sequence[Pair],
    estimates: Mapping[int, PairedEstimate],
    made: Mapping[int, Claims],
    roles: Mapping[int, str],
    registered: Registered,
) -> dict[str, FamilyAssay]:
    controls: dict[str, list[Pair]] = {pair.arm.family.key: [] for pair in pairs}
    for pair in compared:
        if roles[id(pair)] == "positive control":
            controls[pair.arm.family.key].append(pair)

    def noticed(pair: Pair) -> bool:
        p = made[id(pair)].p_worse
        return p is not None and p < estimates[id(pair)].level

    def clearest(pair: Pair) -> tuple[bool, float]:
        high = estimates[id(pair)].high
        return not noticed(pair), 1.0 if high is None else high

    found = {}
    for key, members in controls.items():
        if not members:
            wanted = " or ".join(registered.positive_controls)
            said = "no positive control was run" + (f" ({wanted})" if wanted else "")
            found[key] = FamilyAssay(
                assay=Assay(shown=False, sentence=said), pair=None, estimate=None
            )
            continue
        best = min(members, key=clearest)
        drop, shown = estimates[id(best)], noticed(best)
        verb = "gains" if drop.value > 0 else "costs"
        told = "the benchmark would notice" if shown else "it is not shown that it would notice"
        said = (
            f"{best.arm.name} {verb} {100 * abs(drop.value):.1f} points: {told} that a model does "
            "not look"
        )
        found[key] = FamilyAssay(assay=Assay(shown=shown, sentence=said), pair=best, estimate=drop)
    return found

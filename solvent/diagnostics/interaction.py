"""Interaction: does the model put image and question together, or add up what each suggests?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from solvent.core.plotting import COLOURS, draw_bar, draw_nothing
from solvent.core.types import Facts, Prediction
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.conditions.pairs import PAIRED
from solvent.diagnostics.statistics.estimates import Verdict, decide
from solvent.diagnostics.statistics.grid import Emap, emap, read_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRS = "pairs"


@dataclass(frozen=True, kw_only=True)
class Interaction(UsageTest):
    """Every image with every question of some samples, and the best sum of two terms.

    PASS: accuracy of the model is surely above that of its own additive projection by the margin.
    A model that only looks, or only reads, loses nothing by the projection: read it beside the
    share of variance that images, questions and their interaction have.

    Source: Hessel and Lee (2020), https://aclanthology.org/2020.emnlp-main.62.
    """

    margin: float
    most_invalid: float
    name: ClassVar[str] = "interaction"
    facts: ClassVar[Facts] = Facts(
        asks="Is it more than the sum of its parts?",
        number="accuracy_of_interaction",
        unit="accuracy gained",
        neutral=0.0,
        place=10,
    )
    watches: ClassVar[Mapping[str, Sequence[str]]] = {PAIRS: (PAIRS,)}

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return (REFERENCE, PAIRS)

    def judge(self, seen: Seen) -> Finding:
        """Judge the answers to all pairs."""
        pairs = seen.pairs[PAIRS]
        own = [row for row in pairs if (row.shown or {}).get("donor") == _question(row)]
        samples = [replace(row, uid=_question(row)) for row in own]
        if len(samples) < 2:
            reason = "no two samples share their options, so that images cannot change places"
            return self._finding("NOT APPLICABLE", reason, {})
        found = emap(read_grid(samples, pairs))
        metrics = {name: getattr(found, name) for name in Emap.__dataclass_fields__}
        if found.invalid > self.most_invalid * len(samples) or not found.n:
            reason = f"{found.invalid} of {len(samples)} samples have pairs without numbers"
            return self._finding("ERROR", reason, metrics)
        gain = found.accuracy_of_interaction
        reason = (
            f"putting image and question together is worth {gain.value:.3f} {gain.interval} of "
            "accuracy over the best sum of the two"
        )
        return self._finding(decide(gain, self.margin), reason, metrics)

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """What images, questions and their interaction have of the variance of answers."""
        shares = {name: each for name, each in finding["series"].get("shares", {}).items() if each}
        if not shares:
            draw_nothing(axes)
            return
        for place, (each, colour) in enumerate(zip(shares.values(), COLOURS, strict=False)):
            draw_bar(axes, place, each, colour)
        axes.set_xticks(range(len(shares)), [name.removesuffix("_share") for name in shares])
        axes.set(ylim=(0, 1), ylabel="share of the variance of answers")

    def _finding(self, verdict: Verdict, reason: str, metrics: Mapping[str, object]) -> Finding:
        shares = {
            name: asdict(value) if value else None
            for name, value in metrics.items()
            if name.endswith("_share")
        }
        return Finding(
            test=self.name,
            verdict=verdict,
            strict="NOT APPLICABLE",
            reason=reason,
            metrics=metrics,
            series={"shares": shares},
        )


def _question(row: Prediction) -> str:
    """The uid of the pair's question."""
    match = PAIRED.fullmatch(row.uid)
    return match["question"] if match else row.uid

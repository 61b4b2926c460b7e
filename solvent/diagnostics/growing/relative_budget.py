"""What more text takes from the image, as a share of what it had."""

from __future__ import annotations

from dataclasses import dataclass, replace

from solvent.core.intervals import DIFFERENCE, SHARE
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import Finding, Seen, measured
from solvent.diagnostics.budget import EQUAL, FillerBudget, Place
from solvent.diagnostics.conditions.composed import JOINT
from solvent.diagnostics.conditions.fillers import FillerCase
from solvent.diagnostics.statistics.distances import jensen_shannon_bits
from solvent.diagnostics.statistics.estimates import Estimate, Verdict, decide, estimate
from solvent.diagnostics.statistics.slopes import slope_beside_start


@dataclass(frozen=True, kw_only=True)
class RelativeBudget(FillerBudget):
    """Does the image lose a share of its influence as neutral text is added?

    The influence of `FillerBudget`, whose slope b is judged beside what there was without filler:

        FAIL when b + margin_share * (influence without filler) is surely below 0 in mean, while
        accuracy from a text that says the right answer surely falls by less than `text_margin` per
        doubling, though it is so far above chance without filler that losing all of that would be
        steeper: no mere long-context decay

    The text that says the right answer stands where the image stood, as far from the question; it
    is right by what it says, not by luck, so that it can decay. Where it is not believed, or decays
    with the image, a fall is INCONCLUSIVE. How J changes where the image is shown again instead of
    filler is told beside it: what a longer prompt does by itself.

    Raises:
        ValueError: beyond those of `FillerBudget`, even the loss of all influence at once is less
            steep than `margin_share`.
    """

    margin_share: float  # of the influence without filler, per doubling, that it may fall
    statement: str  # condition that says the right answer in words
    repeated: str  # condition that shows the image again instead of filler

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.margin_share < self.steepest:
            raise ValueError(
                f"margin_share must be above 0 and below {self.steepest:.3f}, the loss of all "
                f"influence per doubling over {self.words} words; got {self.margin_share:g}"
            )

    @property
    def says(self) -> str:
        """Condition that says the right answer in words."""
        return self.statement

    @property
    def least_told(self) -> float:
        """Accuracy above chance from which on its loss at once would be steeper than tolerated."""
        return self.text_margin / self.steepest

    @property
    def controls(self) -> tuple[str, ...]:
        """Texts that say the right answer, and the image again."""
        none = FillerCase(place=self.places[0], words=0, draw=1)
        told = (case.informed(self.statement) for case in (none, *self.fillers))
        return (*told, *self._again)

    @property
    def _again(self) -> tuple[str, str]:
        return self.repeated, JOINT.join(("swap", self.repeated))

    def judge(self, seen: Seen) -> Finding:
        """As `FillerBudget`, and J of images that are shown again."""
        found = super().judge(seen)
        answers = seen.answers
        if not all(name in answers.scores for name in self._again):
            return found
        rows = answers.valid(REFERENCE, "swap", *self._again)
        pairs = (self._again, (REFERENCE, "swap"))
        again, once = (
            jensen_shannon_bits(*(answers.probabilities(name)[rows] for name in pair))
            for pair in pairs
        )
        clusters = answers.clusters[rows]
        change = estimate(again - once, clusters, DIFFERENCE)
        told = {
            "dependency_repeated_bits": estimate(again, clusters, SHARE),
            "dependency_repeated_change_bits": change,
        }
        said = ""
        if change is not None:
            said = (
                f" The image shown again instead of filler changes J by {change.value:+.3f} "
                f"{change.interval}."
            )
        return replace(found, metrics={**found.metrics, **told}, reason=f"{found.reason}{said}")

    def kept(self, seen: Place, start: Estimate, fall: Estimate) -> tuple[Verdict, str]:
        """Whether it falls by less than the share, and that share."""
        most = 1.0 if self.measure == "dependency" else None
        kept = slope_beside_start(seen.doublings, seen.told, seen.clusters, self.margin_share, most)
        share = f"{fall.value / start.value:+.0%} of " if start.value > EQUAL else ""
        doubt = f" (no verdict: {kept.doubt})" if kept is not None and kept.doubt else ""
        return decide(
            kept, 0.0
        ), f"{share}{start.value:.3f}, against -{self.margin_share:.0%}{doubt}"

    def why_decay(self, seen: Place) -> str:
        """Why a fall may be that of everything a long text says; empty where it is not."""
        above, text = (seen.metrics.get(name) for name in (seen.above, seen.text))
        if not (isinstance(above, Estimate) and isinstance(text, Estimate)):
            return "no sample has a text that says its answer"
        if decide(above, self.least_told) != "PASS":
            said = f"{measured(above)} above chance"
            if decide(above, 0.0) != "PASS":
                return f"a text that says the answer is not surely believed: {said}"
            return (
                f"a text that says the answer is not surely believed by more than "
                f"{self.least_told:.3f}, below which no decay of it shows: {said}"
            )
        if decide(text, -self.text_margin) == "PASS":
            return ""
        said = measured(text)
        return f"decay of answers to a text that says them is not ruled out ({said} per doubling)"

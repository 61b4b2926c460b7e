"""What every modality-usage test has: facts, what it reads, what it finds, how that is drawn.

A test of your own is one class that derives from `UsageTest`, and one YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from solvent.core.plotting import COLOURS, draw_estimate, draw_nothing
from solvent.core.types import Condition, Facts, Lens, Prediction
from solvent.diagnostics.statistics.estimates import Estimate, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from solvent.diagnostics.answers import Answers
    from solvent.diagnostics.residual.measured_updates import MeasuredUpdates
    from solvent.diagnostics.statistics.projection import Scores
    from solvent.diagnostics.statistics.strata import Strata
    from solvent.diagnostics.stored_shares import Shares

STATES, SHARES, PAIRS = "states", "shares", "pairs"  # what a test may watch
PREDICTIONS, UPDATES = "predictions", "updates"  # which it may, too


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Verdicts, the numbers behind them, and what figures are drawn from.

    `strict` judges the literal inequality in every sample; `verdict` judges the mean against a
    margin that was fixed beforehand.
    """

    test: str
    verdict: Verdict
    strict: Verdict
    reason: str  # one sentence a person understands
    metrics: Mapping[str, Estimate | float | int | None]
    series: Mapping[str, Any]  # plain lists and numbers, for figures


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What was seen of one cell under a test's conditions; each part is loaded once, when asked.

    Asking for a part that is not there raises `ValueError`.
    """

    parts: Mapping[str, Callable[[], Any]]  # name of a property -> what loads it

    @cached_property
    def answers(self) -> Answers:
        """Scores of the options of every sample under every condition."""
        return self._loaded("answers", "")

    @cached_property
    def scores(self) -> Scores:
        """Decoder states on their principal components, of a test that watches `states`."""
        return self._loaded("scores", STATES)

    @cached_property
    def beside(self) -> Mapping[str, Scores]:
        """Likewise, of runs that a test sets beside the cell's own, by the test's name for them.

        Cells that were run before a test asked for them have none.
        """
        return self._loaded("beside", STATES)

    @cached_property
    def shares(self) -> Mapping[str, Shares]:
        """How attention was shared out, by condition, of a test that watches `shares`.

        A condition under which nothing was measured is missing.
        """
        return self._loaded("shares", SHARES)

    @cached_property
    def pairs(self) -> Mapping[str, Sequence[Prediction]]:
        """Answers by condition, of a test that watches `pairs`: samples that `real` has not."""
        return self._loaded("pairs", PAIRS)

    @cached_property
    def predictions(self) -> Mapping[str, Sequence[Prediction]]:
        """Answers as they were read, by condition, of a test that watches `predictions`."""
        return self._loaded("predictions", PREDICTIONS)

    @cached_property
    def updates(self) -> Mapping[str, MeasuredUpdates]:
        """What was measured of updates of the residual stream, by condition, of a test that watches
        `updates`. A condition under which nothing was measured is missing.
        """
        return self._loaded("updates", UPDATES)

    def _loaded(self, name: str, watched: str) -> Any:
        if name not in self.parts:
            raise ValueError(
                f"a test asked for {name} of what was seen, which is only there where it watches "
                f"{watched!r}: write watches = {{{watched!r}: (names of conditions)}} in its class"
            )
        return self.parts[name]()


class UsageTest:
    """A modality-usage test. Beside its settings it has `name`, `facts`, `conditions` and `judge`.

    All else has a neutral value here; `solvent.diagnostics.contract` says what is missing.
    """

    name: ClassVar[str]
    facts: ClassVar[Facts]
    conditions: Sequence[str]  # that it needs, by name
    watches: ClassVar[Mapping[str, Sequence[str]]] = {}  # states, shares, ... -> conditions
    components: ClassVar[int] = 0  # that are kept of every state
    # runs whose states are set beside: name -> {`real`, `swap`, ...: the condition shown as such}
    beside: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    @property
    def judged_against(self) -> float | None:
        """What the judged number has to exceed: the neutral value and the setting `margin` or
        `margin_bits`, unless a test says otherwise; None where it has neither.
        """
        margin = getattr(self, "margin", getattr(self, "margin_bits", None))
        neutral = self.facts.neutral
        known = isinstance(margin, int | float) and neutral is not None
        return neutral + margin if known else None

    def composed(self, known: Mapping[str, Condition]) -> Mapping[str, Condition]:
        """Conditions that it makes of those that are defined, by name: none."""
        return {}

    def strata(self, answers: Answers) -> Strata:
        """Which samples' states are compared with which. Who watches `states` must say."""
        raise NotImplementedError

    def lens(self, uids: Sequence[str], condition: str) -> Lens:
        """What is measured of updates of the residual stream under a condition, on which tokens of
        which of these samples. Who watches `updates` must say.
        """
        raise NotImplementedError

    def judge(self, seen: Seen) -> Finding:
        """What was found. Every test must say."""
        raise NotImplementedError

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """The judged number with its interval, and that of a model that does not look.

        Args:
            axes: of matplotlib, empty; a title is set by whoever made them.
            finding: as it is stored, plain values only.
        """
        number = finding["metrics"].get(self.facts.number)
        if not isinstance(number, Mapping):
            draw_nothing(axes)
            return
        if self.facts.neutral is not None:
            axes.axvline(self.facts.neutral, color="grey", linestyle=":", linewidth=1)
        draw_estimate(axes, 0, number, COLOURS[0])
        axes.margins(x=0.25)
        axes.set(ylim=(-1, 1), yticks=[], xlabel=self.facts.unit)

    def draw_alone(self, figure: Figure, finding: Mapping[str, Any]) -> bool:
        """Draw what needs more than a panel on an empty figure; False, as here: nothing does."""
        return False


def measured(mean: Estimate, unit: str = "") -> str:
    """A mean with its interval, and a warning where too few samples are independent."""
    number = f"{mean.value:.3f} {mean.interval}{unit and ' ' + unit}"
    return f"{number} (no verdict: {mean.doubt})" if mean.doubt else number

"""The information horizon: from which layer on the image no longer matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from solvent.core.intervals import DIFFERENCE, SHARE, of_values
from solvent.core.plotting import COLOURS, draw_curve, draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest, measured
from solvent.diagnostics.conditions.composed import at_most
from solvent.diagnostics.measures import shared_credit
from solvent.diagnostics.statistics.distances import jensen_shannon_bits
from solvent.diagnostics.statistics.estimates import (
    Estimate,
    Verdict,
    decide,
    estimate,
    estimate_columns,
)
from solvent.diagnostics.statistics.screening import screen
from solvent.diagnostics.swaps import probability_gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KNOCK, SWAP, PLACEBO = "knock", "swap", "placebo_jpeg"
ERROR = 0.025  # of each end of the interval

Metrics = dict[str, Estimate | float | int | None]


@dataclass(frozen=True, kw_only=True)
class Horizon(UsageTest):
    """The flow from the image to the text is cut from a layer on, for ever later layers.

    moved(l) = Jensen-Shannon divergence between the answers with the whole flow and with the flow
    cut from layer l on, in [0, 1] bits: it vanishes only where no answer moves, so that losses and
    gains do not cancel. The horizon is the first l from which on the mean of moved stays within the
    margin, as a share of the model's depth: 0 where the image never matters, 1 where it does up to
    the last layer. Beside it stands for every l what the right option loses, in bits, and accuracy.

    Its 95 % interval begins behind the last l whose mean is surely above the margin (p at most
    2.5 % over the number of layers: Bonferroni), and ends at the first l from which on all means
    are surely below it (p at most 2.5 % each: then all hold together).

    PASS: the horizon is surely behind the first layer, and another image surely moves the answer
    too, and by more than the margin beyond a placebo (a JPEG): answers that anything moves say
    nothing. Where it does not, what is cut is not about this image: VACUOUS.

    Source: a cheaper form, by knockout, of the information horizon of
    https://arxiv.org/abs/2512.07580, which shows single visual tokens from a layer on.
    """

    of: int
    layers: Sequence[int]
    margin_bits: float
    samples: int
    name: ClassVar[str] = "horizon"
    facts: ClassVar[Facts] = Facts(
        asks="From which layer on does the image no longer matter?",
        number="horizon",
        unit="share of the depth",
        neutral=0.0,
        place=None,
    )

    def __post_init__(self) -> None:
        rising = list(self.layers) == sorted(set(self.layers))
        if not (self.layers and rising and self.layers[0] == 0 and self.layers[-1] < self.of):
            raise ValueError(
                f"horizon: layers must rise from 0 and stay below of={self.of}, got "
                f"{list(self.layers)}"
            )

    @property
    def judged_against(self) -> None:
        """Its margin is one of bits, and the horizon a share of the depth."""
        return None

    @property
    def cuts(self) -> dict[str, int]:
        """Conditions, and from which layer on each cuts."""
        return {f"cut_from_{layer}_of_{self.of}": layer for layer in self.layers}

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it reads."""
        return (REFERENCE, SWAP, PLACEBO, *self.cuts)

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """The knockout of `knock` in the later layers only, for some of the samples."""
        knock: Any = known[KNOCK]
        made = {}
        for name, layer in self.cuts.items():
            cut = replace(knock.intervention, layers=f"{layer}-/{self.of}")
            made[name] = replace(knock, name=name, intervention=cut)
        return at_most(made, list(made), self.samples)

    def judge(self, seen: Seen) -> Finding:
        """Curves over the layers, and the horizon."""
        screened = screen(seen.answers, (REFERENCE,), (SWAP, PLACEBO, *self.cuts))
        if screened.verdict:
            return screened.finding(self.name)
        answers = screened.answers.take(screened.answers.valid(*self.cuts))
        gap = probability_gap(answers, jensen_shannon_bits)
        moved = {layer: gap(name) for name, layer in self.cuts.items()}
        horizon = self._horizon(moved, answers.clusters)
        curves = {layer: estimate(each, answers.clusters, SHARE) for layer, each in moved.items()}
        swapped = {"swap_bits": gap(SWAP), "swap_over_placebo_bits": gap(SWAP) - gap(PLACEBO)}
        bounds = {"swap": SHARE, "swap_over": DIFFERENCE}
        others = estimate_columns(swapped, answers.clusters, bounds)
        other, net = others.values()
        verdict = self._verdict(horizon, other, net)
        metrics: Metrics = {
            **screened.counts,
            "horizon": horizon,
            **others,
            **{f"moved_bits_from_{layer}": each for layer, each in curves.items()},
            **self._beside(answers),
            "p_value": of_values(moved[0], answers.clusters, SHARE).p_above(self.margin_bits)
            if len(answers)
            else None,
        }
        return Finding(
            test=self.name,
            verdict=verdict,
            strict="NOT APPLICABLE",
            reason=self._reason(verdict, horizon, other, net),
            metrics=metrics,
            series={
                "layers": [layer / self.of for layer in curves],
                "moved": [None if each is None else asdict(each) for each in curves.values()],
                "margin": self.margin_bits,
            },
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """How far answers move when the flow is cut from a layer on; the horizon's interval."""
        points, found = finding["series"].get("moved", ()), finding["metrics"].get("horizon")
        if not points or None in points:
            draw_nothing(axes)
            return
        draw_curve(axes, finding["series"]["layers"], points, COLOURS[0])
        axes.axhline(finding["series"]["margin"], color="grey", linestyle=":", linewidth=1)
        if found and found["low"] is not None:
            axes.axvspan(found["low"], found["high"], color=COLOURS[1], alpha=0.2, linewidth=0)
        axes.set(xlim=(0, 1), xlabel="cut from this share of the depth on", ylabel="moved, bits")

    def _horizon(
        self, moved: Mapping[int, Float[np.ndarray, " N"]], clusters: Int[np.ndarray, " N"]
    ) -> Estimate | None:
        """None without samples; without ends where there are too few images for one."""
        if not len(clusters):
            return None
        means = {layer: of_values(each, clusters, SHARE) for layer, each in moved.items()}
        above = [layer for layer, each in means.items() if each.mean > self.margin_bits]
        surely = [  # above the margin, all at once
            layer
            for layer, each in means.items()
            if (p := each.p_above(self.margin_bits)) is not None and p <= ERROR / len(means)
        ]
        doubtful = [  # not surely below it
            layer
            for layer, each in means.items()
            if (p := each.p_below(self.margin_bits)) is None or p > ERROR
        ]
        value, low, high = (self._behind(each) for each in (above, surely, doubtful))
        first = estimate(moved[0], clusters, SHARE)
        assert first is not None  # there are samples
        return replace(
            first,
            value=value,
            low=None if first.low is None else low,
            high=None if first.high is None else high,
            lower=None if first.doubt else low,
            upper=None if first.doubt else high,
        )

    def _behind(self, layers: Sequence[int]) -> float:
        """The first layer that was tried behind all of these, as a share of the depth."""
        tried = [*self.layers, self.of]
        return tried[tried.index(layers[-1]) + 1 if layers else 0] / self.of

    def _beside(self, answers: Answers) -> Metrics:
        """What the right option loses, and accuracy, by layer."""
        rows, gold = np.arange(len(answers)), answers.gold
        real = answers.log_probabilities(REFERENCE)
        columns = {"accuracy_real": shared_credit(real, gold)}
        for name, layer in self.cuts.items():
            cut = answers.log_probabilities(name)
            columns[f"loss_bits_from_{layer}"] = (real[rows, gold] - cut[rows, gold]) / np.log(2)
            columns[f"accuracy_from_{layer}"] = shared_credit(cut, gold)
        return dict(estimate_columns(columns, answers.clusters, {"accuracy": SHARE}))

    def _verdict(
        self, horizon: Estimate | None, other: Estimate | None, net: Estimate | None
    ) -> Verdict:
        if horizon is None:
            return "NOT APPLICABLE"
        if horizon.lower is None or horizon.upper is None:
            return "INCONCLUSIVE"
        if horizon.upper == 0:
            return "FAIL"
        about = decide(other, self.margin_bits)
        if horizon.lower == 0 or about in ("INCONCLUSIVE", "NOT APPLICABLE"):
            return "INCONCLUSIVE"
        if about == "FAIL":
            return "VACUOUS"
        return "PASS" if decide(net, self.margin_bits) == "PASS" else "INCONCLUSIVE"

    def _reason(
        self,
        verdict: Verdict,
        horizon: Estimate | None,
        other: Estimate | None,
        net: Estimate | None,
    ) -> str:
        if horizon is None:
            return "No sample has numbers under every cut."
        said = (
            f"The image matters in a share of {measured(horizon)} of the depth, from the first "
            f"layer on: cuts behind that move answers by at most {self.margin_bits:g} bit"
        )
        if verdict == "VACUOUS" and other is not None:
            return f"{said}; but another image moves them by {measured(other, 'bit')} only."
        if other is None:
            return f"{said}; whether it matters which image it is, no sample shows."
        if verdict == "INCONCLUSIVE" and net is not None:
            said += f"; another image moves them by {measured(net, 'bit')} beyond a placebo"
        return f"{said}."

"""What attention and feed-forward parts do to the geometry of the residual stream, by depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from solvent.core.plotting import draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.base import UPDATES, Finding, Seen, UsageTest, measured
from solvent.diagnostics.residual.altered_models import (
    UNROTATED,
    Draw,
    OtherWeights,
    Unrotated,
    Weights,
    first_questions,
)
from solvent.diagnostics.residual.beside_controls import ROTATION, of_controls
from solvent.diagnostics.residual.depth_table import BANDS, depth_table, mean_over
from solvent.diagnostics.residual.geometry_figure import PARTS, draw_depth, draw_plane
from solvent.diagnostics.residual.layer_geometry import Variant
from solvent.diagnostics.residual.lens import Null, Tokens, UpdateLens
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates
from solvent.diagnostics.residual.published_aggregates import beside_published, in_words
from solvent.diagnostics.residual.summaries.curve import curve_of, draw_size_curve, sets_of
from solvent.diagnostics.residual.summaries.undefined import flagged
from solvent.diagnostics.residual.summaries.undefined import in_words as why_undefined
from solvent.diagnostics.statistics.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = ("rid", "spectral_change", "row_innovation", "column_innovation", "kappa")
SHOWN += ("relative_norm", "mixig", "effective_rank")  # by layer; beginnings of names


@dataclass(frozen=True, kw_only=True)
class ResidualGeometry(UsageTest):
    """RID, MixIG and what makes them readable, of every decoder layer's two updates.

    It describes and judges nothing: no number here says whether the image is used, and an untrained
    network has all of them. `kappa` is what to read first: the share of an update outside the span
    of the tokens, in units of what random directions have (0: tokens are only mixed, 1: random).
    RID grows with the size of the update (`relative_norm`) and depends on tokens / width, so the
    number of tokens is fixed. MixIG at alpha 1 cannot exceed ln 2.

    Measures: docs/diagnostics.md and https://arxiv.org/abs/2605.05668. A mean is over layers, or a
    third of them, in every sample first; its interval is over images.
    """

    tokens: Mapping[Tokens, int]
    width_share: int
    draws: int
    curve: Sequence[int]
    samples: int
    controls: Sequence[Null]
    weights: Sequence[Weights]
    weights_draw: Draw
    rotation: int
    variant: Variant
    seed: int
    name: ClassVar[str] = "residual"
    facts: ClassVar[Facts] = Facts(
        asks="What do layers add to the stream?",
        number="kappa_gap_all",
        unit="kappa, feed-forward minus attention",
        neutral=None,
        place=None,
    )

    def __post_init__(self) -> None:
        if unknown := set(self.weights) - set(get_args(Weights)):
            raise ValueError(
                f"diagnostic.residual.weights has {', '.join(get_args(Weights))}, got "
                f"{', '.join(unknown)}"
            )
        if self.weights_draw not in get_args(Draw):
            raise ValueError(
                f"diagnostic.residual.weights_draw is {' or '.join(get_args(Draw))}, got "
                f"{self.weights_draw!r}"
            )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The real run, and the model's own controls."""
        return (REFERENCE, *self.weights, *([UNROTATED] if self.rotation > 0 else []))

    @property
    def watches(self) -> dict[str, tuple[str, ...]]:  # type: ignore[override]
        """Updates, in all of them."""
        return {UPDATES: self.conditions}

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """The model's own controls, on no more than the questions that are measured."""
        weights: dict[str, Condition] = {
            name: OtherWeights(
                name=name, seed=self.seed, draw=self.weights_draw, samples=self.samples
            )
            for name in self.weights
        }
        both_ways = Unrotated(samples=min(self.rotation, self.samples))
        return weights | ({UNROTATED: both_ways} if self.rotation > 0 else {})

    def lens(self, uids: Sequence[str], condition: str) -> UpdateLens:
        """The same questions under all conditions; under others than the real one, the first draw
        of the first set of tokens, and no controls.

        Raises `ValueError` for tokens, draws or controls that cannot be.
        """
        real = condition == REFERENCE
        return UpdateLens(
            sizes=self.tokens if real else dict([next(iter(self.tokens.items()))]),
            width_share=self.width_share,
            draws=self.draws if real else 1,
            curve=self.curve if real else (),
            variant=self.variant,
            nulls=self.controls if real else (),
            uids=first_questions(uids, self.samples),
            seed=self.seed,
        )

    def judge(self, seen: Seen) -> Finding:
        """Means over all layers, and tables by layer and by third."""
        found = seen.updates.get(REFERENCE)
        rows = {} if found is None else {uid: row for row, uid in enumerate(found.uids)}
        kept = [row for row, uid in enumerate(seen.answers.uids) if uid in rows]
        if found is None or not kept:
            reason = "no prompt has enough tokens to be measured"
            return self._finding("NOT APPLICABLE", reason, {}, {})
        found = found.at([seen.answers.uids[row] for row in kept])
        clusters = seen.answers.clusters[kept]
        metrics: dict[str, Estimate | float | int | None] = {"samples": len(kept)}
        series: dict[str, Any] = {"bands": BANDS, "sets": {}, "flagged": flagged(found)}
        controls = of_controls(seen.updates, found.uids)
        for tokens in sets_of(found):
            every = {name: found.of(tokens, name) for name in found.measures}
            every |= controls.get(tokens, {})
            shown = {n: each for n, each in every.items() if n.partition(".")[2].startswith(SHOWN)}
            series["sets"][tokens] = depth_table(shown, clusters)
            metrics |= self._overall(every, tokens, clusters)
            if tokens == "all":
                series["published"] = beside_published(every, clusters, self.variant)
        if points := curve_of(found, clusters):
            series["curve"] = points
        reading = self._reading(metrics, found, series.get("published", []))
        return self._finding("MEASURED", reading, metrics, series)

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Every layer in the plane of RID and MixIG, later ones darker, and means of controls."""
        tables = finding["series"].get("sets", {}).get("all")
        if not tables:
            draw_nothing(axes)
            return
        draw_plane(axes, tables, "rid", self._mixing)
        axes.set(xlabel="RID", ylabel=self._mixing_label)
        axes.legend(frameon=False)

    def draw_alone(self, figure: Figure, finding: Mapping[str, Any]) -> bool:
        """The plane, and kappa, RID and MixIG of all tokens by depth, beside their controls."""
        tables = finding["series"].get("sets", {}).get("all")
        if not tables:
            return False
        points = finding["series"].get("curve")
        figure.set_size_inches(8.0, 9.2 if points else 6.4)
        plane, *depth = figure.subplots(3 if points else 2, 2).flat
        draw_plane(plane, tables, "rid", self._mixing)
        plane.set(xlabel="RID", ylabel=self._mixing_label, title="later layers are darker")
        shown = {"kappa": "kappa (1: random directions)", "rid": "RID"}
        shown |= {self._mixing: self._mixing_label}
        for axes, measure in zip(depth[len(shown) :], ("kappa", "rid"), strict=False):
            draw_size_curve(axes, points, measure)
            axes.set_ylabel(shown[measure])
        for axes, (measure, label) in zip(depth, shown.items(), strict=False):
            draw_depth(axes, tables, measure)
            axes.set_ylabel(label)
        handles, labels = plane.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
        return True

    @property
    def _mixing_label(self) -> str:
        return f"MixIG, nats, alpha {self.variant.alphas[-1]:g}"

    @property
    def _mixing(self) -> str:
        return f"mixig_nats_alpha{self.variant.alphas[-1]:g}"

    def _overall(
        self,
        every: Mapping[str, Float[np.ndarray, "N L"]],
        tokens: str,
        clusters: Int[np.ndarray, " N"],
    ) -> dict[str, Estimate | None]:
        """Means over all layers: of both updates, and of what controls did in their place."""
        compared = {"rid", "kappa", self._mixing}
        if tokens == "all":
            compared |= {f"mixig_nats_alpha{alpha:g}" for alpha in self.variant.alphas}
        found: dict[str, Estimate | None] = {}
        for name, values in every.items():
            part, _, measure = name.partition(".")
            control = "_" in part
            moves = measure == "relative_norm" and not control and np.nanmax(values) > 0
            if moves or (measure in compared and (tokens == "all" or not control)):
                found[f"{measure}_{part}_{tokens}"] = mean_over(values, clusters)
        gap = every["ffn.kappa"] - every["attention.kappa"]
        found[f"kappa_gap_{tokens}"] = mean_over(gap, clusters)
        return found

    def _reading(
        self,
        metrics: Mapping[str, Any],
        found: MeasuredUpdates,
        published: Sequence[Mapping[str, Any]],
    ) -> str:
        """In words, about all tokens."""
        if "all" not in found.sets:
            return f"updates were measured on {' and '.join(sets_of(found))} tokens"
        labels = {"kappa": "kappa", "rid": "RID", self._mixing: "MixIG", "relative_norm": "size"}
        parts = []
        for part, said in PARTS.items():
            numbers = {label: metrics.get(f"{name}_{part}_all") for name, label in labels.items()}
            known = [f"{label} {measured(mean)}" for label, mean in numbers.items() if mean]
            parts.append(f"{said}: {', '.join(known)}")
        gap = metrics["kappa_gap_all"]
        more = "neither surely leaves the span of the tokens more than the other"
        if gap is not None and gap.low is not None and gap.low > 0:
            more = "feed-forward parts leave the span of the tokens more than attention does"
        if gap is not None and gap.high is not None and gap.high < 0:
            more = "attention leaves the span of the tokens more than feed-forward parts do"
        return (
            f"{'; '.join(parts)}; {more}; this describes the stream, and says nothing of whether "
            f"the image is used; {in_words(published, self.variant)}{self._left_out(metrics)}"
            f"{self._lacking(found)}{why_undefined(flagged(found), found, 'all')}"
        )

    def _left_out(self, metrics: Mapping[str, Any]) -> str:
        """That rotation could not be compared, where it was asked for."""
        if self.rotation < 1 or metrics.get(f"rid_{ROTATION}_all"):
            return ""
        return (
            "; rotation on against off is left out: attention of this family is handed no cosines "
            "and sines (then the run's log says so), or none of its questions has enough tokens"
        )

    def _lacking(self, found: MeasuredUpdates) -> str:
        """Which sets of tokens no prompt has enough of."""
        lacking = [tokens for tokens in self.tokens if tokens not in found.sets]
        return f"; no prompt has enough {' and '.join(lacking)} tokens" if lacking else ""

    def _finding(
        self,
        verdict: Literal["MEASURED", "NOT APPLICABLE"],
        reason: str,
        metrics: Mapping[str, Any],
        series: Mapping[str, Any],
    ) -> Finding:
        return Finding(
            test=self.name,
            verdict=verdict,
            strict=verdict,
            reason=reason,
            metrics=metrics,
            series=series,
        )

"""Cross-modal consistency: whether text states take up what is in the image states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.plotting import COLOURS, draw_nothing
from solvent.core.types import Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.statistics.estimates import Verdict, decide
from solvent.diagnostics.statistics.fusion import (
    SELDOM,
    Band,
    Sides,
    band,
    gains,
    kernel_p,
    largest_p,
    pointwise,
)
from solvent.diagnostics.statistics.projection import Scores
from solvent.diagnostics.statistics.strata import Label, Strata, stratify
from solvent.diagnostics.stored_states import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTROLS = ("swap", "knock")  # the text could not see the image whose states it is compared with
MOST_INVALID = 0.01  # share of samples without finite states above which nothing is said


@dataclass(frozen=True, kw_only=True)
class Consistency(UsageTest):
    """Fusion gain: GC-CMI of image and text states given the answer, real run minus controls.

    gain(l) = I(image; text real | y) - max over controls of I(image; text control | y), in bits, at
    layer l. PASS: the largest gain over layers is surely above the margin. Raw information beyond
    its permutation null, the literal criterion, is in `strict`: an untrained decoder meets it.

    The bits are what second moments see after every component was made normal, at these dimensions,
    samples and strata; compare them with nothing else. A kernel test tells nonlinear coupling from
    none: where only it rejects, the bits say nothing and the verdict is INCONCLUSIVE at best.

    Criterion: https://arxiv.org/abs/2605.05668; estimator: Ince et al. (2017),
    https://doi.org/10.1002/hbm.23471.
    """

    dimensions: int
    sweep: Sequence[int]
    samples_per_dimension: int
    layers: Literal["all"] | Sequence[int]
    label: Label
    tags: Sequence[str]
    margin_bits: float
    permutations: int
    halves: int
    kernel_samples: int
    seed: int
    name: ClassVar[str] = "consistency"
    facts: ClassVar[Facts] = Facts(
        asks="Do text states take up the image?",
        number="gain_bits",
        unit="bits shared",
        neutral=0.0,
        place=3,
    )

    def __post_init__(self) -> None:
        if self.samples_per_dimension < 4:
            raise ValueError(
                f"samples_per_dimension must be 4 at least, so that half of a stratum's samples "
                f"still have a covariance, found {self.samples_per_dimension}"
            )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The real run and both controls; one control is enough where the other is impossible."""
        return (REFERENCE, *CONTROLS)

    @property
    def watches(self) -> dict[str, tuple[str, ...]]:
        """Decoder states, in all runs."""
        return {"states": self.conditions}

    @property
    def components(self) -> int:
        """How many to store of every state."""
        return max([self.dimensions, *self.sweep])

    def smallest(self, dimensions: int) -> int:
        """Samples that a stratum must have, of both sides' dimensions together."""
        return self.samples_per_dimension * 2 * dimensions

    def strata(self, answers: Answers) -> Strata:
        """The samples whose states are compared, and with which others."""
        least = self.smallest(self.dimensions)
        return stratify(answers, label=self.label, tags=self.tags, smallest=least)

    def judge(self, seen: Seen) -> Finding:
        """Judge stored scores. Raises `ValueError` for layers or components they do not have."""
        scores = seen.scores
        layers = self._layers(scores)
        runs = [name for name in self.conditions if name in scores.last]
        shown = [scores.image, *(scores.last[name] for name in runs)]
        finite = np.all([np.isfinite(part).all(axis=(1, 2)) for part in shown], axis=0)
        invalid, least = int((~finite).sum()), self.smallest(self.dimensions)
        sizes = Counter(np.array(scores.strata, dtype=object)[finite].tolist())
        used = finite & np.array([sizes[name] >= least for name in scores.strata], dtype=bool)
        counts = self._counts(scores, used, invalid)
        if invalid > MOST_INVALID * len(finite):
            reason = (
                f"{invalid} of {len(finite)} samples have states that are missing or not finite"
            )
            return self._silent("ERROR", reason, counts)
        if runs == [REFERENCE]:
            reason = "there are states neither of swapped images nor of cut attention"
            return self._silent("NOT APPLICABLE", reason, counts)
        if not used.any():
            reason = f"no answer has {least} samples with different images and finite states"
            return self._silent("NOT APPLICABLE", reason, counts)
        kept = _Kept(scores=scores, rows=used, layers=layers, runs=runs)
        metrics, series, verdicts = self._judge(kept)
        return Finding(
            test=self.name,
            **verdicts,
            metrics=counts["metrics"] | metrics,
            series=counts["series"] | series | self._beside(kept),
        )

    def draw(self, axes: Axes, finding: Mapping[str, Any]) -> None:
        """Bits that image and text states share, by layer and run, and the gain."""
        profile = finding["series"].get("last")
        if not profile:
            draw_nothing(axes)
            return
        layers, runs = finding["series"]["layers"], profile["information_bits"].items()
        for (name, bits), colour in zip(runs, COLOURS, strict=False):
            axes.plot(layers, bits, "o-", color=colour, markersize=3, label=name)
        gain = profile["gain_bits"]
        axes.plot(layers, gain, "s--", color=COLOURS[6], markersize=3, label="gain")
        axes.set(xlabel="decoder layer (0: input)", ylabel="GC-CMI of image and text, bits")
        axes.legend(frameon=False)

    def _layers(self, scores: Scores) -> list[int]:
        """Layer 0 and those that are judged."""
        count, components = scores.image.shape[1:]
        layers = range(1, count) if self.layers == "all" else self.layers
        if bad := [layer for layer in layers if not 0 < layer < count]:
            raise ValueError(f"layers must be from 1 to {count - 1}, found {bad}")
        if self.components > components:
            raise ValueError(
                f"{self.components} components are asked for, but {components} are stored; "
                "project the states again"
            )
        return [0, *layers]

    def _judge(self, kept: _Kept) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Numbers of the last prompt token, profiles over layers, and what they mean."""
        sides = kept.sides("last", self.dimensions)
        bits, drawn = sides.bits(), sides.resampled(self.halves, self.seed)
        fused = band(bits[:, 1:], drawn[:, :, 1:], sides.clusters)
        at = fused.layer + 1  # the first is layer 0
        p_values = self._p_values(sides.at(slice(1, None)), bits[:, 1:])
        together = sides.pooled().bits()
        spread = sides.pooled().at(slice(at, at + 1)).resampled(self.halves, self.seed)
        metrics = {
            "gain_bits": fused.best,
            "layer": kept.layers[at],
            "information_bits": pointwise(bits[0, at], drawn[:, 0, at], sides.clusters),
            "unconditional_bits": pointwise(together[0, at], spread[:, 0, 0], sides.clusters),
        }
        for place, name in enumerate(kept.runs[1:]):
            value, values = gains(bits)[place, at], gains(drawn)[:, place, at]
            metrics[f"gain_{name}_bits"] = pointwise(value, values, sides.clusters)
        coupling = _coupling(p_values["information_p"], p_values["kernel_p"])
        series = {
            "layers": kept.layers,
            "coupling": coupling,
            "last": _profile(bits, kept.runs)
            | {"gain_low_bits": fused.low.tolist(), "gain_high_bits": fused.high.tolist()},
            "unconditional_bits": dict(zip(kept.runs, together.tolist(), strict=True)),
        }
        return metrics | p_values, series, self._verdicts(fused, coupling, kept)

    def _p_values(self, sides: Sides, bits: Float[np.ndarray, "R L"]) -> dict[str, float]:
        """Of the largest statistic over layers, text rows permuted inside strata in all runs."""
        null = sides.permuted(self.permutations, self.seed)
        return {
            "information_p": largest_p(bits[0], null[:, 0]),
            "p_value": largest_p(gains(bits).min(axis=0), gains(null).min(axis=1)),
            "kernel_p": kernel_p(sides, self.kernel_samples, self.permutations, self.seed),
        }

    def _verdicts(self, fused: Band, coupling: str, kept: _Kept) -> dict[str, Any]:
        verdict = decide(fused.best, self.margin_bits)
        controls = " and ".join(kept.runs[1:])
        reason = (
            f"at layer {kept.layers[fused.layer + 1]} image and text states share "
            f"{fused.best.value:.3f} bit more than under {controls} "
            f"(at least {fused.best.lower:.3f}, at most {fused.best.upper:.3f}; margin "
            f"{self.margin_bits})"
        )
        if coupling == "nonlinear" and verdict == "FAIL":
            verdict = "INCONCLUSIVE"
            reason += "; only the kernel test sees coupling, whose bits are not estimable"
        strict = {"none": "FAIL", "nonlinear": "INCONCLUSIVE"}.get(coupling, "PASS")
        return {"verdict": verdict, "strict": strict, "reason": reason}

    def _beside(self, kept: _Kept) -> dict[str, Any]:
        """Profiles of the question's tokens, and gains at other dimensions where n allows."""
        question = kept.sides("question", self.dimensions)
        sweep = {}
        for dimensions in self.sweep:
            if kept.smallest_stratum >= self.smallest(dimensions):
                bits = kept.sides("last", dimensions).bits()
                sweep[str(dimensions)] = gains(bits).min(axis=0).tolist()
        finite = all(np.isfinite(run).all() for run in question.runs)
        return {
            "question": _profile(question.bits(), kept.runs) if finite else None,
            "sweep": sweep,
        }

    def _counts(
        self, scores: Scores, used: Bool[np.ndarray, " N"], invalid: int
    ) -> dict[str, dict[str, Any]]:
        sizes = Counter(name for name, use in zip(scores.strata, used, strict=True) if use)
        small = int((~used).sum()) - invalid
        left_out = Counter(scores.left_out) + Counter({"small class": small})
        return {
            "metrics": {
                "samples": int(used.sum()),
                "strata": len(sizes),
                "dimensions": self.dimensions,
                "invalid": invalid,
                "left_out": sum(left_out.values()),
            },
            "series": {
                "strata": dict(sizes),
                "left_out": dict(left_out),
                "label": self.label,
                "basis": scores.basis,
            },
        }

    def _silent(self, verdict: Verdict, reason: str, counts: dict[str, dict[str, Any]]) -> Finding:
        return Finding(test=self.name, verdict=verdict, strict=verdict, reason=reason, **counts)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """The part of the scores that is judged."""

    scores: Scores
    rows: Bool[np.ndarray, " N"]
    layers: Sequence[int]
    runs: Sequence[str]

    @property
    def strata(self) -> np.ndarray:
        names = [name for name, use in zip(self.scores.strata, self.rows, strict=True) if use]
        return np.unique(names, return_inverse=True)[1]

    @property
    def smallest_stratum(self) -> int:
        return int(np.bincount(self.strata).min())

    def sides(self, part: Part, dimensions: int) -> Sides:
        def cut(values: Float[np.ndarray, "N L D"]) -> Float[np.ndarray, "n l d"]:
            return values[self.rows][:, self.layers, :dimensions].astype(np.float64)

        runs = getattr(self.scores, part)
        return Sides(
            image=cut(self.scores.image),
            runs=[cut(runs[name]) for name in self.runs],
            strata=self.strata,
            clusters=self.scores.clusters[self.rows],
        )


def _profile(bits: Float[np.ndarray, "R L"], runs: Sequence[str]) -> dict[str, Any]:
    """Per layer; what layer 0 shows already comes from the data set."""
    return {
        "information_bits": dict(zip(runs, bits.tolist(), strict=True)),
        "above_layer_0_bits": dict(zip(runs, (bits - bits[:, :1]).tolist(), strict=True)),
        "gain_bits": gains(bits).min(axis=0).tolist(),
    }


def _coupling(information_p: float, kernel_p: float) -> str:
    """What the two tests say together; the kernel test sees any coupling, if strong enough."""
    linear, any_kind = information_p <= SELDOM, kernel_p <= SELDOM
    if linear:
        return "coupled" if any_kind else "weak linear"
    return "nonlinear" if any_kind else "none"

"""Cross-modal consistency: whether text states take up what is in the image states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from solvent.core.plotting import COLOURS, draw_nothing
from solvent.core.types import Condition, Facts
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen, UsageTest
from solvent.diagnostics.conditions.composed import JOINT, compose
from solvent.diagnostics.coupling.gain import Judged, gains, judged, pointwise
from solvent.diagnostics.coupling.permuted import coupling, kernel_p, largest_p
from solvent.diagnostics.coupling.sides import Kept, Sides
from solvent.diagnostics.coupling.verdict import verdicts
from solvent.diagnostics.statistics.estimates import Estimate, Verdict
from solvent.diagnostics.statistics.projection import Scores
from solvent.diagnostics.statistics.strata import Label, Strata, stratify

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTROLS = ("swap", "knock")  # the text could not see the image whose states it is compared with
UNIFORM = {"real": "uniform", "swap": f"swap{JOINT}uniform"}  # equal attention to all image tokens
MOST_INVALID = 0.01  # share of samples without finite states above which nothing is said


@dataclass(frozen=True, kw_only=True)
class Consistency(UsageTest):
    """Fusion gain: GC-CMI of image and text states given the answer, real run minus controls.

    gain(l) = I(image; text real | y) - max over controls of I(image; text control | y), in bits, at
    layer l. COUPLED: the largest gain over layers is surely above the margin, so the image flows
    into the text states; FAIL: it surely is not. There is no PASS, as a gain shows no use: random
    weights mix the image into the text without noise, so that an untrained network of the same
    architecture shows more bits than a trained one, and so does one whose attention to the image
    was made uniform. The latter gain is measured beside, from the same questions; that of an
    untrained network is another cell's (docs/diagnostics.md). `strict` judges the raw information
    beyond its permutation null, the literal criterion.

    The bits are what second moments see after every component was made normal, at these dimensions,
    samples and strata; compare them with nothing else. Where a canonical correlation is above 0.99
    the text states are copies of the image's, and there are no bits: they would say how precisely a
    machine computes. A kernel test tells nonlinear coupling from none: where only it rejects, the
    bits say nothing and the verdict is INCONCLUSIVE at best.

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
    beside: ClassVar[Mapping[str, Mapping[str, str]]] = {"uniform": UNIFORM}
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
        """The real run and both controls; one control is enough where the other is impossible.

        And a real run and a control under uniform attention.
        """
        return (REFERENCE, *CONTROLS, *UNIFORM.values())

    @property
    def watches(self) -> dict[str, tuple[str, ...]]:
        """Decoder states, in all runs."""
        return {"states": self.conditions}

    def composed(self, known: Mapping[str, Condition]) -> dict[str, Condition]:
        """Another image under uniform attention."""
        name = UNIFORM["swap"]
        return {name: compose(name, known)}

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
        runs = [name for name in (REFERENCE, *CONTROLS) if name in scores.last]
        finite, used = self._usable(scores, runs)
        invalid, least = int((~finite).sum()), self.smallest(self.dimensions)
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
        kept = Kept(scores=scores, rows=used, layers=layers, runs=runs)
        metrics, series, verdicts = self._judge(kept, self._under_uniform(seen, layers))
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

    def _usable(
        self, scores: Scores, runs: Sequence[str]
    ) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
        """Samples with finite states, and those of them whose stratum is large enough."""
        shown = [scores.image, *(scores.last[name] for name in runs)]
        finite = np.all([np.isfinite(part).all(axis=(1, 2)) for part in shown], axis=0)
        sizes = Counter(np.array(scores.strata, dtype=object)[finite].tolist())
        least = self.smallest(self.dimensions)
        return finite, finite & np.array([sizes[name] >= least for name in scores.strata], bool)

    def _under_uniform(self, seen: Seen, layers: Sequence[int]) -> Judged | None:
        """The gain under uniform attention, over the swapped image; None where it was not run."""
        scores = seen.beside.get("uniform")
        if scores is None or not set(UNIFORM) <= set(scores.last):
            return None
        _, used = self._usable(scores, list(UNIFORM))
        if not used.any():
            return None
        kept = Kept(scores=scores, rows=used, layers=layers, runs=list(UNIFORM))
        return judged(kept.sides("last", self.dimensions), self.halves, self.seed)

    def _judge(
        self, kept: Kept, uniform: Judged | None
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Numbers of the last prompt token, profiles over layers, and what they mean."""
        sides = kept.sides("last", self.dimensions)
        own = judged(sides, self.halves, self.seed)
        null = sides.at(slice(1, None)).permuted(self.permutations, self.seed)[:, 0]
        information_p = largest_p(own.bits[0, 1:], null)
        kernel = kernel_p(
            sides.at(slice(1, None)), self.kernel_samples, self.permutations, self.seed
        )
        coupled = coupling(information_p=information_p, kernel_p=kernel)
        together = sides.pooled().bits()
        metrics: dict[str, Any] = {
            "gain_bits": own.best,
            "layer": kept.layers[own.layer],
            "correlation": float(own.correlations[0, own.layer]),
            "uniform_gain_bits": uniform.best if uniform else None,
            "uniform_correlation": uniform.correlations[0, 1:].max() if uniform else None,
            "information_p": information_p,
            "p_value": own.p_value(self.margin_bits),
            "kernel_p": kernel,
        }
        if own.best:
            metrics |= self._at_best(sides, own, kept.runs)
        series = {
            "layers": kept.layers,
            "coupling": coupled,
            "last": _profile(own.known, kept.runs) | own.ends,
            "correlations": dict(zip(kept.runs, own.correlations.tolist(), strict=True)),
            "uniform_gain_bits": gains(uniform.known).min(axis=0).tolist() if uniform else None,
            "unconditional_bits": dict(zip(kept.runs, together.tolist(), strict=True)),
        }
        said = verdicts(
            own,
            uniform,
            coupling=coupled,
            layer=kept.layers[own.layer],
            controls=kept.runs[1:],
            margin=self.margin_bits,
        )
        return metrics, series, said

    def _at_best(self, sides: Sides, own: Judged, runs: Sequence[str]) -> dict[str, Estimate]:
        """What the layer of the largest gain shows beside it."""
        layer, clusters = own.layer, sides.clusters
        here = sides.pooled().at(slice(layer, layer + 1))
        spread = here.resampled(self.halves, self.seed)
        found = {
            "information_bits": pointwise(own.bits[0, layer], own.drawn[:, 0, layer], clusters),
            "unconditional_bits": pointwise(here.bits()[0, 0], spread[:, 0, 0], clusters),
        }
        for place, name in enumerate(runs[1:]):
            value, values = gains(own.bits)[place, layer], gains(own.drawn)[:, place, layer]
            found[f"gain_{name}_bits"] = pointwise(value, values, clusters)
        return found

    def _beside(self, kept: Kept) -> dict[str, Any]:
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


def _profile(bits: Float[np.ndarray, "R L"], runs: Sequence[str]) -> dict[str, Any]:
    """Per layer; what layer 0 shows already comes from the data set."""
    return {
        "information_bits": dict(zip(runs, bits.tolist(), strict=True)),
        "above_layer_0_bits": dict(zip(runs, (bits - bits[:, :1]).tolist(), strict=True)),
        "gain_bits": gains(bits).min(axis=0).tolist(),
    }

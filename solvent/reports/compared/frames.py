"""What a comparison says, as data frames: the one thing that tables, figures and the page read.

Shares, differences and rates are in [0, 1] or [-1, 1], never in percent. What is not there is
missing (NaN, None or pandas.NA), never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from PIL import Image

Verdict = Literal["WORSE", "EQUIVALENT", "NOT INFERIOR", "BETTER", "NOT SHOWN"]
VERDICTS: tuple[Verdict, ...] = ("BETTER", "EQUIVALENT", "NOT INFERIOR", "NOT SHOWN", "WORSE")


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A question that an arm answers right and its control wrong, or the other way round."""

    arm: str  # key of the arm, as in `Comparison.arms`
    uid: str
    direction: Literal["gained", "lost"]
    question: str
    options: tuple[str, ...]
    gold: str  # in words
    control_answer: str | None  # in words; None: nothing was read
    arm_answer: str | None
    picture: Image.Image | None = None  # None: the data are not on this machine
    control_attention: Image.Image | None = None  # the picture below attention; None: not captured
    arm_attention: Image.Image | None = None
    control_mass: float | None = None  # share of attention on the picture, of the row that answers
    arm_mass: float | None = None
    scale: str | None = None
    """What the colours of both maps stand for, a caption; even attention is all of the row's
    attention, spread evenly over the picture. None: nothing was captured.
    """


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every arm of a study against its control.

    An *arm* is what was done to one model on one benchmark: an intervention in its layers, or a
    condition shown in the place of the picture; all its seeds together. Its *control* answered the
    same questions in the same setting without it. Arms of one *family* share a control.

    Attributes:
        study: its name.
        baseline: the intervention that others are compared with.
        arms: one line per arm, controls too, in the order to show them: a family together, in it
            the control first. Columns:
            `key`: a unique slug, fit for a file's name; `family`: that of the family; `title`: of
            the family for people ("tiny on shapes"); `name`: of the arm for people, short
            ("reweight (mass.factor=4), layers early"); `control`: name of what it is compared with,
            missing of a control.
            `role`: "control", "primary" (registered), "explored", or "positive control" (a known
            harm: it shows that the benchmark would notice).
            `model`, `benchmark`, `prompt`, `compat`, `imported`, `condition`, `setting`,
            `intervention`, `variant`, `layers`: labels as in `solvent.results.cells`.
            `seeds`: distinct draws; `seed_list`: "0, 1, 2"; `stochastic`: whether a draw changes
            anything, missing where one seed cannot tell; `seed_sd`: standard deviation of the
            difference between draws, missing below two; `seeds_better`: share of draws above 0.
            `score_value`, `score_low`, `score_high`, `score_n`: the benchmark's own score, mean
            over seeds, in [0, 1]; `chance`; `score_name`: "score" or what the reducer calls it.
            `accuracy`: mean credit, of which differences are made.
            `difference_value`, `difference_low`, `difference_high`: paired, arm minus control, in
            accuracy, with its 95 % interval over images (and seeds); `n`: questions; `clusters`:
            independent ones among them (images); `effective`: clusters that have a say; `error`:
            standard error of the difference over images and seeds.
            `score_difference_value`, `score_difference_low`, `score_difference_high`: of the score,
            where that is no plain accuracy.
            `p`: of equal accuracy, two-sided; `p_adjusted`; `correction`: "Holm of 3" or "BH of
            40", missing of positive controls, which claim nothing.
            `gained`, `lost`: questions that became right, and wrong (means over seeds);
            `discordant`: share of questions whose credit changed; `design_effect`: of clusters.
            `margin`: of equivalence; `p_worse`, `p_better`, `p_not_inferior`, `p_equivalent`:
            adjusted p of each claim; `detectable`: smallest true difference that is found with 80 %
            power; `needed`: questions that would show equivalence were there no difference.
            `verdict`: see `Verdict`, missing of controls; `reason`: of it, a clause; `sentence`:
            one that a paper could print.
            `unparsed`, `errors`, `cut`, `guessed`: rates of answers; `skipped`: rows left out.
            `visual_mass_before`, `visual_mass_after`, `visual_entropy_nats_before`,
            `visual_entropy_nats_after`; `seconds`: on batches, mean over seeds; `cost`: seconds
            over those of the control; `entries_edited`; `code`: commits.
            `beyond_controls`: the reading of spurious-gain controls, missing without a gain.
        cells: one line per finished cell, seeds apart. `model`, `benchmark`, `prompt`, `compat`,
            `condition`, `setting`, `intervention`, `variant`, `layers`, `seed`, `imported`: labels;
            `score_value`, `score_low`, `score_high`, `score_n`: as in `metrics.json`, in the unit
            of the score; `chance`; `accuracy`: mean credit; `unparsed`, `guessed`, `errors`, `cut`,
            `skipped`, `cells_edited`: counts; `seconds`; `visual_mass_before`,
            `visual_mass_after`, `visual_entropy_nats_before`, `visual_entropy_nats_after`; `code`;
            `folder`: its name. Of its arm: `difference_value`, `difference_low`,
            `difference_high`, `difference_n`, `difference_clusters`, `p`, `verdict`.
        slices: `key` (of the arm), `tag`, `value`, `n`, `clusters`, `control_accuracy`, `accuracy`,
            `difference_value`, `difference_low`, `difference_high`, `p`, `p_adjusted` (BH over the
            slices of an arm).
        curves: arms that differ in one thing that has an order. `curve`: slug; `family`; `title`:
            what is varied, for people ("uniform over layers"); `kind`: "layers" or "dose";
            `setting`: "layers" or the name of the numeric setting ("mass.factor"); `key`: of the
            arm; `x`: number, for layers the middle of the window; `label`: of x;
            `difference_value`, `difference_low`, `difference_high`: pointwise; `band_low`,
            `band_high`: simultaneous, 95 % for the whole curve, missing where clusters are too few;
            `n`.
        peaks: the best arm of every curve, chosen on half of the images and measured on the other:
            `curve`, `title`, `family`, `key`, `name`, `chosen_value` (in the half that chose),
            `value`, `low`, `high`, `n` (in the other half), `p`.
        summaries: random effects over benchmarks, models or both. `over`: "benchmarks", "models" or
            "both"; `name`: of the arm; `of`: the model or benchmark that is held, "" where both
            vary; `k`: families; `value`, `low`, `high` (Hartung-Knapp); `prediction_low`,
            `prediction_high`; `tau`: standard deviation between families; `i2`: share of variance
            between them.
        assay: does the benchmark notice? One line per family: `family`, `title`, `key` and `name`
            of the positive control with the clearest drop (missing: none was run),
            `difference_value`, `difference_low`, `difference_high`, `shown` (bool), `sentence`.
        measures: what stands behind scores (precision, recall, words), mean over seeds; empty where
            nothing does. `key` and `family` and `name`: of the arm; `measure`; `value`, `low`,
            `high`: in [0, 1], but numbers of what `unit` says where it is not missing; `n`;
            `better`: "higher" or "lower", missing where neither is.
        remarks: what a reader must know: arms without control and why, unlike code, damaged cells.
        usage: metrics of the cells with modality-usage tests, as in `metrics.json`.
        flips: questions of the gallery.
        provenance: of the comparison, flat, for people: the command, version, commit, packages,
            cells read, where.
    """

    study: str
    baseline: str
    arms: pd.DataFrame
    cells: pd.DataFrame
    slices: pd.DataFrame
    curves: pd.DataFrame
    peaks: pd.DataFrame
    summaries: pd.DataFrame
    assay: pd.DataFrame
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    remarks: Sequence[str] = ()
    usage: Sequence[Mapping[str, Any]] = ()
    flips: Sequence[Flip] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

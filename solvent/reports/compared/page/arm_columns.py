"""Columns of the page's table of arms, in sets of which one is shown beside the first three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from solvent.reports.compared.page.number_format import (
    change,
    decimal,
    interval,
    p_value,
    points,
    share,
    share_interval,
    text,
    whole,
    yes_no,
)

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: how its values are said, and what it means."""

    title: str
    said: Callable[[Line], str]
    hint: str
    number: bool = True

    @property
    def kind(self) -> str:
        """How it is sorted."""
        return "number" if self.number else "text"


def _of(key: str, said: Callable[[Any], str]) -> Callable[[Line], str]:
    return lambda line: said(line.get(key))


def _score_interval(line: Line) -> str:
    return share_interval(line.get("score_low"), line.get("score_high"))


def _score_difference(line: Line) -> str:
    value = points(line.get("score_difference_value"))
    ends = interval(line, "score_difference")
    return value if ends == "–" else f"{value} {ends}"


def _c(title: str, key: str, said: Callable[[Any], str], hint: str, number: bool = True) -> Column:
    return Column(title=title, said=_of(key, said), hint=hint, number=number)


SETS: Mapping[str, tuple[Column, ...]] = {
    "verdict": (
        Column(title="95 % interval", said=interval, hint="of the paired difference, in points"),
        _c("p, adjusted", "p_adjusted", p_value, "of equal accuracy, after correction"),
        _c("n", "n", whole, "questions"),
        _c("images", "clusters", whole, "independent sets of questions"),
        _c("why", "reason", text, "the reason of the verdict", number=False),
    ),
    "scores": (
        _c("score", "score_value", share, "the benchmark's own, mean over seeds"),
        Column(title="score, 95 % interval", said=_score_interval, hint="in percent"),
        _c("score, n", "score_n", whole, "questions that were scored"),
        _c("chance", "chance", share, "score of a guess"),
        _c("accuracy", "accuracy", share, "mean credit, of which differences are made"),
        Column(
            title="score minus control",
            said=_score_difference,
            hint="in points, where the score is no plain accuracy",
        ),
        _c("score is", "score_name", text, "what the benchmark calls it", number=False),
    ),
    "evidence": (
        _c("p", "p", p_value, "of equal accuracy, two-sided, uncorrected"),
        _c("correction", "correction", text, "for how many comparisons", number=False),
        _c("gained", "gained", whole, "questions that became right"),
        _c("lost", "lost", whole, "questions that became wrong"),
        _c("discordant", "discordant", share, "share of questions whose credit changed"),
        _c("effective images", "effective", whole, "those that have a say"),
        _c("design effect", "design_effect", decimal, "of several questions about one image"),
        _c("margin", "margin", share, "of equivalence"),
        _c("p worse", "p_worse", p_value, "of the claim that it is worse"),
        _c("p better", "p_better", p_value, "of the claim that it is better"),
        _c("p not inferior", "p_not_inferior", p_value, "of non-inferiority at the margin"),
        _c("p equivalent", "p_equivalent", p_value, "of equivalence at the margin"),
        _c("detectable", "detectable", share, "smallest true difference found with 80 % power"),
        _c("n needed", "needed", whole, "questions that would show equivalence, were there any"),
        _c("beyond controls", "beyond_controls", text, "of a gain: controls beside it", False),
    ),
    "answers": (
        _c("unparsed", "unparsed", share, "answers that could not be read"),
        _c("failed", "errors", share, "questions without an answer"),
        _c("cut", "cut", share, "answers that ended at the limit of tokens"),
        _c("guessed", "guessed", share, "answers that a rule guessed"),
        _c("left out", "skipped", whole, "rows of the benchmark"),
    ),
    "attention and cost": (
        Column(
            title="visual mass",
            said=lambda line: change(line, "visual_mass"),
            hint="share of attention on the image, before → after",
        ),
        Column(
            title="visual entropy",
            said=lambda line: change(line, "visual_entropy_nats"),
            hint="of attention inside the image, in nats, before → after",
        ),
        _c("edited", "entries_edited", whole, "entries of the attention that were changed"),
        _c("seconds", "seconds", lambda value: decimal(value, 1), "on batches, mean over seeds"),
        _c("cost", "cost", decimal, "seconds over those of the control"),
    ),
    "setting": (
        _c("control", "control", text, "what it is compared with", number=False),
        _c("seeds", "seeds", whole, "distinct draws"),
        _c("seed list", "seed_list", text, "which", number=False),
        _c("random", "stochastic", yes_no, "whether a draw changes anything", number=False),
        _c("SD of seeds", "seed_sd", share, "of the difference, between draws"),
        _c("seeds better", "seeds_better", share, "share of draws above the control"),
        _c("intervention", "intervention", text, "its name", number=False),
        _c("variant", "variant", text, "what differs from its file", number=False),
        _c("layers", "layers", text, "where", number=False),
        _c("shown", "condition", text, "what stood in the place of the picture", number=False),
        _c("prompt", "prompt", text, "how questions were worded", number=False),
        _c("rules", "compat", text, "whose rules read the answers", number=False),
        _c("imported", "imported", text, "by which mapping", number=False),
        _c("setting", "setting", text, "hash of all that arms share", number=False),
        _c("code", "code", text, "commits", number=False),
    ),
}
FIRST = 3  # columns that every set has: the arm, its verdict, its difference


def spans() -> dict[str, tuple[int, int]]:
    """The first and last column of every set, counted from 1, as style sheets do."""
    found, begin = {}, FIRST + 1
    for name, columns in SETS.items():
        found[name] = (begin, begin + len(columns) - 1)
        begin += len(columns)
    return found

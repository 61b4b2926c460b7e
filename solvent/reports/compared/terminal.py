"""A comparison in a terminal: a table per family, then what it means; of long ones, a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from solvent.core.text import marked
from solvent.reports.compared.arm_texts import (
    DASH,
    Line,
    by_family,
    corrections,
    cost,
    difference,
    lines,
    margins,
    mass,
    measure,
    p_value,
    points,
    questions,
    share,
    share_with_interval,
    unread,
)
from solvent.reports.compared.frames import VERDICTS, Comparison
from solvent.reports.findings import coloured

FAMILIES, ARMS, LINES = 10, 40, 12  # at most: tables, lines of one, and lines of what follows
ROOMY, NARROW = 140, 110  # columns from which on scores have intervals; below which lines are two
ROLES = {"primary": "registered", "positive control": "positive control"}


def show(screen: Console, comparison: Comparison) -> None:
    """Print what a comparison says."""
    families = by_family(comparison.arms)
    for family in families[:FAMILIES]:
        _show_family(screen, comparison, family)
    if len(families) > FAMILIES:
        _show_verdicts(screen, families)
    _show_sentences(screen, families)
    _show_peaks(screen, comparison.peaks, families)
    _show_summaries(screen, comparison.summaries)
    _say(screen, comparison.remarks, "remarks, which the page has", "yellow")


def _show_family(screen: Console, comparison: Comparison, family: Sequence[Line]) -> None:
    chosen = _most_telling(family)
    columns = _columns(screen.width, family)
    table = _table(marked(family[0]["title"]))
    for column in columns:
        number = column.justify == "right"
        table.add_column(column.title, justify=column.justify, no_wrap=number, overflow="fold")
    for line in chosen:
        table.add_row(*(column.said(line) for column in columns))
    screen.print(table)
    _more(screen, len(family) - len(chosen), "arms, which arms.csv has")
    screen.print(f"[dim]{marked(_note(family))}[/dim]", highlight=False)
    _show_measures(screen, comparison.measures, chosen)
    assay = comparison.assay
    if len(assay):
        sentences = lines(assay[assay["family"] == family[0]["family"]])
        for each in sentences:
            colour = "green" if each["shown"] else "yellow"
            screen.print(f"[{colour}]{marked(each['sentence'])}[/{colour}]", highlight=False)
    screen.print()


@dataclass(frozen=True)
class _Column:
    title: str
    said: Callable[[Line], str]
    justify: str = "right"


def _columns(width: int, family: Sequence[Line]) -> list[_Column]:
    """Those that have room. Below `NARROW` columns, what is one line elsewhere is two."""
    control = next((line["name"] for line in family if line["role"] == "control"), "control")
    score = family[0].get("score_name") or "score"
    narrow, minus = width < NARROW, marked(f"minus {control}")
    scores = _score_with_interval if width >= ROOMY else _score
    columns = [
        _Column("\narm", _name, "left"),
        _Column("\nseeds", lambda line: f"{line['seeds']:,.0f}"),
        _Column(f"\n{marked(score)}", scores),
        _Column(f"{minus}\n[95 % interval]", lambda line: _of_arm(line, _differences)),
        _Column("p,\nadjusted", lambda line: _of_arm(line, _adjusted)),
        _Column("\nverdict", _verdict, "left"),
        _Column("visual mass\nbefore → after", mass),
        _Column("unparsed\n+ failed", unread),
        _Column("\ncost", lambda line: _of_arm(line, cost)),
    ]
    if not narrow:
        return columns
    name, seeds, score, change, _, _, masses, failed, costs = columns
    return [
        name,
        _Column("seeds,\ncost", lambda line: f"{seeds.said(line)}\n{costs.said(line)}"),
        score,
        _Column(f"{minus}\n[interval]", lambda line: change.said(line).replace(" [", "\n[")),
        _Column("verdict,\np", lambda line: _of_arm(line, _verdict_and_p), "left"),
        _Column("visual\nmass", lambda line: masses.said(line).replace(" →", "\n→")),
        _Column("unparsed\n+ failed", lambda line: failed.said(line).replace(" +", "\n+")),
    ]


def _of_arm(line: Line, said: Callable[[Line], str]) -> str:
    """Nothing for the control, which is compared with nothing."""
    return "" if line["role"] == "control" else said(line)


def _name(line: Line) -> str:
    role = ROLES.get(line["role"])
    return marked(line["name"].replace(" (", "\n(")) + (f"\n[dim]{role}[/dim]" if role else "")


def _score(line: Line) -> str:
    return share(line.get("score_value"))


def _score_with_interval(line: Line) -> str:
    return share_with_interval(line, "score_")


def _differences(line: Line) -> str:
    """Of accuracy, and below it of the score where that is something else."""
    told = difference(line)
    if line.get("score_difference_value") is not None:
        told += f"\n{line.get('score_name') or 'score'} {difference(line, 'score_difference_')}"
    return marked(told)


def _adjusted(line: Line) -> str:
    return p_value(line.get("p_adjusted"))


def _verdict(line: Line) -> str:
    """In its colour; a known harm that is found is as it should be."""
    if line.get("verdict") is None:
        return _of_arm(line, lambda _: DASH)
    if line["role"] == "positive control":
        return marked(line["verdict"])
    return coloured(line["verdict"])


def _verdict_and_p(line: Line) -> str:
    return f"{_verdict(line)}\np {_adjusted(line)}"


def _note(family: Sequence[Line]) -> str:
    chance = family[0].get("chance")
    told = [questions(family)]
    told += [] if chance is None else [f"chance {share(chance)}"]
    told += ["differences in points of accuracy, paired by question"]
    if adjusted := corrections(family):
        told.append(f"p of equal accuracy, adjusted by {adjusted}")
    if margin := margins(family):
        told.append(f"worse: a loss beyond the margin of {margin}")
    return "; ".join(told)


def _most_telling(family: Sequence[Line]) -> list[Line]:
    """As many arms as are shown: who has a role, then those with the least p; in their order."""

    def rank(place: int) -> tuple[bool, float, int]:
        line = family[place]
        p = line.get("p_adjusted")
        return line["role"] == "explored", 2.0 if p is None else p, place

    return [family[place] for place in sorted(sorted(range(len(family)), key=rank)[:ARMS])]


def _show_measures(screen: Console, measures: pd.DataFrame, chosen: Sequence[Line]) -> None:
    """What stands behind the scores, an arm a line."""
    if not len(measures):
        return
    found = lines(measures[measures["key"].isin([line["key"] for line in chosen])])
    names = {
        line["measure"]: f"{line['better']} better" if line.get("better") else "" for line in found
    }
    if not names:
        return
    said = {(line["key"], line["measure"]): measure(line) for line in found}
    table = _table("")
    table.add_column("\narm")
    for name, better in names.items():
        table.add_column(f"{marked(name.replace('_', ' '))}\n{better}", justify="right")
    for arm in chosen:
        values = (said.get((arm["key"], name), DASH).replace(" [", "\n[") for name in names)
        table.add_row(marked(arm["name"]), *map(marked, values))
    screen.print(table)


def _show_verdicts(screen: Console, families: Sequence[Sequence[Line]]) -> None:
    """Of families without a table of their own, how often each verdict was given."""
    table = _table(f"the other {len(families) - FAMILIES:,} of {len(families):,} families: arms")
    for name in ("family", *(verdict.lower() for verdict in VERDICTS)):
        table.add_column(name, justify="left" if name == "family" else "right")
    rest = families[FAMILIES:]
    for family in rest[:ARMS]:
        given = [line.get("verdict") for line in family]
        counts = [str(given.count(verdict) or DASH) for verdict in VERDICTS]
        table.add_row(marked(family[0]["title"]), *counts)
    screen.print(table)
    _more(screen, len(rest) - ARMS, "families, which arms.csv has")
    screen.print()


def _show_sentences(screen: Console, families: Sequence[Sequence[Line]]) -> None:
    """Of registered comparisons, and what controls say of gains."""
    arms = [line for family in families for line in family]
    told = [line["sentence"] for line in arms if line["role"] == "primary" and line.get("sentence")]
    _say(screen, told, "registered comparisons, which arms.csv has")
    if told:
        screen.print()
    gains = [
        f"{line['title']}, {line['name']} ({points(line.get('difference_value'))} points): "
        f"{line['beyond_controls']}"
        for line in arms
        if line.get("beyond_controls")
    ]
    _say(screen, gains, "gains and their controls, which arms.csv has")
    if gains:
        screen.print()


def _show_peaks(screen: Console, peaks: pd.DataFrame, families: Sequence[Sequence[Line]]) -> None:
    if not len(peaks):
        return
    titles = {family[0]["family"]: family[0]["title"] for family in families}
    table = _table("best of each curve: chosen on half of the images, measured on the other")
    table.add_column("family, curve")
    table.add_column("best")
    for name in ("when\nchosen", "measured\n[95 % interval]", "\nn", "\np"):
        table.add_column(name, justify="right")
    for line in lines(peaks.head(LINES)):
        table.add_row(
            marked(f"{titles.get(line['family'], line['family'])}\n{line['title']}"),
            marked(line["name"]),
            points(line.get("chosen_value")),
            marked(difference(line, "").replace(" [", "\n[")),
            f"{line['n']:,.0f}",
            p_value(line.get("p")),
        )
    screen.print(table)
    _more(screen, len(peaks) - LINES, "curves, which peaks.csv has")
    screen.print()


def _show_summaries(screen: Console, summaries: pd.DataFrame) -> None:
    if not len(summaries):
        return
    table = _table("random effects over families, in points")
    for name in ("over", "arm"):
        table.add_column(name)
    for name in ("\nfamilies", "mean\n[95 % interval]", "prediction\ninterval"):
        table.add_column(name, justify="right")
    for line in lines(summaries.head(LINES)):
        low, high = line.get("prediction_low"), line.get("prediction_high")
        predicted = DASH if low is None else f"[{points(low)}, {points(high)}]"
        of = f", {line['of']}" if line.get("of") else ""
        table.add_row(
            marked(f"{line['over']}{of}"),
            marked(line["name"]),
            f"{line['k']:,.0f}",
            marked(difference(line, "").replace(" [", "\n[")),
            marked(predicted),
        )
    screen.print(table)
    _more(screen, len(summaries) - LINES, "summaries, which summaries.csv has")
    screen.print()


def _table(name: str) -> Table:
    return Table(
        title=name or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip


def _say(screen: Console, told: Sequence[str], rest: str, colour: str = "default") -> None:
    for each in _first(told):
        screen.print(f"[{colour}]{marked(each)}[/{colour}]", highlight=False)
    _more(screen, len(told) - LINES, rest)


def _first(told: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(told))[:LINES]


def _more(screen: Console, count: int, what: str) -> None:
    if count > 0:
        screen.print(f"[dim]and {count:,} more {what}[/dim]", highlight=False)

"""The arms as a paper prints them: LaTeX with booktabs, and Markdown as GitHub shows it.

One table per benchmark, the models as blocks in it; a long one is continued in the next. Bold is an
arm with the verdict BETTER (a gain) or WORSE (a loss beyond the margin), after correction, but for
positive controls, which are to be worse. Templates say what stands where, this file what stands
there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from solvent.core.text import visible
from solvent.reports.compared.arm_texts import (
    DASH,
    Line,
    by_family,
    corrections,
    difference,
    margins,
    mass,
    p_value,
    questions,
    share,
)
from solvent.reports.compared.frames import Comparison

Escape = Callable[[str], str]
HEADS = ("arm", "score, %", "difference, points", "p", "verdict", "visual mass")
COLUMNS = "rrrlr"  # of LaTeX, after that of names
ALIGNED = ("---", "---:", "---:", "---:", "---", "---:")  # of Markdown
ROWS, FEWEST = 30, 4  # of a table that has to fit on a page; of a block at its end or beginning
FLOATS = 12  # tables after which LaTeX is told to set them
DIFFERS = ("BETTER", "WORSE")
ROLES = {"primary": "registered", "positive control": "positive control"}
# What LaTeX takes for a command, and signs that its first fonts lack outside of formulas.
LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
         "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
         "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}",
         "→": r"$\to$", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "°": r"$^\circ$",
         "≤": r"$\le$", "≥": r"$\ge$", "µ": r"$\mu$", "–": "--", "—": "---", "“": "``", "”": "''",
         "‘": "`", "’": "'", "…": r"\ldots{}", "\u00a0": "~", "\n": " ", "\t": " ",
         "\u200b": r"\allowbreak{}"}  # fmt: skip
LETTERS = frozenset(map(chr, range(0xC0, 0x100))) - frozenset("×÷ÐðÞþ")  # that they have, too
LONG = re.compile(r"([_/=,](?=\S)|[^\s_/=,]{14}(?=\S))")  # after which a name may be broken
FIRST = re.compile(r"\A\s*[\[*]")  # of a row of a table: `\\[` sets a distance
MARKDOWN = re.compile(r"([\\`*_\[\]~#|])")
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "$": "&#36;", "@": "&#64;", "\n": " "}


@dataclass(frozen=True, kw_only=True)
class Block:
    """Arms of one model."""

    title: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table, everything of users escaped."""

    caption: str
    label: str
    blocks: Sequence[Block]
    note: str


@dataclass(frozen=True, kw_only=True)
class Markup:
    """How a language says what stands in a table."""

    escape: Escape
    name: Escape  # of an arm, for a narrow column
    bold: str  # with {} for what is bold
    number: Callable[[str], str]


def latex(comparison: Comparison) -> str:
    """The content of `arms.tex`: tables for `\\input`, with booktabs and tabularx."""
    markup = Markup(escape=latex_text, name=latex_name, bold=r"\textbf{{{}}}", number=_latex_number)
    environment = _environment(
        block_start_string=r"\BLOCK{", block_end_string="}", variable_start_string=r"\VAR{",
        variable_end_string="}", comment_start_string=r"\#{", comment_end_string="}",
    )  # fmt: skip
    heads = [latex_text(name) for name in HEADS]
    return environment.get_template("arms.tex.jinja").render(
        study=latex_text(comparison.study), tables=list(_tables(comparison, markup)), heads=heads,
        columns=COLUMNS, floats=FLOATS,
    )  # fmt: skip


def markdown(comparison: Comparison) -> str:
    """The content of `arms.md`."""
    markup = Markup(
        escape=markdown_text, name=markdown_text, bold="**{}**", number=_markdown_number
    )
    return _environment().get_template("arms.md.jinja").render(
        study=markdown_text(comparison.study), baseline=markdown_text(comparison.baseline),
        tables=list(_tables(comparison, markup)), heads=HEADS, aligned=ALIGNED,
    )  # fmt: skip


def latex_text(text: str) -> str:
    """Text for LaTeX, which shows it as it is and obeys nothing in it. A sign that LaTeX's first
    fonts lack becomes its number, `[U+4E2D]`.
    """
    return "".join(LATEX.get(each) or _known(each) for each in visible(text))


def latex_name(text: str) -> str:
    """Text for a narrow column of LaTeX: long words may be broken. What the end of the row before
    it would take for an argument stands in braces.
    """
    return FIRST.sub(r"{\g<0>}", latex_text(LONG.sub("\\1\u200b", text)))


def markdown_text(text: str) -> str:
    """Text for a cell of a table on GitHub, which shows it as it is."""
    return "".join(ENTITIES.get(each, each) for each in MARKDOWN.sub(r"\\\1", visible(text)))


def _known(sign: str) -> str:
    return sign if sign.isascii() or sign in LETTERS else f"[U+{ord(sign):04X}]"


def _latex_number(text: str) -> str:
    """With a minus in the place of a hyphen, and relations as formulas."""
    return re.sub(r"-(?=\d)", "$-$", latex_text(text)).replace(r"\textless{} ", "$<$")


def _markdown_number(text: str) -> str:
    return text.replace("<", "&lt;")


def _environment(**marks: Any) -> Environment:
    return Environment(
        loader=PackageLoader("solvent.reports.compared"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # neither language is HTML: every text is escaped before it gets there
        **marks,
    )  # fmt: skip


def _tables(comparison: Comparison, markup: Markup) -> Iterator[PaperTable]:
    """A table per benchmark, prompt and rules, and further ones where it is long."""
    benchmarks: dict[tuple[str, ...], list[list[Line]]] = {}
    for family in by_family(comparison.arms):
        benchmarks.setdefault(_question_set(family[0]), []).append(family)
    for number, (which, families) in enumerate(benchmarks.items(), start=1):
        caption = markup.escape(f"{comparison.study}: {', '.join(filter(None, which))}")
        note = markup.escape(_note([line for family in families for line in family]))
        blocks = [_block(family, markup) for family in families]
        for part, chosen in enumerate(_pages(blocks)):
            yield PaperTable(
                caption=caption + (" (continued)" if part else ""),
                label=f"arms-{number}" + (f"-{part + 1}" if part else ""),
                blocks=chosen,
                note=note,
            )


def _question_set(line: Line) -> tuple[str, ...]:
    """What the families of a table share: benchmark, then what is not as usual."""
    shown = line.get("condition") if line["role"] == "control" else None
    unusual = {
        "shown": shown if shown != "real" else None,
        "prompt": line.get("prompt") if line.get("prompt") != "native" else None,
        "compat": line.get("compat") if line.get("compat") != "none" else None,
        "imported by": line.get("imported"),
    }
    return line["benchmark"], *(f"{what} {name}" for what, name in unusual.items() if name)


def _block(family: Sequence[Line], markup: Markup) -> Block:
    about = [line for line in family if line["role"] != "control"] or family
    told = f"{family[0]['model']}: {questions(about)}"
    if family[0].get("chance") is not None:
        told += f", chance {share(family[0]['chance'])}"
    if margin := margins(family):
        told += f", margin {margin}"
    return Block(title=markup.escape(told), rows=[_row(line, markup) for line in family])


def _row(line: Line, markup: Markup) -> list[str]:
    role, score = ROLES.get(line["role"]), line.get("score_value")
    seeds = f"{line['seeds']:,.0f} seeds" if line["seeds"] > 1 else None
    extra = ", ".join(filter(None, (role, seeds)))
    name = markup.name(line["name"] + (f" ({extra})" if extra else ""))
    of_arm = line["role"] != "control"
    shown = [
        DASH if score is None else f"{100 * score:.1f}",
        difference(line) if of_arm else "",
        p_value(line.get("p_adjusted")) if of_arm else "",
        (line.get("verdict") or DASH).lower() if of_arm else "",
        mass(line, places=2),
    ]
    cells = [name, *map(markup.number, shown)]
    if line.get("verdict") in DIFFERS and line["role"] != "positive control":
        for place in (2, 4):
            cells[place] = markup.bold.format(cells[place])
    return cells


def _pages(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks for a page at a time; one that goes on on the next page has its title there, too. Few
    arms stand alone at neither end of a page.
    """
    page: list[Block] = []
    room = ROWS
    for block in blocks:
        rest = list(block.rows)
        while rest:
            left = len(rest) - (room - 1)
            lonely = 0 < left < FEWEST and len(rest) < ROWS
            if page and (room <= min(FEWEST, len(rest)) or lonely):
                yield page
                page, room = [], ROWS
            page.append(replace(block, rows=rest[: room - 1]))  # under its title
            rest = rest[room - 1 :]
            room -= len(page[-1].rows) + 1
    if page:
        yield page


def _note(family: Sequence[Line]) -> str:
    told = [
        "Score: of the benchmark, mean over seeds.",
        "Difference: arm minus control in accuracy, paired by question, with its 95 % interval "
        "over images and seeds.",
    ]
    adjusted = corrections(family)
    told.append(
        f"p: of equal accuracy, two-sided{f', adjusted by {adjusted}' if adjusted else ''}."
    )
    told.append(
        "Verdict: what adjusted tests show, a loss beyond the margin (worse), a difference inside "
        "it (equivalent), no loss beyond it (not inferior), or a gain (better); where p is small "
        "and nothing is shown, the difference may be on either side of the margin."
    )
    told.append("Bold: worse or better, positive controls aside.")
    told.append("Visual mass: share of attention on the picture, before → after.")
    return " ".join(told)

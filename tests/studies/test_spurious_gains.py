"""Gains of scripted arms beside their controls: a changed answer rate is called one, and better
looking is not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from solvent.cells.run import run_cell
from solvent.core.types import CandidateScore, Prediction
from solvent.storage.records import Stored
from solvent.studies.comparison.arms import Pair
from solvent.studies.comparison.compared_cells import ComparedCell
from solvent.studies.controls.control_arms import mass_only, random_heads
from solvent.studies.controls.gain_table import show_gains
from solvent.studies.controls.option_sets import answer_of, option_sets
from solvent.studies.controls.spurious_gains import HEADS, MASS, RATES, TIES, Gain, gains
from tests.conftest import ROOT
from tests.reports.test_results import ROW
from tests.studies.comparison.stored_cells import Cells, estimates, paired

YES_NO = ("yes", "no")
QUESTIONS = 200
METHOD = {
    "_target_": "interventions.Intervention", "name": "method", "layers": "all", "heads": [0, 1],
    "rows": ["last"], "keys": ["image"], "probe": None, "phase": "both",
    "pattern": {"_target_": "interventions.patterns.Lift", "alpha": 0.2}, "calibration": None,
    "mass": {"_target_": "interventions.masses.FromPattern"}, "mix": 1.0, "value_gain": 1.0,
    "head_gain": 1.0, "seed": 0,
}  # fmt: skip
SHIFT = METHOD | {
    "name": "reweight",
    "pattern": {"_target_": "interventions.patterns.Learned"},
    "mass": {"_target_": "interventions.masses.Shift", "factor": 2.0},
}


def answered(margins: np.ndarray, golds: np.ndarray, **changes: Any) -> list[Prediction]:
    """Answers to yes-or-no questions, every second of which lists no first.

    Args:
        margins: log-probability of yes minus that of no.
        golds: whether yes is right.
    """
    found = []
    for place, (margin, gold) in enumerate(zip(margins.tolist(), golds.tolist(), strict=True)):
        options = YES_NO[:: -1 if place % 2 else 1]
        scores = [(margin if option == "yes" else 0.0) - 1.0 for option in options]
        parsed, right = int(np.argmax(scores)), options.index("yes" if gold else "no")
        ranked = tuple(CandidateScore(log_probability=score, tokens=1) for score in scores)
        found.append(
            replace(
                ROW,
                uid=f"{place:04}",
                scores=ranked,
                options=options,
                parsed=parsed,
                gold=right,
                credit=float(parsed == right),
                groups={},
                **changes,
            )
        )
    return found


class Script:
    """A model that is unsure, and says no too often; three of four right answers are yes."""

    def __init__(self, place: Path) -> None:
        self.cells = Cells(place)
        generator = np.random.default_rng(5)
        self.golds = generator.random(QUESTIONS) < 0.75
        self.noise = generator.normal(size=QUESTIONS)
        self.base = answered(self.noise - 0.8, self.golds)

    @property
    def yes(self) -> list[Prediction]:
        """What looks no better, and says yes more often."""
        return answered(self.noise + 0.6, self.golds)

    @property
    def seeing(self) -> list[Prediction]:
        """What looks better: half of the wrong answers are right, whatever the margin was."""
        put_right = np.arange(QUESTIONS) % 2 == 0
        margins = np.where(put_right, np.where(self.golds, 1.0, -1.0), self.noise - 0.8)
        return answered(margins, self.golds)

    def cell(
        self,
        predictions: Sequence[Prediction],
        what: dict[str, Any] | None = None,
        mass: float = 0.5,
        entries: int = 1000,
        by: str = "words",
    ) -> ComparedCell:
        heads = (what or {}).get("heads")
        return self.cells.add(
            predictions,
            what,
            {"benchmark": {"answer": {"by": by}}},
            variant=f"heads={heads}" if heads else "",
            visual_mass={"before": 0.5, "after": mass},
            cells_edited=entries,
        )


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Script:
    return Script(tmp_path_factory.mktemp("cells"))


def all_gains(found: Sequence[Pair]) -> list[Gain]:
    return gains(found, estimates(found))


def gain_of(*cells: ComparedCell, name: str = "method") -> Gain:
    (found,) = [
        gain for gain in all_gains(paired(cells)) if gain.arm.metrics["intervention"] == name
    ]
    return found


def of(cell: ComparedCell, found: Sequence[Pair]) -> Pair:
    return next(pair for pair in found if pair.arm.first is cell)


def test_a_gain_that_is_an_answer_rate_is_said_to_be_one(script: Script) -> None:
    gain = gain_of(script.cell(script.base), script.cell(script.yes, METHOD))
    rates, ties, heads, mass = gain.controls
    assert gain.difference.low > 0.05
    assert (rates.name, ties.name, heads.name, mass.name) == (RATES, TIES, HEADS, MASS)
    assert rates.gain is not None  # the same answers, so the same interval
    ends = ("value", "low", "high")
    assert [getattr(rates.gain, end) for end in ends] == [
        getattr(gain.difference, end) for end in ends
    ]
    assert rates.beyond is not None
    assert rates.beyond.value == 0
    ours = sum(row.parsed == row.options.index("yes") for row in script.base) / QUESTIONS
    theirs = sum(row.parsed == row.options.index("yes") for row in script.yes) / QUESTIONS
    assert rates.what == f"yes {100 * ours:.0f} → {100 * theirs:.0f} %"
    assert gain.reading.startswith(f"no more than: {RATES}")
    assert (heads.what, heads.gain, mass.what, mass.gain) == ("not run", None, "not run", None)


def test_a_gain_by_looking_is_more_than_any_answer_rate(script: Script) -> None:
    gain = gain_of(script.cell(script.base), script.cell(script.seeing, METHOD))
    rates = gain.controls[0]
    assert gain.reading == f"more than: {RATES}, {TIES} (not run: {HEADS}, {MASS})"
    assert rates.beyond is not None
    # of all thresholds on the baseline's margins, that with as many yes, and no answer looked at
    margins, golds = script.noise - 0.8, script.golds
    wanted = sum(row.options[row.parsed] == "yes" for row in script.seeing)
    said = np.argsort(np.argsort(-margins)) < wanted
    credit = (said == golds).mean()
    before = ((margins > 0) == golds).mean()
    assert rates.gain is not None
    assert rates.gain.value == pytest.approx(credit - before)
    assert rates.beyond.value == pytest.approx(gain.difference.value - (credit - before))


def test_no_gain_is_none_whatever_controls_do(script: Script) -> None:
    fewer = [replace(row, credit=0.0) for row in script.base[:5]] + script.base[5:]
    assert all_gains(paired([script.cell(script.base), script.cell(fewer, METHOD)])) == []
    few = script.cell(script.base), script.cell([*script.yes[:2], *script.base[2:]], METHOD)
    assert [gain.reading for gain in all_gains(paired(few))] in ([], ["no sure gain"])


def test_control_arms_are_found_by_what_they_are(script: Script) -> None:
    base, arm = script.cell(script.base), script.cell(script.seeing, METHOD, mass=0.66)
    one = script.cell(script.seeing, METHOD | {"heads": "random:2:0"})
    other = script.cell(script.base, METHOD | {"heads": "random:2:1"})
    not_as_many = script.cell(script.yes, METHOD | {"heads": "random:3:0"})
    elsewhere = script.cell(script.yes, METHOD | {"heads": "random:2:0", "layers": "early"})
    near = script.cell(script.base, SHIFT, mass=0.65)
    far = script.cell(script.seeing, SHIFT | {"mass": SHIFT["mass"] | {"factor": 9.0}}, mass=0.9)
    other_heads = script.cell(script.seeing, SHIFT | {"heads": "all"}, mass=0.66)
    all_cells = [base, arm, one, other, not_as_many, elsewhere, near, far, other_heads]
    rows = paired(all_cells)
    assert [row.arm.first for row in random_heads(of(arm, rows), rows)] == [one, other]
    chosen = mass_only(of(arm, rows), rows)
    assert chosen is not None
    assert chosen.arm.first is near
    gain = gain_of(*all_cells)
    heads, mass = gain.controls[2:]
    assert (heads.what, mass.what) == (
        "mean of 2 draws",
        "reweight (heads=[0, 1]), mass 0.650 for 0.660",
    )
    assert heads.gain is not None
    assert heads.gain.value == pytest.approx(gain.difference.value / 2)  # of all of it, and none
    assert gain.reading == f"more than: {RATES}, {TIES}, {HEADS}, {MASS}"
    reached = gain_of(base, arm, one)
    assert reached.reading == f"no more than: {HEADS}"
    listed = [each.arm.first for each in all_gains(rows)]
    assert not {id(one), id(other), id(not_as_many)} & set(map(id, listed))
    by_mass = {id(each.arm.first): each.controls[3].what for each in all_gains(rows)}
    assert by_mass[id(far)] == "nothing else is changed"


def test_rules_for_heads_are_shuffled_or_edit_as_many_entries(script: Script) -> None:
    rule = {"_target_": "interventions.heads.Table", "file": "x"}
    shuffled = {"_target_": "interventions.heads.Shuffled", "of": rule, "seed": 0}
    arm = script.cell(script.seeing, METHOD | {"heads": rule}, entries=1000)
    controls = [
        script.cell(script.base, METHOD | {"heads": heads}, entries=entries)
        for heads, entries in ((shuffled, 900), ("random:2:0", 960), ("random:3:0", 1400))
    ]
    rows = paired([script.cell(script.base), arm, *controls])
    found = [row.arm.first for row in random_heads(of(arm, rows), rows)]
    assert {id(each) for each in found} == {id(each) for each in controls[:2]}


def test_what_edits_nothing_has_the_controls_of_its_answers(script: Script) -> None:
    """As where the untouched model is compared with an intervention."""
    cells = script.cell(script.base, METHOD), script.cell(script.seeing)
    (gain,) = all_gains(paired(cells, "method"))
    assert [control.what for control in gain.controls[2:]] == ["no edit of attention"] * 2
    assert gain.reading == f"more than: {RATES}, {TIES}"


def test_where_nothing_was_ranked_it_says_so(script: Script) -> None:
    def without(rows: Sequence[Prediction]) -> list[Prediction]:
        return [replace(row, scores=None, raw="yes") for row in rows]

    gain = gain_of(script.cell(without(script.base)), script.cell(without(script.seeing), METHOD))
    assert gain.controls[0].what == "answers were generated: no log-probabilities"
    assert gain.reading == f"a gain (not run: {HEADS}, {MASS})"
    unlike = [
        [replace(row, options=(row.uid, "other")) for row in rows]
        for rows in (script.base, script.seeing)
    ]
    gain = gain_of(script.cell(unlike[0]), script.cell(unlike[1], METHOD))
    assert gain.controls[0].what == "no 20 questions have the same options"
    some = [[*rows[:50], *script_rows[50:]] for rows, script_rows in
            zip(unlike, (script.base, script.seeing), strict=True)]  # fmt: skip
    gain = gain_of(script.cell(some[0]), script.cell(some[1], METHOD))
    assert gain.controls[0].what.endswith("; of 150 of 200 questions")


def test_letters_are_labels_wherever_they_stand(script: Script) -> None:
    """A bias towards the first option, whose words are always others."""
    generator = np.random.default_rng(7)
    golds = generator.random(QUESTIONS) < 0.5
    found = []
    for shift in (0.0, 1.0):
        rows = answered(script.noise + shift, golds)
        named = [replace(row, options=(f"{row.uid} a", f"{row.uid} b")) for row in rows]
        found.append(script.cell(named, METHOD if shift else None, by="letter"))
    base, arm = (list(Stored(each.answers)) for each in found)
    (letters,) = option_sets(arm, base, answer_of(found[0].setting))
    assert letters.labels == ("A", "B")
    assert len(letters.uids) == QUESTIONS


def test_the_experiment_and_its_comparison(tmp_path: Path) -> None:
    """What flattens the attention of a model that never looks changes nothing but its rates."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for arm in ("learned", "uniform_row", "reweight"):
            for heads in ("[0,1]", "random:2:0"):
                choice = [f"intervention={arm}", f"intervention.heads={heads}"]
                given = ["experiment=controls", "limit=40", f"output={tmp_path}", *choice]
                run_cell(compose("evaluate", given))
    command = [sys.executable, "compare.py", f"output={tmp_path}", "study=controls"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "gains of tiny_prior on shapes" in done.stdout
    table = pd.read_csv(tmp_path / "controls/comparison/controls.csv")
    arm = table[table["intervention"] == "uniform_row"].set_index("control")
    assert arm["variant"].unique().tolist() == ["heads=[0, 1]"]
    assert arm.index.tolist() == [RATES, TIES, HEADS, MASS]
    assert arm["what"][HEADS] == "1 draw"
    assert arm["what"][MASS].startswith("reweight (heads=[0, 1]), mass 0.")
    assert arm["control_gain_n"].tolist() == [40] * 4


def test_the_table_shows_each_control_and_is_kept(script: Script, tmp_path: Path) -> None:
    cells = (script.cell(script.base), *(script.cell(script.yes, each) for each in (METHOD, SHIFT)))
    found = all_gains(paired(cells))
    screen = Console(width=130, record=True)
    show_gains(screen, found, tmp_path)
    said = screen.export_text()
    assert "gains of scripted on yesno" in said
    assert said.count("no more than: same rates by a bias") == 2
    table = pd.read_csv(tmp_path / "controls.csv")
    assert table["control"].tolist() == [RATES, TIES, HEADS, MASS] * 2
    first = table.iloc[0]
    assert first["control_gain_value"] == first["gain_value"] > 0
    assert first["beyond_value"] == 0
    assert table["reading"].str.startswith("no more than").all()

    (tmp_path / "controls.csv").unlink()
    silent = Console(width=130, record=True)
    show_gains(silent, [], tmp_path)
    assert silent.export_text() == ""
    assert list(tmp_path.iterdir()) == []

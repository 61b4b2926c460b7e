"""A modality-usage test of a user's own, one file and one YAML in a folder of theirs, is shown
wherever ours are; one that could not be is refused before anything is answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from solvent.cells import run as session
from solvent.cells.diagnosing import judge
from solvent.cells.recomputing import recompute, without_facts
from solvent.core.types import Facts
from solvent.diagnostics.base import Finding
from solvent.diagnostics.contract import check_finding, check_tests
from solvent.diagnostics.interaction import Interaction
from solvent.diagnostics.measures import Measures
from solvent.reports.facts import in_order
from solvent.reports.overall_reading import ASKS as OVERALL
from tests.comparison_of import comparison_of
from tests.conftest import ROOT

ASKS = "Does a grey picture change the answer?"
MODULE, SMALL = "greyness", "diagnostic.measures.swaps=[swap]"
OWN = '''
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from solvent.diagnostics.base import Facts, Finding, Seen, UsageTest
from solvent.diagnostics.statistics.estimates import decide, estimate


@dataclass(frozen=True, kw_only=True)
class Grey(UsageTest):
    """Total variation between the answers to a picture and to a grey one."""

    margin: float
    name = "grey"
    conditions = ("real", "blank")
    facts = Facts(
        asks="Does a grey picture change the answer?",
        number="moved",
        unit="total variation",
        neutral=0.0,
        place=None,
    )

    def judge(self, seen: Seen) -> Finding:
        answers = seen.answers
        gap = answers.probabilities("real") - answers.probabilities("blank")
        moved = estimate(np.abs(gap).sum(axis=1) / 2, answers.clusters)
        return Finding(
            test=self.name,
            verdict=decide(moved, self.margin),
            strict="NOT APPLICABLE",
            reason=f"the answer moves by {moved.value:.2f}",
            metrics={"samples": len(answers), "moved": moved},
            series={},
        )

    def draw(self, axes, finding):
        super().draw(axes, finding)
        axes.set_ylabel("drawn by its own class")


class Unlike:
    conditions = ("real",)

    def judge(self, answers):
        return None


class NoFacts(Grey):
    facts = None


class Mute(Grey):
    facts = replace(Grey.facts, number="")


class Idle(Grey):
    conditions = ()


class OneName(Grey):
    conditions = "real"


class Unread(Grey):
    judge = UsageTest.judge


class OldRead(Grey):
    def judge(self, answers, shares):
        return None


class Apart(Grey):
    conditions = ("real", "blank", "pairs")


class Elsewhere(Grey):
    watches = {"shares": ("swap",)}


class Listed(Grey):
    watches = ["shares"]


class OneUnit(Grey):
    facts = replace(Grey.facts, unit=1)


class Nowhere(Grey):
    facts = replace(Grey.facts, neutral=float("nan"))


class Unsaid(Grey):
    watches = {"states": ("real",)}
'''
YAML = f"# @package diagnostic.grey\n_target_: {MODULE}.Grey\nmargin: 0.05\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a user, outside the repository."""
    folder = tmp_path_factory.mktemp("own")
    (folder / f"{MODULE}.py").write_text(OWN)
    (folder / "diagnostic").mkdir()
    (folder / "diagnostic/grey.yaml").write_text(YAML)
    sys.path.insert(0, str(folder))
    yield folder
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.modules.pop(MODULE, None)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """What is drawn, by the name of its file."""
    drawn: dict[str, Figure] = {}

    def keep(figure: Figure, path: Path, **settings: Any) -> None:
        Path(path).touch()
        drawn[Path(path).name] = figure

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn


@pytest.fixture
def gone(own: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take the user's module away."""

    def take() -> None:
        monkeypatch.delitem(sys.modules, MODULE, raising=False)
        monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(own)])

    return take


def run(output: Path, own: Path, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        given = [f"hydra.searchpath=[file://{own}]", f"output={output}", "limit=18", *overrides]
        return session.run_cell(compose("evaluate", given))


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def dots(axes: Axes) -> list[float]:
    """Where its points lie."""
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]


def test_a_test_of_ones_own_is_shown_wherever_ours_are(
    own: Path,
    tmp_path: Path,
    figures: dict[str, Figure],
    gone: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = run(tmp_path, own, "diagnostic=[grey,measures]", SMALL)
    found = metrics["diagnostics"]["grey"]
    assert found["verdict"] == "INCONCLUSIVE"  # of too few pictures
    value = found["metrics"]["moved"]["value"]
    (place,) = (tmp_path / "study/tiny/shapes").iterdir()
    stored = json.loads((place / "diagnostics/findings.json").read_text())
    assert stored["grey"]["facts"] == found["facts"]
    assert found["facts"] == {
        "asks": ASKS, "number": "moved", "unit": "total variation", "neutral": 0.0, "place": None,
        "margin": 0.05,
    }  # fmt: skip

    card = figures["modality_card.png"]
    rows = [OVERALL, Measures.facts.asks, ASKS]
    assert [axes.texts[0].get_text() for axes in card.axes] == rows
    assert dots(card.axes[2]) == [value]
    assert [0.05, 0.05] in [list(line.get_xdata()) for line in card.axes[2].lines]  # the margin
    assert "18 questions, 18 sets of images" in words(card)
    assert "The answer moves by" in words(card)
    panels = {axes.get_title("left"): axes for axes in figures["modality_usage.png"].axes}
    assert list(panels) == ["measures: INCONCLUSIVE", "grey: INCONCLUSIVE"]
    assert dots(panels["grey: INCONCLUSIVE"]) == [value]
    assert panels["grey: INCONCLUSIVE"].get_ylabel() == "drawn by its own class"
    said = capsys.readouterr().out
    assert "the answer moves by" in said
    assert "grey: moved" in said

    gone()  # whoever compares need not have the class
    comparison_of(tmp_path)
    assert MODULE not in sys.modules
    panels = {axes.get_title("left"): axes for axes in figures["usage.png"].axes}
    assert list(panels) == [Measures.facts.asks, ASKS]
    assert dots(panels[ASKS]) == [value]
    assert panels[ASKS].get_xlabel() == "total variation"
    table = pd.read_csv(tmp_path / "study/comparison/usage.csv")
    assert table.query("test == 'grey' and metric == 'moved'")["value"].item() == value
    said = capsys.readouterr().out.partition("grey")[2]
    assert f"{value:.3f} [" in said
    assert "(few images)  n 18" in said


def test_cells_of_before_facts_were_kept_are_shown_and_read_again(
    own: Path,
    tmp_path: Path,
    figures: dict[str, Figure],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours say what they ask; of another's there is its name and its first estimate."""
    monkeypatch.setattr(session, "judge", lambda *given: without_facts(judge(*given)))
    metrics = run(tmp_path, own, "diagnostic=[grey,measures]", SMALL)
    assert "facts" not in metrics["diagnostics"]["grey"]
    alone = run(tmp_path / "ours", own, "diagnostic=[measures]", SMALL)
    assert "facts" not in alone["diagnostics"]["measures"]
    capsys.readouterr()
    (place,) = (tmp_path / "ours/study/tiny/shapes").iterdir()
    recompute(place, [])
    assert "equal to what the cell stored" in capsys.readouterr().out
    monkeypatch.delitem(sys.modules, MODULE)  # it could be imported again
    comparison_of(tmp_path)
    assert MODULE not in sys.modules  # what a record names is not imported
    panels = {axes.get_title("left"): axes for axes in figures["usage.png"].axes}
    assert list(panels) == [Measures.facts.asks, "grey"]
    found = metrics["diagnostics"]
    assert dots(panels["grey"]) == [found["grey"]["metrics"]["moved"]["value"]]
    score = found["measures"]["metrics"][Measures.facts.number]["value"]
    assert dots(panels[Measures.facts.asks]) == [score]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("Unlike", "is no UsageTest: derive its class from solvent.diagnostics.base.UsageTest"),
        ("NoFacts", r"has no facts, which cards and tables show: write facts = Facts\(asks="),
        ("Mute", r"has facts without what it asks or its number: write facts = Facts\("),
        ("Idle", r"reads nothing: write conditions = \('real', 'swap'\)"),
        ("OneName", "reads nothing: write conditions"),
        ("Unread", r"cannot judge: write judge\(self, seen\), which returns a Finding"),
        ("OldRead", r"cannot judge: write judge\(self, seen\)"),
        ("Elsewhere", r"watches 'shares' under \('swap',\): expected states, shares, pairs"),
        ("Listed", r"watches what is no mapping: write watches = \{"),
        ("OneUnit", r"has facts of which unit is no text, neutral no number or place no whole"),
        ("Nowhere", r"has facts of which unit is no text, neutral no number or place no whole"),
        ("Unsaid", r"watches states and does not say which are compared: write components"),
    ],
)
def test_what_could_not_be_shown_is_refused_before_anything_is_answered(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, said: str
) -> None:
    monkeypatch.setattr(session, "load_model", lambda config: pytest.fail("too late"))
    settings = [] if made == "Unlike" else ["+diagnostic.mine.margin=0.05"]
    with pytest.raises(ValueError, match=rf"^the test diagnostic\.mine, greyness\.{made}, {said}"):
        run(tmp_path, own, f"+diagnostic.mine._target_={MODULE}.{made}", *settings)


def test_other_questions_are_only_asked_for_who_expects_them(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "load_model", lambda settings: pytest.fail("too late"))
    mine = ("+diagnostic.mine.margin=0.05", f"+diagnostic.mine._target_={MODULE}.Apart")
    with pytest.raises(ValueError, match=r"^the condition 'pairs', which mine needs, asks others"):
        run(tmp_path, own, *mine, "limit=36")


def test_states_are_kept_for_one_test() -> None:
    class Watching(Interaction):
        watches = {"states": ("real",)}  # noqa: RUF012
        components = 1

        def strata(self, answers: Any) -> Any:
            return answers

    test = Watching(margin=0.0, most_invalid=0.0)
    check_tests({"one": test})
    with pytest.raises(ValueError, match=r"^one and other watch decoder states, of which a cell"):
        check_tests({"one": test, "other": test})


def test_what_cannot_be_kept_is_refused_with_a_way_on() -> None:
    test = Interaction(margin=0.0, most_invalid=0.0)
    found = {"test": "x", "verdict": "PASS", "strict": "PASS", "reason": "", "series": {}}
    numbers = {"metrics": {test.facts.number: 1.0}}
    check_finding("x", test, Finding(**found | numbers))
    check_finding("x", test, Finding(**found | {"verdict": "ERROR", "metrics": {}}))
    for wrong, said in (
        ({}, "found dict; expected a Finding"),
        (Finding(**found | numbers | {"verdict": "MAYBE"}), "says 'MAYBE'; expected one of PASS,"),
        (Finding(**found | numbers | {"reason": 1}), "gives the reason 1; expected a sentence"),
        (Finding(**found | {"metrics": None}), "has metrics of NoneType; expected Estimates"),
        (Finding(**found | {"metrics": {"a": "1"}}), "has a metric 'a' of str; expected an Est"),
        (Finding(**found | {"metrics": {"a": 1}}), r"judges '\w+', which is none of its metrics"),
    ):
        with pytest.raises(ValueError, match=f"{said}.*correct its judge.*all answers are kept"):
            check_finding("x", test, wrong)


def test_those_without_a_place_come_last_by_name() -> None:
    places = {"b": None, "second": 2, "a": None, "first": 1}
    facts = {
        name: Facts(asks="?", number="n", unit="", neutral=None, place=place)
        for name, place in places.items()
    }
    assert list(in_order(facts)) == ["first", "second", "a", "b"]

"""A whole comparison of a made-up study: what its frames hold, and what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from solvent.reports.compared.frame_files import FRAMES, typed
from solvent.reports.compared.frames import Comparison
from solvent.studies.comparison.comparing import compare_study
from solvent.studies.comparison.estimating import Registered
from solvent.studies.comparison.publishing import Wanted, _flipped, publish
from solvent.tracking import NoTracking
from tests.comparison_of import comparison_of
from tests.conftest import ROOT
from tests.reports.compared.made_up import made_up
from tools.synthetic_study import Study

COLUMN = re.compile(r"`([a-z][a-z0-9_]*)`")
OWN_UNITS = {"x", "seed", "score_value", "score_low", "score_high"}  # of a setting, of a benchmark


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Of two families with seeds, layers and doses."""
    output = tmp_path_factory.mktemp("outputs")
    Study(folder=output / "study", cells=46, samples=100, models=1, benchmarks=2,
          per_image=1).write()  # fmt: skip
    return comparison_of(output, "study", "learned", "primary=[uniform]")


def documented() -> dict[str, set[str]]:
    """Columns of every frame, as the docstring of a comparison has them."""
    attributes = (Comparison.__doc__ or "").partition("Attributes:")[2]
    parts = re.split(r"^ {8}(\w+): ", attributes, flags=re.MULTILINE)
    return {
        name: set(COLUMN.findall(text)) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("frame", [each for each in FRAMES if each != "measures"])
def test_columns_are_those_that_are_documented(whole: Comparison, frame: str) -> None:
    assert set(getattr(whole, frame).columns) == documented()[frame]


@pytest.mark.parametrize("frame", FRAMES)
def test_the_made_up_comparison_of_other_tests_has_the_columns_of_a_real_one(frame: str) -> None:
    assert set(getattr(made_up(), frame).columns) == documented()[frame]


@pytest.mark.parametrize("frame", FRAMES)
def test_numbers_say_their_unit(whole: Comparison, frame: str) -> None:
    unsaid = {
        field.name
        for field in typed(whole, frame).schema
        if (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
        and b"unit" not in (field.metadata or {})
    }
    assert unsaid <= OWN_UNITS


def test_without_gallery_and_curves_no_model_library_is_loaded(tmp_path: Path) -> None:
    """Which takes longer than all else of a small study."""
    made = Study(folder=tmp_path / "study", cells=2, samples=40, models=1, benchmarks=1,
                 per_image=1)  # fmt: skip
    assert made.write() == 2
    asked = [f"output={tmp_path}", "study=study", "figures=[]", "flips.total=0"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "compare.py", *asked],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in imported
    assert not imported & {"transformers", "accelerate", "interventions"}


@dataclass(frozen=True)
class Heard(NoTracking):
    """A tracker that keeps what it is told of a comparison."""

    told: list[dict[str, Any]] = field(default_factory=list)

    def compared(self, **told: Any) -> bool:
        self.told.append(told)
        return True


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """A small study: the control and an arm answered two conditions of tests, too."""
    folder = tmp_path / "study"
    Study(folder=folder, cells=8, samples=40, models=1, benchmarks=1, per_image=1).write()
    for name, condition in product(("learned", "knockout"), ("swap", "mirror")):
        (cell,) = folder.glob(f"*/*/{name}-*")
        place = cell / "diagnostics" / condition
        place.mkdir(parents=True)
        lines = (cell / "predictions.jsonl").read_text().splitlines(keepends=True)
        (place / "predictions.jsonl").write_text("".join(lines[: 39 if name == "learned" else 40]))
    return tmp_path


PLAN = Registered(
    baseline="learned", margin=0.02, margin_share=None, primary=("reweight",),
    positive_controls=("knockout", "swap"),
)  # fmt: skip


def test_conditions_of_the_untouched_model_are_arms(tested: Path) -> None:
    """And of no other, unless all are asked for; none is a cell of its own."""
    for conditions, more in (("controls", ["swap"]), ("all", ["mirror", "swap"])):
        found = compare_study(str(tested), "study", PLAN, conditions, "compare").comparison
        shown = found.arms[found.arms["condition"] != "real"]
        assert shown["name"].tolist() == [f"learned, shown {each}" for each in more]
        assert shown["n"].tolist() == [39] * len(more)  # a part of the control's
        assert (shown["difference_value"] == 0).all()
        assert shown["score_difference_value"].isna().all()
        assert (len(found.cells), len(found.arms)) == (8, 8 + len(more))
        assert found.provenance["cells"] == "8"


def test_what_a_reader_must_know_is_said(tested: Path) -> None:
    """Damaged cells, also where one is the baseline; no secret of the command."""
    (knockout,) = (tested / "study").glob("*/*/knockout-*")
    (knockout / "DONE").write_text("{")
    typed = "python compare.py token=hf_" + "a" * 34
    study = compare_study(str(tested), "study", PLAN, "controls", typed)
    assert len(study.damaged) == 1
    assert study.damaged[0] in study.comparison.remarks
    assert "a" * 34 not in study.comparison.provenance["command"]
    assert len(study.comparison.cells) == 7
    (swapped,) = (tested / "study").glob("*/*/learned-*/diagnostics/swap/predictions.jsonl")
    swapped.write_text(swapped.read_text().replace("credit", "cr", 1))
    with pytest.raises(ValueError, match="has the intervention 'learned'") as refused:
        compare_study(str(tested), "study", PLAN, "controls", typed)
    assert str(refused.value).count(". Left out: ") == 2
    assert str(swapped) in str(refused.value)


def test_bands_are_wider_than_intervals_and_a_peak_is_an_arm(whole: Comparison) -> None:
    curves = whole.curves
    assert (curves["band_low"] <= curves["difference_low"] + 1e-12).all()
    assert (curves["band_high"] >= curves["difference_high"] - 1e-12).all()
    by_key = whole.arms.set_index("key")
    assert (curves["n"] == 100).all()
    for line in whole.peaks.itertuples():
        assert by_key.loc[line.key, "name"] == line.name
        assert line.key in set(curves[curves["curve"] == line.curve]["key"])
    gained = whole.arms["difference_value"] > 0
    assert whole.arms["beyond_controls"][gained].notna().all()
    same = curves.merge(whole.arms, on="key")
    assert (same["difference_value_x"] == same["difference_value_y"]).all()


def test_equal_seeds_are_remarked_upon(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    Study(folder=folder, cells=12, samples=40, models=1, benchmarks=1, per_image=1).write()
    drawn = sorted(folder.glob("*/*/gaussian-*"))
    for other in drawn[1:]:
        for name in ("predictions.jsonl", "DONE"):
            text = (drawn[0] / name).read_bytes() if name != "DONE" else b'{"tracking": []}'
            (other / name).write_bytes(text)
    found = compare_study(str(tmp_path), "study", PLAN, "controls", "compare").comparison
    (said,) = [each for each in found.remarks if "same answers" in each]
    assert said.endswith("counted once, of gaussian")


def test_flips_are_offered_by_role_in_the_order_of_the_arm_s_questions(tested: Path) -> None:
    study = compare_study(str(tested), "study", PLAN, "controls", "compare")
    offered = _flipped(study)
    roles = study.comparison.arms.set_index("key")["role"]
    shown = [roles[each.key] for each in offered]
    assert shown == sorted(shown, key=["primary", "explored", "positive control"].index)
    assert len(set(shown)) == 3
    for each in offered:
        assert len(each.uids) == len(each.arm_credit) == len(each.control_credit)
        arm = study.comparison.arms.set_index("key").loc[each.key]
        assert (each.arm_credit - each.control_credit).mean() == pytest.approx(
            arm["difference_value"]
        )


def test_a_tracker_hears_of_all_and_nothing_of_before_stays(tested: Path) -> None:
    place = tested / "study/comparison"
    (place / "figures").mkdir(parents=True)
    for name in ("old.csv", "figures/old.png", "notes.txt"):
        (place / name).touch()
    heard = Heard()
    study = compare_study(str(tested), "study", PLAN, "controls", "compare")
    wanted = Wanted(figures=("png", "svg"), flips_each=1, flips=2, attention=False)
    made = publish(study, wanted, heard)
    left = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert not left & {"old.csv", "figures/old.png"}
    assert "notes.txt" in left  # is not ours
    (told,) = heard.told
    assert {path.suffix for path in told["figures"]} == {".png"}
    assert {path.suffix for path in told["files"]} == {".svg", ".csv", ".parquet", ".tex", ".md"}
    assert {*told["figures"], *told["files"], told["page"]} <= set(place.rglob("*"))
    assert set(told["tables"]) == set(FRAMES)
    assert told["facts"]["remarks"] == list(made.remarks)
    assert len(made.flips) == 2
    assert (told["study"], told["folder"]) == ("study", place)
    broken = replace(study, damaged=["one is broken"])
    with pytest.raises(ValueError, match=r"1 of 9 cells are damaged and left out. one is broken"):
        publish(broken, replace(wanted, figures=("svg",), flips=0), heard)
    assert len(heard.told) == 2  # the others are shown first
    assert heard.told[1]["figures"] == []  # the page shows no picture that is not there

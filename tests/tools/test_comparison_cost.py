"""A study of made-up answers is one to whoever reads it, and a comparison of it is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from solvent import results
from solvent.cells.scoring import LayerMeans
from solvent.storage.folder import CellFolder
from tools import comparison_cost
from tools.comparison_cost import measured
from tools.synthetic_study import Study

COMMAND = """
import sys
print(sys.argv[1:])
held = bytearray(b"1") * 2**26
sys.exit("study=broken" in sys.argv)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("outputs") / "study"
    made = Study(folder=folder, cells=24, samples=40, models=1, benchmarks=2, per_image=4)
    assert made.write() == 24
    return made


def test_every_cell_is_whole(study: Study) -> None:
    for done in study.folder.glob("*/*/*/DONE"):
        folder = CellFolder(done.parent)
        folder.check()
        metrics, answers = folder.metrics(), folder.predictions()
        assert sum(row.credit for row in answers) / 40 == pytest.approx(metrics["score"]["value"])
        assert len({row.groups["image"] for row in answers}) == metrics["score"]["clusters"] == 10
        means = LayerMeans()
        for row in answers:
            means.add(row.visual_mass)
        assert means.means() == metrics["visual_mass"]
        by_tag = metrics["score"]["by_tag"]["kind"]
        assert {kind: each["n"] for kind, each in by_tag.items()} == dict.fromkeys(by_tag, 8)


def test_cells_of_a_family_are_pairs_and_seeds_differ(study: Study) -> None:
    cells = results.cells(study.folder)
    assert len(cells) == 24
    assert cells.groupby(["model", "benchmark"])["setting"].nunique().tolist() == [1, 1]
    assert cells["setting"].nunique() == 2
    assert {"learned", "knockout", "reweight", "uniform", "gaussian"} == set(cells["intervention"])
    by_name = cells.groupby("intervention")["score_value"].mean()
    assert by_name["knockout"] < by_name["uniform"] < by_name["learned"]
    drawn = cells[(cells["intervention"] == "gaussian") & (cells["benchmark"] == "set_0")]
    assert drawn["seed"].nunique() > 1
    assert drawn["score_value"].nunique() > 1
    for family in study.folder.glob("*/*"):
        settings = set()
        for place in family.glob("*/identity.json"):
            identity = json.loads(place.read_text())
            treatment = [identity.pop(key) for key in ("intervention", "seed")]
            assert treatment[0]["name"] == place.parent.name.rpartition("-")[0]
            settings.add(json.dumps(identity, sort_keys=True))
        assert len(settings) == 1


def test_a_study_grows_and_is_the_same_again(study: Study, tmp_path: Path) -> None:
    assert study.write() == 0
    again = replace(study, folder=tmp_path / "study", lines={}, cells=4)
    assert again.write() == 4
    grown = replace(again, cells=24)
    assert grown.write() == 20
    files = [
        {path.relative_to(each.folder): path.read_bytes() for path in each.folder.rglob("*.*")}
        for each in (study, grown)
    ]
    assert files[0] == files[1]


def test_a_command_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(comparison_cost, "ROOT", tmp_path)
    (tmp_path / "compare.py").write_text(COMMAND)
    log = tmp_path / "log"
    cost = measured(tmp_path / "made", None, log)
    assert log.read_text().strip() == f"['output={tmp_path}', 'study=made']"
    assert cost.mebibytes > 64
    assert cost.seconds > 0
    with pytest.raises(RuntimeError, match="failed"):
        measured(tmp_path / "broken", None, log)

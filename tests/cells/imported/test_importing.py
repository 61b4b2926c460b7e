"""Somebody else's saved answers become cells that say so; all values worked out by hand."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig

from solvent import results
from solvent.cells.asking import identify
from solvent.cells.identity import cell_folder
from solvent.cells.recomputing import recompute
from solvent.cells.request import parse
from solvent.cells.rescoring import rescore
from solvent.storage.folder import CellFolder
from solvent.studies.cell_status import status_of
from tests.cells.imported.made_set import COMMAND, MAPPING, Rows, made
from tests.comparison_of import comparison_of
from tests.conftest import Run, last_sentence

Change = Callable[[dict[str, Rows]], None]

pytestmark = pytest.mark.usefixtures("undrawn")


def cell(output: Path, arm: str) -> Path:
    (found,) = output.glob(f"study/somebody/made_set/imported-{arm}-*")
    return found


@pytest.fixture
def output(run: Run, tmp_path: Path) -> Path:
    code, _, errors = run("import=made", made(tmp_path), command=COMMAND)
    assert code == 0, errors
    return tmp_path


def test_answers_are_scored_as_by_hand(output: Path) -> None:
    frame = results.cells(output).set_index("intervention")
    assert frame.score_value.to_dict() == {"greedy": 4 / 6, "sampled": 3 / 6}
    assert set(frame.score_n) == {6}
    answers = results.samples(output)
    means = answers[answers.intervention == "greedy"].groupby("condition").credit.mean()
    assert means.to_dict() == pytest.approx({"real": 4 / 6, "both": 2 / 6, "text": 1 / 6})
    real = answers[(answers.intervention == "greedy") & answers.scored].set_index("uid")
    assert real.loc["made/q1", ["raw", "parsed", "gold"]].to_list() == ["Red", "Red", "red"]
    assert real.loc["made/q2", ["tag_kind", "group_picture"]].to_list() == ["number", "a"]


def test_arms_are_paired_question_by_question(output: Path, capfd: pytest.CaptureFixture) -> None:
    frame = comparison_of(output, "study", "sampled").arms
    row = frame.set_index("intervention").loc["greedy"]
    assert row.difference_value == pytest.approx(1 / 6)
    assert row.discordant == 0.5
    assert (row.n, row.clusters) == (6, 4)  # questions, pictures
    assert "somebody on made_set, imported by made" in capfd.readouterr().out


def test_generated_answers_are_judged_as_by_hand(output: Path) -> None:
    findings = json.loads((cell(output, "greedy") / "diagnostics/findings.json").read_text())
    found = findings["following"]["metrics"]
    assert {name: found[name] for name in ("n", "conflicts", "eligible", "invalid")} == {
        "n": 6,
        "conflicts": 5,
        "eligible": 4,
        "invalid": 0,
    }
    values = {name: each["value"] for name, each in found.items() if isinstance(each, dict)}
    assert values == pytest.approx(
        {
            "text_preference_all": 3 / 4,
            "win_rate_all": 1 / 4,
            "third_answer_rate_all": 1 / 5,
            "text_preference_eligible": 2 / 3,
            "win_rate_eligible": 1 / 3,
            "third_answer_rate_eligible": 1 / 4,
            "accuracy_image": 4 / 6,
            "accuracy_both": 2 / 6,
            "accuracy_text": 1 / 6,
            "both_minus_image": -2 / 6,
        }
    )
    assert (found["text_all"], found["image_all"]) == (3, 1)
    preference = found["text_preference_all"]
    assert (preference["n"], preference["clusters"]) == (4, 3)
    assert preference["doubt"].startswith("3 independent images have a say")
    assert findings["following"]["verdict"] == "INCONCLUSIVE"  # of four
    assert recompute(cell(output, "greedy"), [])["following"]["metrics"] == found


def test_rules_can_be_changed_without_the_files(output: Path) -> None:
    changed = rescore(
        cell(output, "greedy"),
        ["benchmark.free.parser._target_=solvent.benchmarks.freeform.Number"],
        label=None,
        write=False,
    )
    assert changed["score"]["value"] == pytest.approx(0)  # no answer states a number in digits
    stored = CellFolder(cell(output, "greedy")).predictions()
    assert stored[1].question == "What is q2?"  # which a rule may need
    assert rescore(cell(output, "greedy"), [], label=None, write=False)["score"]["value"] == 4 / 6


def test_it_says_everywhere_that_it_was_imported(output: Path, run: Run) -> None:
    place = cell(output, "greedy")
    files = {
        name: json.loads((place / name).read_text())
        for name in ("metrics.json", "identity.json", "provenance.json")
    }
    assert files["metrics.json"]["imported"] == "made"
    assert files["identity.json"]["imported"]["mapping"] == "made"
    assert yaml.safe_load((place / "config.yaml").read_text())["imported"]["mapping"] == "made"
    (entry,) = files["provenance.json"]
    content = (output / "saved/greedy.jsonl").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    answers = [{"file": "greedy.jsonl", "sha256": digest, "rows": 18}]
    assert entry["imported"]["answers"] == answers
    assert entry["imported"]["questions"][0]["file"] == "questions.jsonl"
    assert files["identity.json"]["intervention"] == {"name": "greedy", "files": [digest]}
    assert status_of(place).imported
    assert set(results.cells(output).imported) == {"made"}
    _, shown, _ = run("import=made", f"--config-dir={output / 'mine'}", command=COMMAND)
    assert "already imported" in shown
    assert "somebody on made_set: imported greedy" in shown
    assert "visual mass" not in shown


def test_a_broken_import_is_made_again_and_is_nobodys_cell(output: Path, run: Run) -> None:
    place = cell(output, "greedy")
    before = (place / "predictions.jsonl").read_bytes()
    (place / "DONE").unlink()
    (place / "predictions.jsonl").write_bytes(before[:200])
    assert status_of(place).state == "stopped"
    assert set(results.cells(output).intervention) == {"sampled"}
    code, _, errors = run("import=made", f"--config-dir={output / 'mine'}", command=COMMAND)
    assert code == 0, errors
    assert (place / "predictions.jsonl").read_bytes() == before
    assert CellFolder(place).finished


@pytest.mark.parametrize("finished", [True, False])
def test_evaluate_neither_takes_it_for_done_nor_goes_on_with_it(
    finished: bool, output: Path, run: Run, composed: Callable[..., DictConfig]
) -> None:
    """Not even where somebody lays it in the very folder of a run."""
    request = parse(composed("limit=1"))
    place = cell_folder(request, identify(request)).path
    shutil.copytree(cell(output, "greedy"), place)
    if not finished:
        (place / "DONE").unlink()
    code, _, errors = run("limit=1")
    assert code == 2
    assert "is that of another cell, which was renamed or copied" in last_sentence(errors)


def test_a_moved_folder_holds_the_same_cells(output: Path, run: Run) -> None:
    (output / "saved").rename(output / "moved")
    mapping = output / "mine/import/made.yaml"
    mapping.write_text(mapping.read_text().replace(str(output / "saved"), str(output / "moved")))
    code, shown, errors = run("import=made", f"--config-dir={output / 'mine'}", command=COMMAND)
    assert (code, shown.count("already imported")) == (0, 2), errors


def test_answers_to_other_questions_do_not_pair(output: Path, run: Run, tmp_path: Path) -> None:
    """One more right answer is another question, though no name differs."""

    def other(tables: dict[str, Rows]) -> None:
        tables["questions"][4]["gold"] = "green"

    definitions = made(tmp_path / "other", change=other)
    code, _, errors = run("import=made", definitions, command=COMMAND)
    assert code == 0, errors
    arms = comparison_of(output, "study", "sampled").arms
    arms = arms[arms["condition"] == "real"]
    assert len(arms) == 4
    assert arms.groupby("family").intervention.agg(set).to_list() == [{"greedy", "sampled"}] * 2
    assert arms.groupby("family").setting.nunique().to_list() == [1, 1]
    assert arms.setting.nunique() == 2
    assert arms.control.notna().groupby(arms.family).sum().to_list() == [1, 1]


def test_a_file_is_what_its_name_ends_in(run: Run, tmp_path: Path) -> None:
    lines = []
    for kind in (".jsonl", ".json", ".csv", ".tsv.gz"):
        place = tmp_path / kind
        code, _, errors = run("import=made", made(place, kind), f"output={place}", command=COMMAND)
        assert code == 0, errors
        lines.append((cell(place, "greedy") / "predictions.jsonl").read_bytes())
    assert len({*lines}) == 1


RANKED = MAPPING.replace(
    "gold: {from: gold, free: text}",
    "options: [red, two, cat]\n      gold: {from: gold, as: option}",
).replace(
    "answer: {from: said}", "log_probabilities: {from: said}\n  tokens: {from: tokens}"
).replace(
    "answers:\n", "  answer: {mode: rank, normalise: NORMALISE}\nanswers:\n"
)  # fmt: skip


@pytest.mark.parametrize(("normalise", "right"), [("sum", [1, 1, 0]), ("mean", [1, 0, 0])])
def test_log_probabilities_rank_the_options(
    normalise: str, right: list[float], run: Run, tmp_path: Path
) -> None:
    def ranked(tables: dict[str, Rows]) -> None:
        values = {"q1": [-1.0, -2.0, -3.0], "q2": [-1.5, -1.0, -9.0], "q3": [-1.0, -2.0, -3.0]}
        for name, rows in tables.items():
            rows[:] = [row for row in rows if row["id"] in values]
            for row in rows if name != "questions" else []:
                row["said"], row["tokens"] = values[row["id"]], [2, 1, 2]

    mapping = RANKED.replace("NORMALISE", normalise)
    code, _, errors = run("import=made", made(tmp_path, change=ranked, mapping=mapping),
                          command=COMMAND)  # fmt: skip
    assert code == 0, errors
    frame = results.samples(tmp_path)
    frame = frame[frame.scored & (frame.intervention == "greedy")]
    assert frame.credit.to_list() == right
    assert frame.log_probabilities.iloc[1] == [-1.5, -1.0, -9.0]
    assert frame.tokens.iloc[1] == [2, 1, 2]


def test_an_answer_that_was_not_saved_is_a_failed_sample(run: Run, tmp_path: Path) -> None:
    def silent(tables: dict[str, Rows]) -> None:
        tables["greedy"][0]["said"] = None
        tables["greedy"][1]["said"] = [["two"]]  # as some harnesses keep one answer

    code, _, errors = run("import=made", made(tmp_path, change=silent), command=COMMAND)
    assert code == 0, errors
    row, other = (row for _, row in results.samples(cell(tmp_path, "greedy"))[:2].iterrows())
    assert (other.raw, other.credit) == ("two", 1)
    assert (row.uid, row.status, row.credit) == ("made/q1", "error", 0)
    assert row.error == "no answer was saved"


def no_gold(tables: dict[str, Rows]) -> None:
    tables["questions"][2]["gold"] = None


def no_gold_column(tables: dict[str, Rows]) -> None:
    del tables["questions"][2]["gold"]


def question_twice(tables: dict[str, Rows]) -> None:
    tables["questions"].append(dict(tables["questions"][0]))


def answer_twice(tables: dict[str, Rows]) -> None:
    tables["sample"].append(dict(tables["sample"][0]))


def other_ids(tables: dict[str, Rows]) -> None:
    tables["sample"] = [row for row in tables["sample"] if row["id"] != "q4"]


def unknown_id(tables: dict[str, Rows]) -> None:
    tables["sample"][3]["id"] = "q9"


def unknown_condition(tables: dict[str, Rows]) -> None:
    tables["greedy"][7]["condition"] = "blind"


def missing_condition(tables: dict[str, Rows]) -> None:
    tables["sample"] = [row for row in tables["sample"] if row["condition"] != "told"]


def other_question(tables: dict[str, Rows]) -> None:
    tables["greedy"][1]["question"] = "Who is q2?"


def several_answers(tables: dict[str, Rows]) -> None:
    tables["greedy"][1]["said"] = ["two", "three"]


def no_column(tables: dict[str, Rows]) -> None:
    del tables["greedy"][1]["said"]


def taken_column(tables: dict[str, Rows]) -> None:
    tables["greedy"][1]["arm"] = "sampled"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_gold, ("questions.jsonl, row 3: made/q3: the gold answer is None",)),
        (no_gold_column, ("questions.jsonl, row 3: made/q3: the row has no column 'gold'",)),
        (question_twice, ("questions.jsonl, row 7 is question made/q1", "row 1 is, too")),
        (answer_twice, ("sample.jsonl, row 19 answers made/q1, and so does sample.jsonl, row 1",)),
        (other_ids, ("somebody, sampled has no answer to 1 of 6 questions", "first made/q4")),
        (unknown_id, ("sample.jsonl, row 4 answers made/q9, which is none of the 6 questions",)),
        (unknown_condition, ("greedy.jsonl, row 8 has the condition 'odd'", "real, both, text")),
        (missing_condition, ("somebody, sampled has no answer under the condition 'text'",)),
        (other_question, ("greedy.jsonl, row 2 has the text 'Who is q2?'", "'What is q2?'")),
        (several_answers, ("greedy.jsonl, row 2: 2 answers, ['two', 'three']",)),
        (no_column, ("greedy.jsonl, row 2: the row has no column 'said'",)),
        (taken_column, ("greedy.jsonl, row 2 has a column 'arm', and so has the name",)),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    change: Change, said: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    code, _, errors = run("import=made", made(tmp_path, change=change), command=COMMAND)
    assert code == 2
    assert errors.strip() == last_sentence(errors)
    for each in said:
        assert each in errors
    assert not list(tmp_path.glob("study/**/*.json*"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("real: the picture", "seen: the picture", "import.conditions lacks 'real'"),
        ("text_alone: text", "text_alone: txt", "no condition named 'txt', did you mean 'text'"),
        ("name: made\n", "name: made\nanswer: x\n", "no setting import.answer, did you mean"),
        ('"{arm}ENDING"', '"{run}ENDING"', "names {run}, which `over` does not have"),
        ("sampled: sample}", "sampled: smaple}", "smaple.jsonl is missing"),
        ("name: made_set", "name: ../other", "import.benchmark.name is '../other'"),
        ("model: somebody", "model: a/b", "greedy.jsonl, row 1: model is 'a/b'"),
        ("name: made\n", "name: other\n", "says name: other; write name: made in it"),
        ("repeats: {text:", "repeats: {txt:", "rows cannot repeat 'txt' of a question"),
        ("uid: \"made/{id}\"\n      text", "images: [{from: id}]\n      uid: \"{id}\"\n      text",
         "saved answers need no picture"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_told_in_one_sentence(
    old: str, new: str, said: str, run: Run, tmp_path: Path
) -> None:
    assert MAPPING.count(old) == 1
    mapping = MAPPING.replace(old, new)
    code, _, errors = run("import=made", made(tmp_path, mapping=mapping), command=COMMAND)
    assert code == 2
    assert said in last_sentence(errors)


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08torn", b'{"id": 1'])
def test_a_torn_file_is_told_in_one_sentence(content: bytes, run: Run, tmp_path: Path) -> None:
    definitions = made(tmp_path, ".jsonl.gz")
    (tmp_path / "saved/greedy.jsonl.gz").write_bytes(content)
    code, _, errors = run("import=made", definitions, command=COMMAND)
    assert code == 2
    assert "greedy.jsonl.gz cannot be read" in last_sentence(errors)

"""Studies in which much is missing: clear sentences, and no number that is none anywhere."""

from __future__ import annotations

import errno
import html
import re
from pathlib import Path

import pytest

from solvent.core.files import DiskError
from solvent.reports.compared.frames import Comparison
from solvent.studies.comparison import publishing
from tests.comparison_of import comparison_of
from tools.synthetic_study import Study

NO_NUMBER = re.compile(r"\b(?:nan|NaN|NaT|inf|null)\b|<NA>|\bNone\b(?! [a-z])")
SCRIPTS = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)
TAGS = re.compile(r"<[^>]+>")


def study(output: Path, cells: int, samples: int, per_image: int, **more: int) -> Path:
    folder = output / "study"
    Study(
        folder=folder, cells=cells, samples=samples, models=more.get("models", 1),
        benchmarks=more.get("benchmarks", 1), per_image=per_image,
    ).write()  # fmt: skip
    return folder


def compared(output: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Comparison, str]:
    """The comparison, and all that a person sees of it."""
    capsys.readouterr()
    found = comparison_of(output)
    folder = output / "study/comparison"
    page = (folder / "index.html").read_text(encoding="utf-8")
    texts = [capsys.readouterr().out, html.unescape(TAGS.sub(" ", SCRIPTS.sub(" ", page)))]
    texts += [(folder / f"arms.{kind}").read_text() for kind in ("md", "tex", "csv")]
    for text in texts:
        wrong = [
            text[max(0, hit.start() - 60) : hit.end() + 20] for hit in NO_NUMBER.finditer(text)
        ]
        assert wrong == []
    return found, "\n".join(texts)


def only(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"*/*/{name}-*"))


def test_one_cluster_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All questions are about one image."""
    study(tmp_path, cells=6, samples=40, per_image=40)
    found, said = compared(tmp_path, capsys)
    arms = found.arms[found.arms["role"] != "control"]
    assert arms["difference_low"].isna().all()
    assert set(arms["verdict"]) == {"NOT SHOWN"}
    assert "1 independent image has a say, and a verdict needs 20" in said


def test_nothing_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Zero variance: an interval that is no point, and no division by it."""
    folder = study(tmp_path, cells=3, samples=40, per_image=1)
    (learned,) = only(folder, "learned")
    for other in only(folder, "*"):
        (other / "predictions.jsonl").write_bytes((learned / "predictions.jsonl").read_bytes())
        (other / "DONE").write_text('{"tracking": []}')
    found, _ = compared(tmp_path, capsys)
    arms = found.arms[found.arms["role"] != "control"]
    assert (arms["difference_value"] == 0).all()
    assert (arms["difference_low"] < 0).all()
    assert (arms["p"] == 1).all()


def test_no_baseline_of_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study(tmp_path, cells=8, samples=40, per_image=1, models=2)
    second = [place for place in only(folder, "learned") if "model_1" in str(place)]
    second[0].rename(tmp_path / "aside")
    found, said = compared(tmp_path, capsys)
    unpaired = found.arms[found.arms["model"] == "model_1"]
    assert unpaired["control"].isna().all()
    assert "control" not in set(unpaired["role"])
    assert len(unpaired) == 3
    assert "not paired, because this model has no learned on this benchmark" in said
    assert found.arms["verdict"].notna().sum() == 3  # of the other model


def test_half_finished_runs_and_missing_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that is not done is not there; an arm has the seeds that it has."""
    folder = study(tmp_path, cells=24, samples=40, per_image=1)
    gaussian = only(folder, "gaussian")
    assert len(gaussian) == 12  # three seeds in four windows
    metrics = [(place / "metrics.json").read_text() for place in gaussian]
    early = [
        place
        for place, text in zip(gaussian, metrics, strict=True)
        if '"layers": "early"' in text and '"seed": 0' not in text
    ]
    for place in early:
        (place / "DONE").unlink()
    found, _ = compared(tmp_path, capsys)
    seeds = found.arms.set_index("name")["seeds"]
    assert seeds["gaussian, layers early"] == 1
    assert seeds["gaussian, layers late"] == 3
    assert found.arms.set_index("name")["seed_sd"].notna().sum() >= 2


def test_other_questions_do_not_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study(tmp_path, cells=3, samples=40, per_image=1)
    (knockout,) = only(folder, "knockout")
    lines = (knockout / "predictions.jsonl").read_text().splitlines(keepends=True)
    (knockout / "predictions.jsonl").write_text("".join(lines[:-1]))
    text = (knockout / "metrics.json").read_text().replace('"rows": 40', '"rows": 39')
    (knockout / "metrics.json").write_text(text)
    (knockout / "DONE").write_text('{"tracking": []}')
    found, said = compared(tmp_path, capsys)
    assert "because it answered other questions than learned (39 and 40)" in said
    assert found.arms.set_index("name")["control"].isna()["knockout"]


def test_a_part_of_the_questions_has_no_score_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A score of the control's questions that a condition leaves out would be no fair one."""
    folder = study(tmp_path, cells=2, samples=40, per_image=1)
    (learned,), (knockout,) = only(folder, "learned"), only(folder, "knockout")
    lines = (knockout / "predictions.jsonl").read_text().splitlines(keepends=True)
    (learned / "diagnostics/swap").mkdir(parents=True)
    (learned / "diagnostics/swap/predictions.jsonl").write_text("".join(lines[:25]))
    found, _ = compared(tmp_path, capsys)
    swapped = found.arms.set_index("name").loc["learned, shown swap"]
    assert (swapped["n"], swapped["difference_value"] < 0) == (25, True)
    assert found.arms["score_difference_value"].isna().all()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("primary=[unifrom]", "no arm of the study 'study' is, did you mean 'uniform'?"),
        ("primary=[real]", "no arm of the study 'study' is"),
        ("primary=[uniform,knockout]", "'knockout', which is a positive control"),
        (
            "positive_controls=[swap,knokout]",
            "'knokout', which is no intervention and no condition, did you mean 'knockout'?",
        ),
    ],
)
def test_a_name_that_registers_nothing_is_an_error(tmp_path: Path, setting: str, said: str) -> None:
    study(tmp_path, cells=9, samples=40, per_image=1)
    with pytest.raises(ValueError, match=re.escape(said)):
        comparison_of(tmp_path, "study", "learned", setting)


def test_a_known_harm_that_was_not_run_is_no_error(tmp_path: Path) -> None:
    study(tmp_path, cells=9, samples=40, per_image=1)
    found = comparison_of(tmp_path, "study", "learned", "positive_controls=[swap_2,donor]")
    assert not found.assay["shown"].any()


def test_nothing_of_an_earlier_comparison_stays(tmp_path: Path) -> None:
    """Numbers of other settings beside those of this one would be taken for its own."""
    folder = study(tmp_path, cells=3, samples=40, per_image=1) / "comparison"
    comparison_of(tmp_path, "study", "learned", "tracking=jsonl")
    earlier = {path.name for path in folder.iterdir()}
    assert "tracking.jsonl" in earlier
    comparison_of(tmp_path, "study", "learned", "tracking=none")
    assert {path.name for path in folder.iterdir()} == earlier - {"tracking.jsonl"}


def test_what_answered_nothing_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = study(tmp_path, cells=4, samples=40, per_image=1)
    (learned,) = only(folder, "learned")
    (learned / "diagnostics/swap").mkdir(parents=True)
    (learned / "diagnostics/swap/predictions.jsonl").touch()
    found, _ = compared(tmp_path, capsys)
    assert set(found.arms["condition"]) == {"real"}
    (knockout,) = only(folder, "knockout")
    (knockout / "predictions.jsonl").write_text("")
    text = (knockout / "metrics.json").read_text().replace('"rows": 40', '"rows": 0')
    (knockout / "metrics.json").write_text(text)
    (knockout / "DONE").write_text('{"tracking": []}')
    with pytest.raises(ValueError, match=r"1 of 4 cells are damaged .* answered no question"):
        comparison_of(tmp_path)


def test_only_controls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path, cells=1, samples=40, per_image=1)
    found, _ = compared(tmp_path, capsys)
    assert found.arms["role"].tolist() == ["control"]


@pytest.mark.parametrize("part", ["write_page", "show_gains"])
def test_a_full_disk_is_told(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path, cells=2, samples=10, per_image=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publishing, part, full)
    with pytest.raises(DiskError, match=r"no space is left for .*comparison: .* make room"):
        comparison_of(tmp_path)


def test_an_earlier_comparison_is_there_until_another_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(tmp_path, cells=2, samples=10, per_image=1)
    comparison_of(tmp_path)
    before = {path: path.read_bytes() for path in (folder / "comparison").iterdir()}

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing.terminal, "show", stopped)
    with pytest.raises(KeyboardInterrupt):
        comparison_of(tmp_path)
    assert {path: path.read_bytes() for path in (folder / "comparison").iterdir()} == before

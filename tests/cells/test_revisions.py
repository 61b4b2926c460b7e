"""A study takes one commit of what moves on the hub, and cells of different commits do not pair."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from omegaconf import DictConfig

from solvent.cells.request import parse
from solvent.cells.revisions import commit_of, is_pinned, pinned
from tests.conftest import ROOT

Composed = Callable[..., DictConfig]
ONE, OTHER = "a" * 40, "b" * 40
HUB = ("benchmark=chartqa", "model=qwen2_5_vl_3b", "model.revision=main")


class Moving:
    """A hub whose `main` is another commit whenever somebody asks."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, kind: str, name: str, revision: str) -> str:
        self.asked.append((kind, name, revision))
        return f"{len(self.asked):040x}"


def test_the_first_run_of_a_study_decides(composed: Composed, tmp_path: Path) -> None:
    hub = Moving()
    first = pinned(parse(composed(*HUB)), hub)
    assert hub.asked == [
        ("model", "Qwen/Qwen2.5-VL-3B-Instruct", "main"),
        ("dataset", "lmms-lab-encoder/ChartQA", "main"),
    ]
    assert (first.model["revision"], first.benchmark["source"]["revision"]) == (
        f"{1:040x}",
        f"{2:040x}",
    )
    again = pinned(parse(composed(*HUB, "intervention=uniform")), hub)
    assert (again.model["revision"], again.benchmark["source"]["revision"]) == (
        f"{1:040x}",
        f"{2:040x}",
    )
    assert len(hub.asked) == 2
    other = pinned(parse(composed(*HUB, "study=later")), hub)
    assert other.model["revision"] == f"{3:040x}"
    tag = pinned(parse(composed(*HUB, "model.revision=v1/2")), hub)
    assert tag.model["revision"] == f"{5:040x}"
    said = json.loads(
        (tmp_path / "study/revisions/dataset-lmms-lab-encoder--ChartQA@main.json").read_text()
    )
    assert said == {
        "name": "lmms-lab-encoder/ChartQA", "revision": "main", "commit": f"{2:040x}",
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "[]", "{}", '"x"', '{"commit": "main"}', "null"])
def test_a_damaged_pin_is_named(composed: Composed, tmp_path: Path, content: str) -> None:
    hub = Moving()
    pinned(parse(composed(*HUB, "model.revision=feat--x")), hub)
    other = pinned(parse(composed(*HUB, "model.revision=feat/x")), hub)  # another branch
    assert other.model["revision"] == f"{3:040x}"
    (place,) = tmp_path.rglob("model-*@feat--x.json")
    place.write_text(content)
    with pytest.raises(ValueError, match=r"model-Qwen--Qwen2.5-VL-3B-Instruct@feat--x.json "):
        pinned(parse(composed(*HUB, "model.revision=feat--x")), hub)


def test_of_many_first_runs_one_decides(composed: Composed) -> None:
    hub = Moving()
    requests = [parse(composed(*HUB)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda request: pinned(request, hub), requests))
    assert len({request.model["revision"] for request in found}) == 1


def test_commits_folders_and_local_copies_ask_nobody(composed: Composed, tmp_path: Path) -> None:
    def refuse(*_: str) -> str:
        pytest.fail("asked the hub")

    for overrides in (
        [],
        ["model=llava_1_5_7b", "benchmark=pope"],
        ["benchmark=chartqa", f"benchmark.source.local={tmp_path}"],
        ["benchmark=nlvr"],
        [f"model.checkpoint={tmp_path}"],
    ):
        request = parse(composed(*overrides))
        assert pinned(request, refuse) == request
    assert not (tmp_path / "study").exists()
    assert is_pinned(composed("benchmark=pope").benchmark.source)
    assert not is_pinned(composed("benchmark=chartqa").benchmark.source)
    assert not is_pinned(composed("benchmark=shapes").benchmark.source)


def test_shipped_models_are_pinned_and_most_sets(composed: Composed) -> None:
    """Models where somebody was seen to name a commit; of the others, a run writes it down."""
    texts = [path.read_text("utf-8") for path in (ROOT / "conf/model").glob("*.yaml")]
    pinned_to = [text for text in texts if re.search(r"^revision: [0-9a-f]{40}$", text, re.M)]
    assert len(pinned_to) >= 48
    sets = {path.stem for path in (ROOT / "conf/benchmark").glob("*.yaml")}
    known = {name for name in sets if is_pinned(composed(f"benchmark={name}").benchmark.source)}
    assert known >= {"pope", "mmstar", "mathvista", "mmmu", "cvbench", "blink", "mme"}


def raising(error: Exception) -> Callable[..., None]:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


def of_hub(kind: type[Exception]) -> Exception:
    import httpx

    request = httpx.Request("GET", "https://huggingface.co")
    return kind("said the hub", response=httpx.Response(403, request=request))


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (of_hub(GatedRepoError), PermissionError, "is gated and no token opens it: accept its ter"),
        (of_hub(RevisionNotFoundError), ValueError, "has no revision 'v2': set model.revision"),
        (of_hub(RepositoryNotFoundError), ValueError, "the hub has no model 'a/b', or it is priva"),
        (ConnectionError("no route"), FileNotFoundError, "is not on this machine at revision 'v2'"),
        (TimeoutError(), FileNotFoundError, "set model.revision to a commit"),
    ],
)
def test_what_the_hub_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: type, sentence: str
) -> None:
    monkeypatch.setattr(HfApi, "repo_info", raising(error))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(kind, match=sentence):
        commit_of("model", "a/b", "v2")


def test_without_network_what_is_kept_says_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(HfApi, "repo_info", raising(ConnectionError("no route")))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")
    (tmp_path / "models--a--b/refs").mkdir(parents=True)
    (tmp_path / "models--a--b/refs/main").write_text(ONE)
    assert commit_of("model", "a/b", "main") == ONE
    table = tmp_path / "tables/lmms-lab-encoder___chart_qa/default/0.0.0"
    (table / ONE).mkdir(parents=True)
    assert commit_of("dataset", "lmms-lab-encoder/ChartQA", "main") == ONE
    (table / OTHER).mkdir()  # which of them `main` was, nobody knows
    with pytest.raises(FileNotFoundError, match="the data set 'lmms-lab-encoder/ChartQA' is not"):
        commit_of("dataset", "lmms-lab-encoder/ChartQA", "main")


MOVES = """
import sys
from pathlib import Path
from hydra import compose, initialize_config_dir
from solvent.cells.loading import _model
from tests.comparison_of import comparison_of
from solvent.cells.run import run_cell

kept, output, conf = map(Path, sys.argv[1:])
main = kept / "models--owner--tiny/refs/main"

def score(*overrides):
    with initialize_config_dir(str(conf), version_base="1.3"):
        config = compose("evaluate", ["model.checkpoint=owner/tiny", "limit=18",
                                      f"output={output}", *overrides])
    _model.cache_clear()  # as another process
    return run_cell(config, brief=True)["score"]["value"]

main.write_text("a" * 40)
first = score("study=one")
main.write_text("b" * 40)  # upstream moves
same = score("study=one", "intervention=uniform", "intervention.layers=[0]")
moved = score("study=two")
told = score("study=one", "intervention=uniform", "model.revision=" + "b" * 40)
print("SCORES", first, same, moved)
frame = comparison_of(output, "one").cells
print(frame[["intervention", "difference_value"]].to_string())
"""


def test_two_commits_are_never_one_comparison(tmp_path: Path) -> None:
    """A hub model whose `main` moves between two cells: one study sees one commit of it."""
    kept = tmp_path / "hub/models--owner--tiny"
    (kept / "refs").mkdir(parents=True)
    for commit, weights in ((ONE, "tiny"), (OTHER, "tiny_blind")):
        shutil.copytree(
            ROOT / "solvent/models/checkpoints" / weights,
            kept / "snapshots" / commit,
            ignore=shutil.ignore_patterns("*.py", "__pycache__"),
        )
    done = subprocess.run(
        [sys.executable, "-c", MOVES, str(tmp_path / "hub"), str(tmp_path), str(ROOT / "conf")],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = next(line for line in done.stdout.splitlines() if line.startswith("SCORES"))
    first, same, moved = map(float, scores.split()[1:])
    assert first > 0.9
    assert same > 0.8  # of the commit that sees
    assert moved < 0.7  # of the blind one, which only another study reads
    remark = " ".join(done.stdout.split())
    assert "uniform not paired, because it differs from learned in model.revision" in remark
    rows = done.stdout.splitlines()[-3:]
    assert sum("NaN" in row for row in rows) == 2  # the baseline, and the one of another commit

"""The view of a study: what its definition shows, and that it is saved where its run is online."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from solvent.reports.compared.frames import Comparison
from solvent.tracking.saved_view import show_study
from tests.cells.followed import weights_and_biases
from tests.reports.compared.made_up import made_up
from tests.tracking.compared import told

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb_workspaces"),
]


@pytest.fixture
def _installed() -> None:
    pytest.importorskip("wandb_workspaces", reason="the extra `workspace` is not installed")


def show(folder: Path, entity: str | None = None, comparison: Comparison | None = None) -> None:
    comparison = comparison or made_up()
    show_study(
        weights_and_biases(folder, entity="team"),
        study=comparison.study,
        folder=folder,
        arms=comparison.arms,
        figures=[folder / "figures/forest.png", folder / "figures/dose.png"],
        entity=entity,
    )


def definition(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "workspace.json").read_text())


@pytest.mark.usefixtures("_installed")
def test_an_offline_study_leaves_the_definition_of_its_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert told(weights_and_biases(tmp_path, study_arms=20), tmp_path / "comparison")
    assert "workspace.json defines the view of the study. Log in (`wandb login`)" in caplog.text
    stored = definition(tmp_path / "comparison")
    assert stored["url"] is None
    section = stored["view"]["spec"]["section"]
    (runs,) = section["runSets"]
    filtered = {each["key"]["name"]: each["value"] for each in runs["filters"]["filters"]}
    assert filtered == {"group": "made_up", "state": "finished"}
    grouped = [key["name"] for key in runs["grouping"]]  # not by prompt, which is one
    assert grouped[:2] == ["labels.value.benchmark", "labels.value.model"]
    assert "labels.value.prompt" not in grouped
    shown = {each["name"]: each for each in section["panelBankConfig"]["sections"]}
    assert all(each["isOpen"] for each in shown.values())
    forest, bars = shown["Differences from the control, with 95 % intervals"]["panels"]
    assert forest["config"]["mediaKeys"] == ["figure/forest"]
    primaries = made_up().arms.query("role == 'primary'")["key"]
    assert bars["config"]["metrics"][:4] == [f"arm/{key}/difference" for key in primaries]
    (score,) = shown["Scores"]["panels"]
    assert score["config"]["metrics"] == ["score/value"]
    assert shown["The whole page"]["panels"][0]["config"]["mediaKeys"] == ["page"]
    assert '"comparison/arms"' in json.dumps(shown["All arms"])
    before = (tmp_path / "comparison/workspace.json").read_bytes()
    assert told(weights_and_biases(tmp_path, study_arms=20), tmp_path / "comparison")
    assert (tmp_path / "comparison/workspace.json").read_bytes() == before


@pytest.mark.usefixtures("_installed")
def test_a_study_may_be_called_whatever_a_folder_may(tmp_path: Path) -> None:
    show(tmp_path, comparison=dataclasses.replace(made_up(), study='it\'s a=1 <"b">'))
    (runs,) = definition(tmp_path)["view"]["spec"]["section"]["runSets"]
    assert runs["filters"]["filters"][0]["value"] == 'it\'s a=1 <"b">'


@pytest.mark.usefixtures("_installed")
def test_online_it_is_saved_once_and_changed_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wandb_workspaces.workspaces import interface, internal

    saved: list[Any] = []

    def upsert(view: Any) -> dict[str, Any]:
        saved.append(view.model_copy())
        return {"upsertView": {"view": {"name": view.name, "id": view.id or "VIEW1"}}}

    def stored(entity: str, project: str, name: str) -> Any:
        return saved[-1].model_copy(update={"id": "VIEW1"})

    monkeypatch.setattr(internal, "upsert_view2", upsert)
    monkeypatch.setattr(internal.View, "from_name", stored)
    monkeypatch.setattr(interface, "get_app_url", lambda api: "https://wandb.example")
    monkeypatch.setattr("wandb.Api", SimpleNamespace)
    show(tmp_path, entity="somebody")
    url = definition(tmp_path)["url"]
    assert url.startswith("https://wandb.example/somebody/solvent?nw=")
    assert f"the view of the study is {url}" in caplog.text
    show(tmp_path, entity="somebody")
    first, second = saved
    assert (first.id, second.id) == ("", "VIEW1")
    assert first.name == second.name
    assert definition(tmp_path)["url"] == url


def test_what_goes_wrong_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    show(tmp_path)
    (message,) = caplog.messages
    assert "pip install 'solvent[workspace]'" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_installed")
def test_a_service_that_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wandb_workspaces.workspaces import internal

    def refuse(view: Any) -> None:
        raise RuntimeError("the key sk-abcdefghijklmnopqrstuvwxyz was refused")

    monkeypatch.setattr(internal, "upsert_view2", refuse)
    show(tmp_path, entity="somebody")
    (message,) = caplog.messages
    assert "W&B failed to make the view of the study" in message
    assert "the key [redacted] was refused" in message

"""`solvent VERB`: every verb leads to its command, and a wrong one is answered with the nearest."""

from __future__ import annotations

import importlib
import sys

import pytest

from solvent import __main__ as solvent
from tests.conftest import ROOT


def test_every_command_is_a_verb() -> None:
    files = {path.stem for path in (ROOT / "solvent/commands").glob("*.py")}
    assert files - {"__init__", "commandline"} == set(solvent.VERBS)


@pytest.mark.parametrize("verb", solvent.VERBS)
def test_a_verb_hands_over_what_follows_it(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"solvent.commands.{verb}")
    seen: list[list[str]] = []
    monkeypatch.setattr(module.command, "run", lambda main: seen.append([*sys.argv]))
    monkeypatch.setattr(sys, "argv", ["solvent", verb, "a", "b=1"])
    solvent.main()
    assert seen == [[f"solvent {verb}", "a", "b=1"]]


@pytest.mark.parametrize("given", [[], ["--help"]])
def test_the_verbs_are_listed(
    given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["solvent", *given])
    solvent.main()
    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in solvent.VERBS)


def test_an_unknown_verb_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["solvent", "statsu"])
    with pytest.raises(SystemExit) as ended:
        solvent.main()
    assert ended.value.code == 2
    assert "no command 'statsu', did you mean 'status'?" in capsys.readouterr().err

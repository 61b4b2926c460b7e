"""What editors know of `interventions` is what it has."""

from __future__ import annotations

import ast

from interventions import available, load
from tools.stub import FILE, stub


def test_the_file_is_what_would_be_written() -> None:
    assert FILE.read_text(encoding="utf-8") == stub(), "run `python -m tools.stub` and commit it"


def test_every_intervention_and_every_field_is_a_name() -> None:
    tree = ast.parse(stub())
    variables = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert variables == {*available(), "__version__"}
    (kind,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    (call,) = (node for node in kind.body if isinstance(node, ast.FunctionDef))
    fields = [each.arg for each in call.args.kwonlyargs]
    assert load("uniform", **{name: getattr(load("uniform"), name) for name in fields})
    assert {"layers", "heads", "pattern", "mass", "seed"} <= set(fields)

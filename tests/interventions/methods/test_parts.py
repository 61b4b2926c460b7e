"""Fields that cannot be are refused where they are given, with what was expected and how to."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interventions import Intervention, load
from interventions.methods.heads import Every, MeanScore, Table, Top
from interventions.methods.masses import Keep, Mass, Shift, Transfer
from interventions.methods.patterns import AsLogits, Uniform
from interventions.methods.probes import Sinks
from interventions.methods.scaling import MatchMean

LAYERS = 'write layers="middle", layers="2-5" or layers=[0, 3]'
HEADS = 'write heads="all", heads=[0, 3] or a rule of interventions.methods.heads'


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mass", {"factor": 2}, "methods.masses.Shift(factor=2)"),
        ("mass", "keep", "got 'keep'; write mass=interventions.methods.masses.Keep()"),
        ("mass", Keep, "got the class Keep; write mass=interventions.methods.masses.Keep()"),
        ("mass", 2.0, "must be a Mass, got 2.0; known are Acausal, Constant, Drop, Fitted"),
        ("mass", {"_target_": "interventions.methods.masses.Shfit"}, "did you mean 'Shift'"),
        ("mass", {"_target_": "os.system", "command": "false"}, "'os.system' is no part of an"),
        ("mass.factor", "2", "factor of Shift must be a number, got '2'"),
        ("mass.fcator", 2.0, "no field 'mass.fcator'; did you mean 'mass.factor'"),
        ("mass_factor", 2.0, "no field 'mass_factor'; did you mean 'mass.factor'"),
        ("factor", 2.0, "no field 'factor'; did you mean 'mass.factor'"),
        ("layers.first", 1, "no field 'layers.first'; did you mean 'layers'"),
        ("pattern", "gaussian", "methods.patterns.Gaussian()"),
        ("pattern", {"alpha": 1}, "methods.patterns.Dirichlet(alpha=1)"),
        ("pattern", load("gaussian"), "must be a Pattern, got an Intervention; known are"),
        ("pattern", torch.ones(99), "must be a Pattern, got a Tensor; known are"),
        ("probe", "sinks", "methods.probes.Sinks(dimensions=..., threshold=...)"),
        ("calibration", MatchMean, "write calibration=interventions.methods.scaling.MatchMean()"),
        ("layers", 0.5, f"a string, a whole number or a list of whole numbers, got 0.5; {LAYERS}"),
        ("layers", ["early"], f"got ['early']; {LAYERS}"),
        ("layers", {"first": 1}, f"got {{'first': 1}}; {LAYERS}"),
        ("layers", None, f"got None; {LAYERS}"),
        ("layers", True, f"got True; {LAYERS}"),
        ("layers", [0.0], f"got [0.0]; {LAYERS}"),
        ("layers", np.array(0.5), f"got array(0.5); {LAYERS}"),
        ("heads", 0.5, f"a list of whole numbers or a HeadRule, got 0.5; {HEADS}"),
        ("heads", {16: [29]}, f"got {{16: [29]}}; {HEADS}"),
        ("heads", ["all"], f"got ['all']; {HEADS}"),
        ("heads", Top, "methods.heads.Top(score=..., share=..., others=...)"),
        ("rows", "last", "got 'last'; write rows=['last']"),
        ("rows", [0.5], 'got [0.5]; write rows=["last"]'),
        ("rows", [["last"]], "got [['last']]; write rows=[\"last\"]"),
        ("keys", "image", "got 'image'; write keys=['image']"),
        ("mix", "0.5", "mix of Intervention must be a number, got '0.5'"),
        ("value_gain", None, "value_gain of Intervention must be a number, got None"),
        ("phase", ["decode"], "must be a string, got ['decode']; write phase=\"both\""),
        ("seed", 1.5, "seed of Intervention must be a whole number, got 1.5"),
        ("seed", None, "seed of Intervention must be a whole number, got None"),
    ],
)  # fmt: skip
def test_settings(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load("reweight", **{field: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(2.0), "methods.masses.Shift(factor=...)"),
        (lambda: Shift(), "lacks factor; write interventions.methods.masses.Shift(factor=...)"),
        (lambda: Shift(fcator=2.0), "Shift has no field 'fcator'; did you mean 'factor'"),
        (lambda: Keep(factor=2.0), "Keep has no field 'factor'; it has none"),
        (lambda: Mass(), "Mass is what several parts have in common; known are Acausal, Constant"),
        (lambda: Transfer(fraction=0.5, to="image"), "got 'image'; write to=['image']"),
        (lambda: Top(score="share", share=0.5, others=False),
         "methods.heads.Share(keys=...)"),
        (lambda: Top(score=None, share=0.5, others=False), "got None; known are BlockShare, Mean"),
        (lambda: MeanScore(groups=["image"], negative=False), "must be a list of lists of strings"),
        (lambda: Every(rules=[Table(file=None)]), "a mapping of strings to HeadRule objects"),
        (lambda: Table(file=Path("a.json")), "must be a string or None, got "),
        (lambda: Table(file=Path("a.json")), "; write file='a.json'"),
        (lambda: Sinks(dimensions=3, threshold=1.0), "got 3; write dimensions=[3]"),
        (lambda: AsLogits(of=Uniform), "methods.patterns.Uniform()"),
        (lambda: load("vaf", **{"pattern.factors": [2.0]}), "mapping of strings to numbers, got"),
        (lambda: Intervention("uniform"), "by name, got 'uniform'; write load(\"uniform\", lay"),
        (lambda: Intervention(name="mine", layers="all"), "lacks heads, rows, keys, probe"),
        (lambda: replace(load("uniform"), layer=3), "has no field 'layer'; did you mean 'layers'"),
        (lambda: replace(load("uniform"), mass={"factor": 2}), "methods.masses.S"),
    ],
)  # fmt: skip
def test_parts(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_numbers_and_lists_of_all_kinds_are_taken() -> None:
    for layers in (1, np.int64(1), [np.int64(1)], np.array([1]), range(1, 2), {1}, (1,)):
        made = load("uniform", layers=layers)
        assert made == load("uniform", layers=[1])
        assert "layers=(1,)" in repr(made)
    assert load("uniform", mix=np.float32(0.5), seed=np.int64(3)).mix == 0.5
    assert load("uniform", mix=1, **{"layers": "2-"}).mix == 1


class Anything:
    """Not a part."""


def test_parts_of_others_are_checked_as_far_as_their_fields_are_understood() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Sharp(Uniform):
        by: float = 2.0
        anything: Anything | None = None

    class Inherits(Sharp):
        """Has the constructor of its parent."""

    @dataclass(frozen=True, kw_only=True)
    class Unknown(Uniform):
        by: Undefined  # noqa: F821 - as what only a type checker imports

    assert Sharp(anything=Anything()).by == 2.0
    assert Inherits(by=3.0).by == 3.0
    assert Unknown(by=3.0).by == 3.0
    with pytest.raises(ValueError, match="by of Sharp must be a number, got '3'"):
        Sharp(by="3")
    with pytest.raises(TypeError, match="abstract"):  # of Python, which says which method
        type("Unfinished", (Mass,), {})()


def test_copies_and_pickles_are_as_they_were() -> None:
    for part in (load("sap_llava"), load("vaf"), Shift(factor=2.0)):
        assert copy.deepcopy(part) == pickle.loads(pickle.dumps(part)) == copy.copy(part) == part

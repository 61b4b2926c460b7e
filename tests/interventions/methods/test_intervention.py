"""Every file in conf/intervention is complete, and reads the same for Hydra and for `load`."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields, replace

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import interventions
from interventions import Intervention, available, load
from interventions.methods.definitions import definition
from interventions.methods.masses import Keep, Shift
from interventions.methods.patterns import Learned
from interventions.methods.shipped import CONFIGS

READS_A_FILE = ("fixed_file", "fixed_mean", "donor", "learned_prior", "caac_vtc")


def from_hydra(name: str, *overrides: str) -> Intervention:
    changes = [f"intervention={name}", *(f"intervention.{change}" for change in overrides)]
    with initialize_config_dir(str(CONFIGS.parent), version_base=None):
        config = compose("evaluate", overrides=changes)
        return instantiate(config.intervention, _convert_="all")


@pytest.mark.parametrize("name", available())
def test_files_are_complete_named_after_themselves_and_explained(name: str) -> None:
    text = (CONFIGS / f"{name}.yaml").read_text()
    assert definition(name).keys() - {"_target_"} == {field.name for field in fields(Intervention)}
    assert yaml.safe_load(text)["name"] == name
    assert text.startswith("# ")


def test_every_field_is_explained_where_it_first_stands() -> None:
    text = (CONFIGS / "learned.yaml").read_text()
    uncommented = [
        line
        for line in text.splitlines()
        if "#" not in line and not line.strip().startswith(("_target_", "name"))
    ]
    assert not uncommented


@pytest.mark.parametrize("name", available())
def test_hydra_and_load_agree(name: str) -> None:
    given = {"pattern.file": "x"} if name in READS_A_FILE else {}
    given |= {"mass.file": "x"} if name == "learned_prior" else {}
    overrides = [f"{field}={value}" for field, value in given.items()]
    assert from_hydra(name, *overrides) == load(name, **given)


def test_command_line_overrides() -> None:
    overridden = from_hydra("uniform", "layers=early", "rows=[last]", "seed=3", "heads=[0,2]")
    expected = load("uniform", layers="early", rows=["last"], seed=3, heads=(0, 2))
    assert overridden == expected
    assert from_hydra("uniform", "layers=2-5").layers == "2-5"
    assert from_hydra("reweight", "mass.factor=0.5").mass == Shift(factor=0.5)


def test_names_are_attributes_of_the_package() -> None:
    from interventions import uniform

    assert uniform(layers="middle") == load("uniform", layers="middle")
    assert set(available()) <= set(dir(interventions))
    with pytest.raises(AttributeError, match="no attribute 'unifrom'; did you mean 'uniform'"):
        interventions.unifrom  # noqa: B018
    assert not hasattr(interventions, "__path_hooks__")
    assert pickle.loads(pickle.dumps(uniform))(seed=3) == copy.copy(uniform)(seed=3)


def test_dots_reach_into_parts() -> None:
    assert load("dirichlet", **{"pattern.alpha": 0.1}).pattern.alpha == 0.1
    assert load("uniform", mass=Shift(factor=2.0)).mass.factor == 2.0


def test_repr_is_the_definition() -> None:
    modules = ("patterns", "masses", "heads", "probes", "scaling")
    parts: dict[str, object] = {}
    for module in modules:
        parts |= vars(getattr(interventions.methods, module))
    for name in available():
        intervention = load(name)
        assert eval(repr(intervention), {"Intervention": Intervention, **parts}) == intervention
        hash(intervention)


def test_the_untouched_control() -> None:
    identities = [name for name in available() if load(name).is_identity]
    assert identities == ["learned"]
    assert load("uniform", mix=0.0).is_identity
    assert not replace(load("learned"), mass=Shift(factor=2.0)).is_identity
    assert (load("learned").pattern, load("learned").mass) == (Learned(), Keep())


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("unifrom", {}, "did you mean 'uniform'"),
        ("uniform", {"layer": "all"}, "no field 'layer'; did you mean 'layers'"),
        ("uniform", {"layers": "erly"}, "did you mean 'early'"),
        ("uniform", {"heads": "some"}, "heads"),
        ("uniform", {"rows": ["lst"]}, "did you mean 'last'"),
        ("uniform", {"rows": "last"}, r"write rows=\['last'\]"),
        ("uniform", {"keys": []}, "list of roles"),
        ("uniform", {"keys": ["padding"]}, "keys must be one of"),
        ("uniform", {"phase": "prefil"}, "did you mean 'prefill'"),
        ("uniform", {"rows": ["last", -1]}, "positions from 0 on"),
        ("uniform", {"value_gain": -1.0}, "value_gain must be 0 or above"),
        ("spin", {"heads.share": 1.5}, r"share of top heads must be in \[0, 1\]"),
        ("sap_llava", {"heads.low": 0.7}, "0 <= low <= high <= 1"),
        ("var_sinks", {"mass.fraction": 0.0}, r"must lie in \(0, 1\]"),
        ("vaf", {"pattern.factors": {"picture": 2.0}}, "a scaled role must be one of"),
        ("uniform", {"mix": 1.5}, r"mix must be in \[0, 1\]"),
        ("uniform", {"mix_domain": "logit"}, "mix_domain must be one of score, weight"),
        ("gaussian", {"scope": "entries"}, "did you mean 'entry'"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(
    name: str, overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, **overrides)

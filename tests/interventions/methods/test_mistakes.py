"""What goes wrong is said in one sentence, in both executions and before a result exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from interventions import InterventionError, intervene, load
from tests.interventions.every_method import EDITS, opened
from tests.random_models import VOCABULARY, random_inputs, random_model

EXECUTIONS = ("fused", "reference")
LAST = VOCABULARY - 1  # an id that stands in one sample only


@torch.no_grad()
def not_a_number(model: PreTrainedModel) -> None:
    """In the state of one token of one sample, from the first layer on."""
    model.get_input_embeddings().weight[LAST] = float("nan")


@torch.no_grad()
def infinite(model: PreTrainedModel) -> None:
    """Products of queries and keys of the second layer overflow."""
    attention = model.get_decoder().layers[1].self_attn
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.mul_(1e30)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["learned", "uniform", "gaussian", "knockout", "uniform_row"])
def test_broken_scores_name_layer_and_sample(name: str, execution: str) -> None:
    inputs = random_inputs(random_model("llava"))
    inputs["input_ids"][1, -3] = LAST
    for spoil, message in (
        (not_a_number, r"decoder layer 0 are not finite for samples \['second'\]"),
        (infinite, r"decoder layer 1 are not finite for samples \['first', 'second'\]"),
    ):
        model = random_model("llava")
        spoil(model)
        with (
            pytest.raises(InterventionError, match=message),
            opened(model, name, inputs, execution=execution),
        ):
            model(**inputs)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("uniform", {"layers": [1, 3]}, r"has 3 layers, .* from 0 to 2, got \[3\]"),
        ("uniform", {"layers": "2-5"}, r"has 3 layers, .* got \[3, 4, 5\]"),
        ("uniform", {"heads": [4]}, r"has 4 heads, .* from 0 to 3, got \[4\]"),
        ("fastv_mask", {"layers": "all"}, "looks at layer 1, so only layers after it"),
        ("fastv_mask", {"layers": [1, 2]}, "looks at layer 1, so only layers after it"),
        ("var_sinks", {"probe.dimensions": [3, 32]}, r"32 hidden dimensions, .* found in \[32\]"),
        ("fixed_file", {"pattern.file": "nowhere.safetensors"}, "no file nowhere.safetensors"),
        ("fixed_file", {"pattern.file": "???"}, "reads a file; name it"),
        ("ad_hh", {"heads.rules.table.file": "nowhere.json"}, "nowhere.json should be a JSON file"),
        ("uniform", {"rows": ["generated"]}, "edited no attention in 1 forwards"),
        ("uniform", {"rows": [0]}, "edited no attention in 1 forwards"),
        ("sap_llava", {"heads.low": 0.1, "heads.high": 0.11}, "edited no attention"),
        ("var_sinks", {"probe.threshold": 1e6}, "edited no attention"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    llava: PreTrainedModel, name: str, changes: dict[str, Any], message: str
) -> None:
    inputs = random_inputs(llava)
    with (
        pytest.raises((InterventionError, ValueError), match=message),
        opened(llava, name, inputs, **changes),
    ):
        llava(**inputs)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"scale": torch.ones(1, 1, 1, 4)}, "holds scale, but 'pattern' is needed"),
        ({"pattern": torch.ones(1, 1, 1, 5)}, "holds 5 image tokens"),
        ({"pattern": torch.ones(1, 2, 1, 4)}, "2 layers, but .* 3 layers"),
        ({"pattern": torch.ones(1, 1, 3, 4)}, "3 heads .* 4 heads"),
        ({"pattern": torch.ones(4)}, "donor, layer, head, image token"),
        ({"pattern": -torch.ones(1, 1, 1, 4)}, "finite and not negative"),
        ({"pattern": torch.full((1, 1, 1, 4), torch.nan)}, "finite and not negative"),
    ],
)
def test_stored_tensors_must_fit(
    llava: PreTrainedModel, tmp_path: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    file = str(tmp_path / "given.safetensors")
    save_file(tensors, file)
    with (
        pytest.raises(InterventionError, match=message),
        intervene(llava, load("fixed_file", **{"pattern.file": file})),
    ):
        llava(**random_inputs(llava))


def test_a_fitted_mass_must_have_the_shape_of_the_model(
    llava: PreTrainedModel, tmp_path: Path
) -> None:
    file = str(tmp_path / "given.safetensors")
    save_file({"pattern": torch.ones(1, 3, 4, 4), "mass_logit": torch.zeros(2, 4)}, file)
    changes = {"pattern.file": file, "mass.file": file}
    with (
        pytest.raises(InterventionError, match=r"mass_logit.*\(layer, head\)"),
        intervene(llava, load("learned_prior", **changes)),
    ):
        llava(**random_inputs(llava))


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_a_mix_is_a_share(mix: float) -> None:
    with pytest.raises(ValueError, match=r"mix must be in \[0, 1\]"):
        load("uniform", mix=mix)


FINITE = [  # where no weight becomes zero, which is infinitely far away as a score
    name
    for name in EDITS
    if not load(name).leaks and name not in ("attnreal", "knockout", "fastv_mask", "fixed_sink")
]


@pytest.mark.parametrize("domain", ["score", "weight"])
@pytest.mark.parametrize("name", FINITE)
def test_a_mix_of_almost_nothing_is_almost_nothing(
    llava: PreTrainedModel, name: str, domain: str
) -> None:
    inputs = random_inputs(llava)
    plain = llava(**inputs).logits
    with opened(llava, name, inputs, mix=1e-6, mix_domain=domain):
        torch.testing.assert_close(llava(**inputs).logits, plain, atol=1e-3, rtol=0)

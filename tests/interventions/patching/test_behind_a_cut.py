"""A knockout before another intervention: both act."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from interventions import Intervention, intervene, load
from interventions.methods.cutting import behind, is_cut
from tests.interventions.generating import close
from tests.random_models import random_inputs

ROWS = ["question", "last", "generated"]
CUT = load("knockout", rows=ROWS, keys=["image"])
QUESTION = load("uniform", rows=["last", "generated"], keys=["question"])


def logits(model: PreTrainedModel, made: Intervention, execution: str = "fused") -> Tensor:
    with torch.no_grad(), intervene(model, made, execution) as log:
        inputs = random_inputs(model)
        found = model(**inputs).logits
    assert log.entries_edited
    return found[inputs["attention_mask"] > 0]  # padding is nobody's


def test_what_is_cut_and_what_is_edited_are_both_gone(model: PreTrainedModel) -> None:
    """Two knockouts in turn are one of all keys: what is left is shared out in proportion."""
    question = load("knockout", rows=["last"], keys=["question"])
    cut = load("knockout", rows=["last"], keys=["image"])
    one = load("knockout", rows=["last"], keys=["image", "question"])
    close(logits(model, behind(question, cut)), logits(model, one))


def test_an_edit_of_what_was_cut_does_nothing_and_another_does(model: PreTrainedModel) -> None:
    alone = logits(model, CUT)
    close(logits(model, behind(load("uniform", rows=ROWS), CUT)), alone)
    both = logits(model, behind(QUESTION, CUT))
    assert (both - alone).abs().max() > 1e-3
    assert (both - logits(model, QUESTION)).abs().max() > 1e-3
    close(both, logits(model, behind(QUESTION, CUT), "reference"))


def test_later_layers_alone(llava: PreTrainedModel) -> None:
    cut = load("knockout", rows=ROWS, keys=["image"], layers="1-")
    close(logits(llava, behind(load("uniform", rows=ROWS, layers="1-"), cut)), logits(llava, cut))
    assert (logits(llava, cut) - logits(llava, CUT)).abs().max() > 1e-4


def test_a_model_on_eager_gives_the_same(llava: PreTrainedModel) -> None:
    expected = logits(llava, behind(QUESTION, CUT))
    llava.set_attn_implementation("eager")
    try:
        close(logits(llava, behind(QUESTION, CUT)), expected)
    finally:
        llava.set_attn_implementation("sdpa")


def test_entries_of_both_are_counted(llava: PreTrainedModel) -> None:
    counts = []
    for made in (CUT, QUESTION, behind(QUESTION, CUT)):
        with torch.no_grad(), intervene(llava, made) as log:
            llava(**random_inputs(llava))
        counts.append(log.entries_edited)
    assert counts[2] == counts[0] + counts[1]


def test_what_goes_before_what() -> None:
    assert is_cut(CUT)
    assert behind(load("learned"), CUT) is CUT
    some = [load("knockout", heads=[0]), load("uniform"), load("knockout", mix=0.5)]
    assert not any(is_cut(each) for each in some)
    with pytest.raises(ValueError, match="Only a knockout of all heads can go before another"):
        behind(QUESTION, load("uniform"))

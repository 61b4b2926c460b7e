"""Random heads are as many as those of the choice that they are the control of."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from transformers import PreTrainedModel

from interventions import Intervention, intervene, load
from interventions.methods.heads import HeadRule, Share, Shuffled, Top
from tests.interventions.views import view_of
from tests.random_models import random_inputs

HEADS, ROWS, KEYS = 8, 5, 12
TOP = Top(score=Share(keys=["image"]), share=0.4, others=False)  # 3 of 8 in every row


def chosen(rule: HeadRule, layer: int = 0, batch: int = 2) -> torch.Tensor:
    """Heads of every row, (batch, row, head)."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(batch, HEADS, ROWS, KEYS, generator=generator)
    block, roles = torch.arange(KEYS) < 6, ["image"] * 6 + ["question"] * 6
    view = view_of(scores, torch.ones(1, dtype=torch.bool), block, roles, layer=layer)
    return rule.chosen(view).transpose(1, 2)


def test_every_head_of_every_layer_is_drawn_as_often_as_the_others() -> None:
    drawn = [chosen(Shuffled(of=[0, 5, 6], seed=4), layer) for layer in range(400)]
    assert all((each == each[0, 0]).all() for each in drawn)  # in all samples and rows
    first = torch.stack([each[0, 0] for each in drawn])
    assert (first.sum(dim=1) == 3).all()
    assert scipy.stats.chisquare(first.sum(dim=0).numpy()).pvalue > 0.001
    assert len(first.unique(dim=0)) > 45  # of 56
    assert torch.equal(chosen(Shuffled(of=[0, 5, 6], seed=4), 7, batch=3)[0], drawn[7][0])
    seeds = torch.stack([chosen(Shuffled(of=[0, 5, 6], seed=seed))[0, 0] for seed in range(20)])
    assert len(seeds.unique(dim=0)) > 10


def test_a_rule_that_looks_at_rows_keeps_its_count_in_each() -> None:
    """Heads have changed their places, in all rows alike."""
    plain, moved = chosen(TOP).flatten(0, 1), chosen(Shuffled(of=TOP, seed=0)).flatten(0, 1)
    assert (plain.sum(dim=1) == 3).all()
    assert (moved.sum(dim=1) == 3).all()
    assert not torch.equal(plain, moved)
    assert sorted(plain.T.tolist()) == sorted(moved.T.tolist())


def test_words_edit_as_much_as_a_list_of_as_many_heads(llava: PreTrainedModel) -> None:
    inputs, outputs = random_inputs(llava), {}
    for name, heads in {
        "list": [0, 1],
        "words": "random:2:3",
        "rule": Shuffled(of=[0, 1], seed=3),
    }.items():
        with intervene(llava, load("uniform", heads=heads)) as log, torch.no_grad():
            outputs[name] = llava(**inputs).logits
        outputs[f"{name} entries"] = log.entries_edited
    assert outputs["words entries"] == outputs["list entries"] > 0
    assert torch.equal(outputs["words"], outputs["rule"])
    assert not torch.equal(outputs["words"], outputs["list"])
    with (
        pytest.raises(ValueError, match=r"random:9:0 draws 9 heads, but a layer has 4"),
        intervene(llava, load("uniform", heads="random:9:0")),
    ):
        pass


@pytest.mark.parametrize("words", ["random:0:1", "random:2", "randm:2:0"])
def test_words_that_draw_nothing_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"heads, if no list, rule or .random:2:0."):
        load("uniform", heads=words)
    assert isinstance(load("uniform", heads="random:2:0"), Intervention)

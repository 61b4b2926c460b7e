"""What is easily done wrong in a notebook is answered with the line that works."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

import interventions
from interventions import (
    AttentionLog,
    Intervention,
    InterventionError,
    available,
    capture,
    intervene,
    load,
    shares,
)
from interventions.methods import masses
from interventions.methods.heads import Table
from interventions.methods.masses import Shift
from interventions.methods.patterns import Uniform
from tests.random_models import random_inputs

CALLED = 'write with intervene(model, load("uniform", layers="middle")) as log'
LOADED = 'write load("uniform", layers="middle")'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("uniform", "'uniform' came; write intervene(model, load('uniform'))"),
        ("conf/unifrom.yaml", "came; write intervene(model, load('uniform'))"),
        ("nothing like it", 'came; write intervene(model, load("uniform", layers="middle"))'),
        (
            interventions.gaussian,
            "the function gaussian that makes one came; write intervene(model, gaussian())",
        ),
        (Intervention, "the class Intervention came; write intervene(model, load("),
        (Uniform, 'class Uniform came; write intervene(model, load("uniform", pattern=Uniform()))'),
        (Uniform(), 'Uniform() came; write intervene(model, load("uniform", pattern=Uniform()))'),
        (Shift(factor=2.0), 'write intervene(model, load("uniform", mass=Shift(factor=2.0)))'),
        (Table(file=None), 'write intervene(model, load("uniform", heads=Table(file=None)))'),
        (masses, "the module interventions.methods.masses came; write intervene(model, load("),
        ({"pattern": "uniform"}, "{'pattern': 'uniform'} came; write intervene(model, load("),
        ([load("uniform")], "a list came; write intervene(model, load("),
        (None, "None came; write intervene(model, load("),
    ],
)
def test_what_is_not_an_intervention(llava: PreTrainedModel, given: Any, message: str) -> None:
    for context in (intervene(llava, given), shares(llava, given)):
        with pytest.raises(InterventionError, match=re.escape(message)), context:
            pass


class Tokenizer:
    """Holds no model."""


def test_what_is_not_a_model(llava: PreTrainedModel) -> None:
    for given, message in [
        ("llava-hf/llava-1.5-7b-hf", "'llava-hf/llava-1.5-7b-hf' came; load one, as with transf"),
        (None, "None came; load one"),
        (type(llava), "the class LlavaForConditionalGeneration came; load one"),
        (Tokenizer(), "a Tokenizer came; load one"),
        (SimpleNamespace(model=llava), "came; give it the .model that this holds"),
        (nn.DataParallel(llava), "a DataParallel came; patch the model inside it"),
    ]:
        for context in (
            intervene(given, load("uniform")),
            shares(given, load("uniform")),
            capture(given),
        ):
            with pytest.raises(InterventionError, match=re.escape(message)), context:
                pass
    with (
        pytest.raises(InterventionError, match="Expected the model first, but an intervention"),
        intervene(load("uniform"), llava),
    ):
        pass


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervene(), f"(missing a required argument: 'model'); {CALLED}"),
        (lambda: intervene(None), f"(missing a required argument: 'intervention'); {CALLED}"),
        (lambda: intervene(None, None, layers="all"), f"argument 'layers'); {CALLED}"),
        (lambda: shares(None), 'write with shares(model, load("uniform", layers="middle")) as'),
        (lambda: capture(), "write with capture(model, rows=1) as seen"),
        (lambda: load(), f"(missing a required argument: 'name'); {LOADED}"),
        (lambda: load("uniform", "middle"), f"(too many positional arguments); {LOADED}"),
        (lambda: interventions.uniform("middle"), f"(too many positional arguments); {LOADED}"),
        (lambda: load({"name": "uniform"}), "got {'name': 'uniform'}; write load(\"uniform\")"),
        (lambda: load(interventions.uniform), "the function uniform that makes one; write load("),
        (lambda: load("conf/intervention/unifrom.yaml"), "did you mean 'conf/intervention/uniform"),
        (lambda: available("all"), "(too many positional arguments); write available()"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_arguments_that_cannot_be(llava: PreTrainedModel) -> None:
    for context, message in [
        (intervene(llava, load("uniform"), "fast"), "one of fused, reference, got 'fast'"),
        (intervene(llava, load("uniform"), observe=3), "observe must be a function"),
        (capture(llava, "2"), "at least 1, got '2': it counts the last rows of the prompt"),
        (capture(llava, 1.5), "at least 1, got 1.5"),
        (capture(llava, load("uniform")), "at least 1, got an Intervention"),
    ]:
        with pytest.raises(ValueError, match=message), context:
            pass


def test_a_block_is_entered_once(llava: PreTrainedModel) -> None:
    inputs, block = random_inputs(llava), intervene(llava, load("uniform"))
    with block:
        llava(**inputs)
        with pytest.raises(InterventionError, match="call intervene again"), block:
            pass
    with pytest.raises(InterventionError, match=r"this intervene.* was entered before"), block:
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        block.__del__()


def test_a_block_that_is_never_entered_says_so(llava: PreTrainedModel) -> None:
    for block, name in [
        (intervene(llava, load("uniform")), "intervene"),
        (shares(llava, load("uniform")), "shares"),
        (capture(llava), "capture"),
    ]:
        line = re.escape(f"write `with {name}(...) as log:` and use log there")
        assert re.search(line, repr(block))
        with pytest.raises(AttributeError, match=line):
            block.visual_mass  # noqa: B018
        with pytest.warns(RuntimeWarning, match=rf"{name}\(...\) did nothing: .*{line}"):
            block.__del__()
        block._used = True  # said once is enough


def test_a_block_decorates_a_function_anew_for_every_call(llava: PreTrainedModel) -> None:
    inputs = random_inputs(llava)
    plain = llava(**inputs).logits

    @intervene(llava, load("uniform"))
    def edited() -> torch.Tensor:
        return llava(**inputs).logits

    assert torch.equal(edited(), edited())
    assert not torch.equal(edited(), plain)
    assert torch.equal(llava(**inputs).logits, plain)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("first",), "got 'first'; write log.expect([\"first\", \"second\"])"),
        (([1, 2],), "got [1, 2]; write log.expect("),
        ((5,), "got 5; write log.expect("),
        ((), "(missing a required argument: 'samples'); write log.expect("),
        ((["a", "b"], 5), "Expected 2 prompt_lengths, one per sample, got 5"),
        ((["a", "b"], [1.5, 2]), "must hold a whole number per sample, got [1.5, 2]"),
        ((["a", "b"], None, [1, 2]), "priors must hold a list per sample, got [1, 2]"),
    ],
)  # fmt: skip
def test_samples_are_named_by_a_list_of_names(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        AttentionLog(layers=1).expect(*given)

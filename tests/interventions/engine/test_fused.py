"""Both executions of every intervention file, on the same attention calls.

A forward runs under a third execution that carries out the two others and compares them, the fused
one also with its rows cut into the small chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, PreTrainedModel

from interventions import Intervention, InterventionError, intervene
from interventions.engine import fused
from interventions.engine.execution import Outcome, Sums, execute
from interventions.engine.view import Call, Rows
from interventions.methods.heads import HeadRule
from interventions.patching import patch
from tests.interventions.conftest import _model
from tests.interventions.decoder import Edit, Row, Tokens, tokens_of
from tests.interventions.every_method import EDITS, Inputs, opened, prepared, prompt_part
from tests.interventions.published import EVERY, UID, Values
from tests.random_models import CACHE, random_inputs

UIDS = ("first", "second")
ROWS_OF_A_CHUNK = 4  # forced; no prompt here would be cut otherwise
Heads = Sequence[int] | HeadRule | None


def compare(call: Call, rows: Rows, intervention: Intervention, heads: Heads) -> Outcome:
    """The reference, after it was found equal to the fused execution."""
    reference = execute(call, rows, intervention, heads)
    agree(fused.execute(call, rows, intervention, heads), reference)
    if len(rows.index) > 1:
        batch, count, _, _ = call.query.shape
        with pytest.MonkeyPatch.context() as patched:
            for name in ("CHUNK", "WIDE_CHUNK"):
                patched.setattr(fused, name, ROWS_OF_A_CHUNK * batch * count * call.key.shape[2])
            agree(fused.execute(call, rows, intervention, heads), reference)
    return reference


def agree(fast: Outcome, reference: Outcome) -> None:
    for name in Sums.__dataclass_fields__:
        value, expected = getattr(fast.sums, name), getattr(reference.sums, name)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    assert (fast.touched is None) == (reference.touched is None)
    if reference.touched is not None:
        rows = reference.index.tolist()
        places = [rows.index(row) for row in fast.index.tolist()]
        assert len(set(places)) == len(places)
        where = reference.touched.expand_as(reference.output[..., 0])
        left_out = torch.ones(len(rows), dtype=torch.bool).index_fill(0, torch.tensor(places), 0)
        assert not where[:, :, left_out].any()
        assert torch.equal(fast.touched.expand_as(where[:, :, places]), where[:, :, places])
        where, expected = where[:, :, places], reference.output[:, :, places]
        torch.testing.assert_close(fast.output[where], expected[where], atol=1e-5, rtol=1e-5)


@pytest.fixture(autouse=True)
def _compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(patch.EXECUTIONS, "compared", compare)


@cache
def gemma3() -> PreTrainedModel:
    """Sliding windows of five tokens in two layers of three; image tokens see each other."""
    text = {
        "vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "query_pre_attn_scalar": 8, "initializer_range": 0.25,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "image_size": 16,
        "num_attention_heads": 2, "patch_size": 8, "vision_use_head": False,
    }  # fmt: skip
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=6
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Gemma3ForConditionalGeneration(config).eval()


def gemma3_inputs() -> Inputs:
    """Two rows with one image each; the second is padded on the left."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(10, 320, (2, 9), generator=generator).tolist()
    rows = [[words[0], 7, *[6] * 4, 8, *words[1:]] for words in (text[0], text[1][:6])]
    pads = [[0] * (len(rows[0]) - len(row)) for row in rows]
    ids = torch.tensor([pad + row for pad, row in zip(pads, rows, strict=True)])
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "token_type_ids": (ids == 6).long(),
        "pixel_values": torch.randn(2, 3, 16, 16, generator=generator),
    }


def read_candidates(model: PreTrainedModel, inputs: Inputs) -> None:
    """The prompt, then several rows at once behind its cache, some of them padding."""
    ids = torch.tensor([[40, 41, 42], [50, 0, 0]])
    mask = torch.cat([inputs["attention_mask"], (ids != 0).long()], dim=1)
    cache = model(**inputs, use_cache=True)[CACHE]
    places = {}
    if model.config.model_type == "qwen2_5_vl":
        positions = (mask.cumsum(dim=1) - 1)[:, -3:] + model.model.rope_deltas
        places = {"position_ids": positions.expand(3, -1, -1)}
    model(input_ids=ids, attention_mask=mask, **{CACHE: cache}, **places)


def run(model: PreTrainedModel, name: str, inputs: Inputs, act: Callable[..., Any]) -> None:
    with opened(model, name, inputs, UIDS, prompt_part(name, inputs), "compared") as log:
        act(model, inputs)
    assert log.entries_edited > 0


def read(model: PreTrainedModel, inputs: Inputs) -> None:
    model(**inputs)


@pytest.mark.parametrize(("family", "padding"), [("llava", "right"), ("qwen2_5_vl", "left")])
@pytest.mark.parametrize("name", EDITS)
def test_both_executions_give_the_same_calls(family: str, padding: str, name: str) -> None:
    model = _model(family)
    run(model, name, random_inputs(model, (7, 7)), read_candidates)
    run(model, name, random_inputs(model, (9, 6), images=(2, 2), padding=padding), read)


@pytest.mark.parametrize("name", EDITS)
def test_with_sliding_windows_and_images_that_see_ahead(name: str) -> None:
    run(gemma3(), name, gemma3_inputs(), read_candidates)


OF_ONE_CALL = (
    "uniform", "uniform_row", "knockout", "reweight", "reweight_leak", "pai", "devils", "vaf",
    "gaussian", "gaussian_scores", "dirichlet", "permuted", "fixed_kernel", "learned_prior",
    "ad_hh", "spin", "uniform, half", "uniform, entropy",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE_CALL)
def test_half_precision_calls_are_exact_up_to_their_own_rounding(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random queries, keys and values in bfloat16; the edited rows once rounded to it."""
    case, model = EVERY[name], _model("llava")
    inputs = random_inputs(model, (9,))
    tokens = tokens_of(model, inputs, torch.zeros(0, dtype=torch.long), UID)
    edit = case.edit if case.told is None else partial(case.edit, **case.told(model, inputs))
    calls = []

    def check(call: Call, rows: Rows, intervention: Intervention, heads: Heads) -> Outcome:
        if heads is not None:
            call = replace(call, **random_states(call))
            exact = attention(call, tokens, edit, case.rows)
            for run_call in (execute, fused.execute):
                outcome = run_call(call, rows, intervention, heads)
                where = outcome.touched[0].T.numpy()
                rounded = outcome.output[0].transpose(0, 1).bfloat16().double().numpy()
                expected = exact[outcome.index.numpy()]
                bound = np.abs(expected) * 2.0**-8 + 1e-5
                assert (np.abs(rounded - expected) <= bound)[where].all()
            calls.append(where.any())
        return execute(call, rows, intervention, None)

    monkeypatch.setitem(patch.EXECUTIONS, "checked", check)
    intervention = prepared(name.split(",")[0], 4, **case.overrides)
    with suppress(InterventionError), intervene(model, intervention, "checked") as log:
        log.expect([UID])
        model(**inputs)
    assert len(calls) == len(case.layers)
    assert all(calls)


def random_states(call: Call) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(call.layer)
    return {
        name: torch.randn(getattr(call, name).shape, generator=generator).bfloat16()
        for name in ("query", "key", "value")
    }


def attention(call: Call, tokens: Tokens, edit: Edit, roles: Sequence[str]) -> Values:
    """Row, head, width: the output of one call of one sample in its edited rows, 0 elsewhere."""
    query, key, value = (
        states[0].double().numpy() for states in (call.query, call.key, call.value)
    )
    group = len(query) // len(key)
    raw = call.scaling * query @ key.repeat(group, axis=0).transpose(0, 2, 1)
    output = np.zeros((query.shape[1], len(query), value.shape[2]))
    for position in np.flatnonzero(np.isin(tokens.roles, roles)):
        for head in range(len(query)):
            row = Row(
                layer=call.layer,
                head=head,
                position=position,
                raw=raw,
                hidden=tokens.embeddings,
                below=(),
                tokens=tokens,
            )
            output[position, head] = edit(row) @ value[head // group, : position + 1]
    return output

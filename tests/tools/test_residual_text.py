"""The geometry of a plain language model is what the formulas say of its modules' outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from solvent.diagnostics.base import Finding
from solvent.diagnostics.statistics.estimates import Estimate
from tests.diagnostics.residual.plain_geometry import (
    plain_effective_rank,
    plain_innovation,
    plain_mixing_entropy,
)
from tools.residual_text import cut, diagnostic, judged, read, write

TOKENS, LAYERS = 16, 2
HELPERS = {"combine": "l2", "rows": "last", "reference": "layer_input"}
CONTROLS = ("haar", "moments", "norms", "rounding", "noise_qkv", "noise_ffn", "untrained")


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(1)  # the untrained control draws with 0
    config = LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=96, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def states(model: LlamaForCausalLM, tokens: list[int]) -> list[list[np.ndarray]]:
    """What enters every layer, and the stream behind attention and behind the layer."""
    given: dict[tuple[int, str], Any] = {}
    handles = [
        layer.self_attn.register_forward_hook(
            lambda module, args, output, number=number: given.update({(number, "mixed"): output[0]})
        )
        for number, layer in enumerate(model.model.layers)
    ]
    last = model.model.layers[-1].register_forward_hook(
        lambda module, args, output: given.update({(LAYERS - 1, "after"): output})
    )
    with torch.no_grad():
        hidden = model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
    for handle in [*handles, last]:
        handle.remove()
    behind = [*hidden[1:LAYERS], given[LAYERS - 1, "after"]]  # the last one there is behind a norm
    return [
        [each[0].double().numpy() for each in (start, start + given[number, "mixed"], end)]
        for number, (start, end) in enumerate(zip(hidden, behind, strict=False))
    ]


def estimates(finding: Finding) -> dict[str, Estimate]:
    return {name: each for name, each in finding.metrics.items() if isinstance(each, Estimate)}


def test_it_is_what_the_formulas_say(model: LlamaForCausalLM, tmp_path: Path) -> None:
    texts = {name: np.random.default_rng(ord(name)).integers(0, 50, TOKENS) for name in "abc"}
    tokens = {name: ids.tolist() for name, ids in texts.items()}
    test = diagnostic(TOKENS, len(texts), 2, HELPERS)
    updates = read(model, test, tokens)
    for name, ids in tokens.items():
        found = updates["real"].at([name])
        for number, (start, *ends) in enumerate(states(model, ids)):
            # The helpers hold both against what entered the layer.
            for part, end in zip(("attention", "ffn"), ends, strict=True):
                change = plain_effective_rank(end) - plain_effective_rank(start)
                rid = abs(change) / TOKENS + float(np.hypot(*plain_innovation(start, end)))
                assert found.of("all", f"{part}.rid")[0, number] == pytest.approx(rid, abs=1e-4)
                mixed = [plain_mixing_entropy(each, 8.0, last=True) for each in (end, start)]
                mixig = found.of("all", f"{part}.mixig_nats_alpha8")[0, number]
                assert mixig == pytest.approx(mixed[0] - mixed[1], abs=1e-4)
    assert updates["unrotated"].uids == ("a", "b")
    finding = judged(test, updates)
    rid = {name: mean.value for name, mean in estimates(finding).items() if "rid_" in name}
    assert len({rid[f"rid_ffn_{name}_all"] for name in CONTROLS} | {rid["rid_ffn_all"]}) == 8
    assert rid["rid_rotation_all"] > 0.001
    attention = updates["real"].of("all", "attention.rid")
    assert rid["rid_attention_all"] == pytest.approx(attention.mean())
    write(test, finding, "three texts", tmp_path / "new")
    stored = json.loads((tmp_path / "new" / "finding.json").read_text())
    assert stored["metrics"]["samples"] == 3
    assert (tmp_path / "new" / "residual.png").stat().st_size > 10_000


def test_the_first_tokens_of_texts_that_have_enough() -> None:
    class Letters:
        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) for letter in text]}

    assert cut(Letters(), {"long": "abcd", "short": "ab"}, 3) == {"long": [97, 98, 99]}

"""The released code of "Large VLMs Get Lost in Attention", written out in words for numpy.

The model is a float64 copy of the same random weights whose decoder calls the class below for its
attention: one sample, its own cache, one call of n rows for the prompt and of one row for every
generated token, as the authors run it. The whole chain is compared by the logits of every step.

Axes: H heads, Q rows and K keys of one call, N image tokens, W width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from interventions import InterventionError, intervene, load
from interventions.engine.noise import Address, exponential, hash_text, normal
from interventions.methods.heads import Band, MeanScore
from tests.interventions.conftest import _model
from tests.interventions.encoder_patterns import complexity, received_attention
from tests.interventions.views import view_of
from tests.random_models import random_inputs

UID, STEPS = "a sample", 3
Values = np.ndarray


@dataclass
class Released:
    """The released attention function: edits the last row of a call, and nothing else."""

    image: slice  # columns of the image tokens
    prior: Values  # N, a probability vector that is used as scores
    low: float  # the band of heads, in quantiles
    high: float
    two_sided: bool  # OneVision: the text before and after the image count alike
    calibrated: bool  # LLaVA and OneVision
    mix: float = 1.0  # lambda
    first_layer: int = 1  # layer 0 is skipped

    def __call__(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float,
        **arguments: Any,
    ) -> tuple[torch.Tensor, None]:
        query, key, value = (part[0].numpy() for part in (query, key, value))
        group = len(query) // len(key)
        key, value = key.repeat(group, axis=0), value.repeat(group, axis=0)
        scores = scaling * query @ key.transpose(0, 2, 1)  # H, Q, K, before any mask
        if module.layer_idx >= self.first_layer:
            self.edit(scores, module.layer_idx)
        _, rows, keys = scores.shape
        future = np.arange(keys) > np.arange(keys - rows, keys)[:, None]
        powers = np.exp(np.where(future, -np.inf, scores))
        weights = powers / powers.sum(axis=-1, keepdims=True)
        return torch.tensor(weights @ value).transpose(0, 1)[None], None

    def edit(self, scores: Values, layer: int) -> None:
        """Overwrite the visual scores of the last row, in the chosen heads."""
        proposed = self.prior
        if self.calibrated:  # the mean is over everything in the call, the future included
            proposed = proposed * abs(scores.mean()) / (2 * abs(self.prior.mean()))
        ranks = np.array([self.rank(head[-1]) for head in scores])
        low, high = np.quantile(ranks, [self.low, self.high])
        for head, rank in zip(scores, ranks, strict=True):
            if low <= rank <= high:
                learned = head[-1, self.image]
                head[-1, self.image] = (1 - self.mix) * learned + self.mix * proposed

    def rank(self, row: Values) -> float:
        """Of a head: minus the mean raw score on what is not the image."""
        before, after = row[: self.image.start], row[self.image.stop :]
        if self.two_sided:
            return -0.5 * (before.mean() + after.mean())
        return -np.concatenate([before, after]).mean()


FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {"low": 0.3, "high": 0.9, "two_sided": False, "calibrated": False},
    "llava": {"low": 0.3, "high": 0.6, "two_sided": False, "calibrated": True},
    "llava_onevision": {"low": 0.3, "high": 0.6, "two_sided": True, "calibrated": True},
}


def draws(distribution: Callable[[torch.Tensor], torch.Tensor], image: slice, **at: Any) -> Values:
    """The raw numbers at the documented address of every image token."""
    keys = torch.arange(image.start, image.stop)[None]
    place = {"layer": 0, "head": torch.zeros(1).long(), "row": torch.zeros(1, 1).long(), **at}
    sample = torch.tensor([hash_text(UID)])
    address = Address(seed=0, sample=sample, key=keys, **{"scope": "sample", **place})
    return distribution(address.bits(0))[0, 0, 0].numpy()


def softmax(values: Values) -> Values:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def dirichlet(image: slice) -> Values:
    gammas = draws(exponential, image)  # Gamma(1) variables
    return gammas / gammas.sum()


@contextmanager
def attending(model: PreTrainedModel, function: Callable[..., Any]) -> Iterator[None]:
    """The text decoder calls `function` for its attention."""
    AttentionInterface.register("written_out", function)
    AttentionMaskInterface.register("written_out", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.set_attn_implementation({"text_config": "written_out"})
    yield


def image_of(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> slice:
    columns = (inputs["input_ids"][0] == model.config.image_token_id).nonzero()[:, 0]
    return slice(int(columns[0]), int(columns[-1]) + 1)


def answer(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> tuple[Values, Values]:
    """Tokens of a greedy answer with the cache, and the logits of every step."""
    settings = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
    output = model.generate(**inputs, **settings, output_logits=True, return_dict_in_generate=True)
    logits = torch.cat(output.logits).double().numpy()
    return output.sequences[0, -STEPS:].numpy(), logits


@torch.no_grad()
def compare(family: str, name: str, prior: Values | None, seed: int, **overrides: Any) -> float:
    """Largest deviation of the logits; the executions take turns with the seeds."""
    model = _model(family)
    inputs = random_inputs(model, (9,), seed=seed)
    image = image_of(model, inputs)
    copy = deepcopy(model).double()
    settings = FAMILIES[family]
    released = Released(
        image=image,
        prior=dirichlet(image) if prior is None else prior,
        mix=overrides.get("mix", 1.0),
        first_layer=0 if overrides.get("layers") == "all" else 1,
        **settings,
    )
    execution = ("fused", "reference")[seed % 2]
    with intervene(model, load(name, **overrides), execution) as log:
        log.expect([UID])
        tokens, logits = answer(model, inputs)
    with attending(copy, released):
        wide = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        expected_tokens, expected = answer(copy, wide)
    assert (tokens == expected_tokens).all()
    np.testing.assert_allclose(logits, expected, atol=5e-5)
    plain = model(**inputs).logits[0, -1].numpy()
    assert np.abs(logits[0] - plain).max() > 1e-2
    return float(np.abs(logits - expected).max())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mix", [1.0, 0.4])
@pytest.mark.parametrize("family", FAMILIES)
def test_released_code(family: str, mix: float, seed: int) -> None:
    compare(family, f"sap_{family}", None, seed, mix=mix)


def test_an_explicit_list_of_layers_may_include_the_first() -> None:
    compare("qwen2_5_vl", "sap_qwen2_5_vl", None, 0, layers="all")


PATTERNS = "interventions.methods.patterns"


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
@pytest.mark.parametrize("mode", ["vis_enc_attn", "complexity", "key"])
def test_other_modes(family: str, mode: str) -> None:
    """A softmax over some reference vector takes the place of the Dirichlet draw."""
    model = _model(family)
    inputs = random_inputs(model, (9,), seed=0)
    reference, pattern = {
        "vis_enc_attn": lambda: (received_attention(model, inputs), "EncoderAttention"),
        "complexity": lambda: (complexity(model, inputs), "PatchComplexity"),
        "key": lambda: (draws(normal, image_of(model, inputs)), "Normal"),
    }[mode]()
    settings = {"std": 1.0} if mode == "key" else {"temperature": 1.0}
    overrides = {"pattern.of": {"_target_": f"{PATTERNS}.{pattern}", **settings}}
    compare(family, f"sap_{family}", softmax(reference), 0, **overrides)


@pytest.mark.parametrize(
    ("heads", "low", "high", "chosen"),
    [(28, 0.3, 0.9, 16), (32, 0.3, 0.6, 9), (28, 0.1, 0.11, 0), (14, 0.1, 0.11, 0),
     (64, 0.1, 0.11, 0), (5, 0.25, 0.75, 3)],
)  # fmt: skip
def test_published_bands_hold_as_many_heads_as_counted(
    heads: int, low: float, high: float, chosen: int
) -> None:
    scores = torch.randn(1, heads, 2, 6, generator=torch.Generator().manual_seed(0))
    roles = ["system", "image", "image", "question", "question", "last"]
    image = torch.tensor([role == "image" for role in roles])
    band = Band(
        score=MeanScore(groups=[["system", "question", "last"]], negative=True), low=low, high=high
    )
    view = view_of(scores, torch.ones(1, 1, 2, 6).bool(), image, roles)
    assert band.chosen(view).sum(dim=1).tolist() == [[chosen, chosen]]


def test_the_published_command_for_onevision_edits_nothing_and_says_so() -> None:
    model = _model("llava_onevision")
    inputs = random_inputs(model, (9,))
    with (
        pytest.raises(InterventionError, match="'sap_llava_onevision' edited no attention"),
        intervene(model, load("sap_llava_onevision", **{"heads.low": 0.1, "heads.high": 0.11})),
    ):
        model(**inputs)


def test_as_described() -> None:
    """Every answering row of every head: noise with the row's own visual mean and deviation."""
    model = _model("llava")
    inputs = random_inputs(model, (9,))
    image, wide = image_of(model, inputs), {}
    copy = deepcopy(model).double()
    wide = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
    with intervene(model, load("sap_as_described")) as log:
        log.expect([UID])
        tokens, logits = answer(model, inputs)
    with attending(copy, Described(image)):
        expected_tokens, expected = answer(copy, wide)
    assert (tokens == expected_tokens).all()
    np.testing.assert_allclose(logits, expected, atol=5e-5)


class Described(Released):
    """The paper's text: Gaussian noise in place of the scores, matched in mean and deviation."""

    def __init__(self, image: slice) -> None:
        super().__init__(image, np.zeros(1), 0.0, 1.0, False, False, first_layer=0)

    def edit(self, scores: Values, layer: int) -> None:
        position = scores.shape[2] - 1
        for head, rows in enumerate(scores):
            learned = rows[-1, self.image]
            noise = draws(
                normal,
                self.image,
                scope="entry",
                layer=layer,
                head=torch.tensor([head]),
                row=torch.tensor([[position]]),
            )
            rows[-1, self.image] = learned.mean() + learned.std() * noise

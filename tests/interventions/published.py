"""Every published method, from its definition in words: one row of one head at a time, in numpy.

Each edit below says what becomes of a row; `decoder.forward` runs it through a whole model in
float64. Draws are taken from the documented addresses, everything after them is by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.optimize
import scipy.stats
import torch
from transformers import PreTrainedModel

from interventions.engine.noise import Address, exponential, hash_text, normal, uniform
from tests.interventions.decoder import Edit, Row, forward, softmax, tokens_of
from tests.interventions.encoder_patterns import complexity, received_attention
from tests.interventions.every_method import stored_tensors

UID = "a sample"
REGIONS = [[(0.0, 0.0, 0.4, 0.75), (0.3, 0.5, 0.6, 1.0)]]  # of the only picture: two boxes
Values = np.ndarray
Model = PreTrainedModel


# --- what many methods share ---------------------------------------------------------------------


def rescored(row: Row, where: Values, scores: Values) -> Values:
    """Softmax over the row with other scores on some keys."""
    return softmax(np.where(where, scores, row.scores))


def spread(row: Row, where: Values, pattern: Values) -> Values:
    """The mass that some keys have, divided among them in other proportions."""
    share, inside = row.weights[where].sum(), np.where(where, pattern, 0.0)
    return np.where(where, share * inside / inside.sum(), row.weights)


def scaled(row: Row, where: Values, factor: float) -> Values:
    """Weights of some keys times a factor, the row normalised again."""
    weights = np.where(where, factor, 1.0) * row.weights
    return weights / weights.sum()


def moved(row: Row, source: Values, target: Values, fraction: float) -> Values:
    """Part of what some keys have goes to others, in proportion to what these have."""
    weights = row.weights
    given, held = fraction * weights[source].sum(), weights[target].sum()
    weights = np.where(source, (1 - fraction) * weights, weights)
    return np.where(target, weights * (1 + given / held), weights)


def on_image(row: Row, values: Values) -> Values:
    """One value per image token, placed at its key; zero elsewhere."""
    placed = np.zeros(len(row.scores))
    placed[row.image] = values
    return placed


def drawn(row: Row, distribution: Callable[[torch.Tensor], torch.Tensor]) -> Values:
    """One number per key of the row, from its address (scope `entry`)."""
    address = Address(
        seed=0,
        scope="entry",
        layer=row.layer,
        sample=torch.tensor([hash_text(UID)]),
        head=torch.tensor([row.head]),
        row=torch.tensor([[row.position]]),
        key=torch.arange(row.position + 1)[None],
    )
    return distribution(address.bits(0))[0, 0, 0].numpy()


def everything(row: Row) -> Values:
    return np.ones(len(row.scores), dtype=bool)


# --- the methods ---------------------------------------------------------------------------------


def learned(row: Row) -> Values:
    return row.weights


def uniform_image(row: Row) -> Values:
    return spread(row, row.image, np.ones(len(row.scores)))


def uniform_row(row: Row) -> Values:
    return np.full(len(row.scores), 1 / len(row.scores))


def knockout(row: Row) -> Values:
    return scaled(row, row.image, 0.0)


def reweight(row: Row) -> Values:
    return scaled(row, row.image, 2.0)


def reweight_leak(row: Row) -> Values:
    return np.where(row.image, 2.0, 1.0) * row.weights


def highlight(row: Row) -> Values:
    return rescored(row, row.image, row.scores + np.log(7.0))


def pasta(row: Row) -> Values:
    return scaled(row, ~row.image, 0.01)


def pai(row: Row) -> Values:
    return rescored(row, row.image, row.scores + 0.2 * np.abs(row.scores))


def devils(row: Row) -> Values:
    magnitude = np.mean([np.abs(other.scores) for other in row.heads()], axis=0)
    return rescored(row, row.image, row.scores + 0.5 * magnitude)


def scaling_vis(row: Row) -> Values:
    return rescored(row, row.image, 1.5 * row.scores)


def vaf(row: Row) -> Values:
    image, before = row.image, row.having("system")
    scores = np.where(image, 1.15, np.where(before, 0.95, 1.0)) * row.scores
    return rescored(row, image | before, scores)


def adapt_vis(row: Row, confidence: float, threshold: float) -> Values:
    factor = 0.5 if round(confidence, 2) < threshold else 1.5
    return rescored(row, row.image, factor * row.scores)


def caac(row: Row, confidence: float, threshold: float) -> Values:
    sure = confidence if confidence < threshold else 1.0
    factor = max(1.0, sure * 1.0 + (1.0 - sure) * 1.5)
    return rescored(row, row.image, factor * row.scores)


def var_sinks(row: Row, threshold: float, most: float, least: float) -> Values:
    """Heads that look at the image, but not mainly at its sinks, empty the sinks by 0.4."""
    size = np.abs(row.hidden) / np.sqrt((row.hidden**2).mean(axis=1, keepdims=True))
    dimensions = np.argsort(size[0])[-2:]
    sink = (size[:, dimensions].max(axis=1) >= threshold)[: len(row.scores)]
    sink &= row.having("system", "image")
    visual = row.weights[row.image].sum()
    in_sinks = row.weights[row.image & sink].sum() / visual
    target = row.image & ~sink
    if visual < least or in_sinks > most or not sink.any() or not target.any():
        return row.weights
    return moved(row, sink, target, 0.4)


def attnreal(row: Row, factor: float) -> Values:
    """Generated tokens with more than `factor` times their mean weight give half of it away."""
    generated = row.having("generated")
    heavy = generated & (row.weights > factor * row.weights[generated].mean())
    return moved(row, heavy, row.image, 0.5) if heavy.any() else row.weights


def spin(row: Row, share: float) -> Values:
    """All but the heads with the largest visual scores are turned down."""
    sums = [other.scores[row.image].sum() for other in row.heads()]
    kept = np.argsort(sums)[::-1][: int(share * len(sums))]
    return row.weights if row.head in kept else 0.08 * row.weights


def ad_hh(row: Row, threshold: float) -> Values:
    text = row.having("question", "last", "generated")
    return np.where(text & (row.weights[text].sum() >= threshold), 0.0, row.weights)


def fastv_mask(row: Row) -> Values:
    """Half of the image tokens, those the answer's row attends to least in layer 1, disappear."""
    seen = row.below[1][:, row.tokens.prompt - 1].mean(axis=0)
    image = np.flatnonzero(row.tokens.roles == "image")
    dropped = image[np.argsort(seen[image])][: len(image) - len(image) // 2]
    return scaled(row, np.isin(np.arange(len(row.scores)), dropped), 0.0)


def causalmm(row: Row) -> Values:
    """Equal weights on everything in the call; then the future is zeroed."""
    return np.full(len(row.scores), 1 / max(row.tokens.prompt, len(row.scores)))


def gaussian(row: Row) -> Values:
    return spread(row, row.image, np.exp(matched_noise(row)))


def gaussian_scores(row: Row) -> Values:
    return rescored(row, row.image, matched_noise(row))


def matched_noise(row: Row) -> Values:
    inside = row.scores[row.image]
    return inside.mean() + inside.std() * drawn(row, normal)


def dirichlet(row: Row) -> Values:
    return spread(row, row.image, drawn(row, exponential))


def random_weights(row: Row) -> Values:
    return spread(row, row.image, drawn(row, uniform))


def inverted(row: Row) -> Values:
    return spread(row, row.image, row.weights[row.image].max() - row.weights)


def reversed_image(row: Row) -> Values:
    return spread(row, row.image, on_image(row, row.weights[row.image][::-1]))


def permuted(row: Row) -> Values:
    order = np.argsort(drawn(row, lambda bits: bits)[row.image])
    return spread(row, row.image, on_image(row, row.weights[row.image][order]))


def fixed_kernel(row: Row) -> Values:
    distance = np.arange(len(row.scores)) - row.position + 1.0
    kernel = np.exp(-(distance**2) / 2.0)
    return kernel / kernel.sum()


def fixed_sink(row: Row) -> Values:
    return (np.arange(len(row.scores)) == 0).astype(float)


def fixed(row: Row, pattern: Values) -> Values:
    return spread(row, row.image, on_image(row, pattern))


def stored(row: Row, pattern: Values) -> Values:
    """`pattern`: donor, layer, head, token; an axis of size one is shared."""
    donors, layers, heads, _ = pattern.shape
    donor = hash_text(UID) % donors
    chosen = pattern[donor, row.layer if layers > 1 else 0, row.head if heads > 1 else 0]
    return fixed(row, chosen)


def learned_prior(row: Row, pattern: Values, mass_logit: Values) -> Values:
    """Pattern and share of the row are both given; the rest keeps its proportions."""
    share = 1 / (1 + np.exp(-mass_logit[row.layer, row.head]))
    inside = on_image(row, pattern[0, row.layer, row.head])
    outside = np.where(row.image, 0.0, row.weights)
    return share * inside / inside.sum() + (1 - share) * outside / outside.sum()


def caac_vtc(row: Row, scale: Values) -> Values:
    factor = on_image(row, scale[0, row.layer, row.head])
    return rescored(row, row.image, factor * row.scores)


# --- what some of them are told ------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An edit, and the place at which its YAML (with these overrides) makes it."""

    edit: Callable[..., Values]
    rows: tuple[str, ...] = ("question", "last", "generated")
    layers: tuple[int, ...] = (0, 1, 2)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    told: Callable[[Model, dict[str, torch.Tensor]], dict[str, Any]] | None = None
    families: tuple[str, ...] = ("llava",)


ALL_ROWS = ("system", "image", "question", "last", "generated")
ANSWERING = ("last", "generated")
BOTH = ("llava", "qwen2_5_vl")


def confidence_of(model: Model, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Highest probability of the first token, from an unedited pass of the decoder above."""
    tokens = tokens_of(model, inputs, torch.zeros(0, dtype=torch.long), UID)
    return {"confidence": softmax(forward(model, tokens, learned)[-1]).max()}


def told_confidence(threshold: float) -> Callable[..., dict[str, Any]]:
    return lambda model, inputs: {"threshold": threshold, **confidence_of(model, inputs)}


def told(**values: Any) -> Callable[..., dict[str, Any]]:
    return lambda model, inputs: values


def told_encoder(model: Model, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"pattern": received_attention(model, inputs)}


def told_complexity(model: Model, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"pattern": np.exp(complexity(model, inputs))}


def told_file(name: str) -> Callable[..., dict[str, Any]]:
    def read(model: Model, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
        count = int((inputs["input_ids"] == model.config.image_token_id).sum())
        return {key: value.double().numpy() for key, value in stored_tensors(name, count).items()}

    return read


def centre_of_a_2_by_3_grid() -> Values:
    places = [(y, x) for y in (0.25, 0.75) for x in (1 / 6, 0.5, 5 / 6)]
    squared = np.array([(y - 0.5) ** 2 + (x - 0.5) ** 2 for y, x in places])
    return np.exp(-squared / (2 * 0.25**2))


def regions_of_a_2_by_3_grid() -> Values:
    """0.01, and the largest share of the cell within a box; from many points of every cell."""
    points = (np.arange(600) + 0.5) / 600
    pixels = np.zeros((2, 600, 600))
    for index, (left, top, right, bottom) in enumerate(REGIONS[0]):
        pixels[index] = ((points > top) & (points < bottom))[:, None] & (
            (points > left) & (points < right)
        )
    cover = pixels.reshape(2, 2, 300, 3, 200).mean(axis=(2, 4)).max(axis=0)
    return 0.01 + 0.99 * cover.flatten()


PATTERN = "interventions.methods.patterns"
IMAGE_ONLY = {"keys": ["image"], "rows": ["question", "last", "generated"]}
KEPT = {"mass": {"_target_": "interventions.methods.masses.Keep"}, **IMAGE_ONLY}
CASES = {
    "learned": Case(learned, families=BOTH),
    "uniform": Case(uniform_image, families=BOTH),
    "uniform_row": Case(uniform_row),
    "knockout": Case(knockout, families=BOTH),
    "reweight": Case(reweight),
    "reweight_leak": Case(reweight_leak),
    "highlight": Case(highlight, ALL_ROWS),
    "pasta": Case(pasta, ALL_ROWS),
    "pai": Case(pai, ANSWERING, (1, 2), {"layers": "1-"}),
    "devils": Case(devils, ANSWERING, (0, 1), families=BOTH),  # layers 5 to 17 of 32
    "scaling_vis": Case(scaling_vis, ("last",)),
    "adapt_vis, sure": Case(
        adapt_vis, ("last",), told=told_confidence(0.01), overrides={"pattern.threshold": 0.01}
    ),
    "adapt_vis, unsure": Case(
        adapt_vis, ("last",), told=told_confidence(0.99), overrides={"pattern.threshold": 0.99}
    ),
    "caac, unsure": Case(
        caac, ALL_ROWS, told=told_confidence(1.0), overrides={"pattern.threshold": 1.0}
    ),
    "caac, sure": Case(
        caac, ALL_ROWS, told=told_confidence(0.01), overrides={"pattern.threshold": 0.01}
    ),
    "vaf": Case(vaf, layers=(0, 1)),  # layers 9 to 14 of 32
    "caac_vtc": Case(caac_vtc, layers=(0,), told=told_file("caac_vtc")),  # layers 0 to 9 of 32
    "var_sinks": Case(
        var_sinks,
        layers=(1, 2),
        overrides={
            "layers": "1-",
            "probe.threshold": 1.5,
            "heads.rules.few_sinks.most": 0.6,
            "heads.rules.visual.least": 0.05,
        },
        told=told(threshold=1.5, most=0.6, least=0.05),
        families=BOTH,
    ),
    "attnreal": Case(
        attnreal, ("generated",), overrides={"probe.factor": 1.1}, told=told(factor=1.1)
    ),
    "spin": Case(spin, ANSWERING, overrides={"heads.share": 0.6}, told=told(share=0.6)),
    "ad_hh": Case(
        ad_hh, ANSWERING, overrides={"heads.rules.textual.least": 0.4}, told=told(threshold=0.4)
    ),
    "fastv_mask": Case(fastv_mask, ALL_ROWS, (2,), families=BOTH),
    "causalmm": Case(causalmm, ALL_ROWS),
    "causalmm, random": Case(
        random_weights, overrides={"pattern": {"_target_": f"{PATTERN}.UniformNoise"}, **KEPT}
    ),
    "causalmm, reversed": Case(
        inverted, overrides={"pattern": {"_target_": f"{PATTERN}.Inverted"}, **KEPT}
    ),
    "gaussian": Case(gaussian, families=BOTH),
    "gaussian_scores": Case(gaussian_scores),
    "sap_as_described": Case(gaussian_scores, ANSWERING),
    "dirichlet": Case(dirichlet),
    "permuted": Case(permuted),
    "reversed": Case(reversed_image),
    "fixed_kernel": Case(fixed_kernel),
    "fixed_sink": Case(fixed_sink),
    "fixed_center": Case(
        fixed, told=told(pattern=centre_of_a_2_by_3_grid()), families=("qwen2_5_vl",)
    ),
    "fixed_region": Case(
        fixed, told=told(pattern=regions_of_a_2_by_3_grid()), families=("qwen2_5_vl",)
    ),
    "fixed_complexity": Case(fixed, told=told_complexity, families=BOTH),
    "fixed_encoder": Case(fixed, told=told_encoder, families=BOTH),
    "fixed_file": Case(stored, told=told_file("fixed_file")),
    "fixed_mean": Case(stored, told=told_file("fixed_mean")),
    "donor": Case(stored, told=told_file("donor")),
    "learned_prior": Case(learned_prior, told=told_file("learned_prior")),
}
SELECTIONS = {
    "uniform, half": Case(
        lambda row: 0.5 * row.weights + 0.5 * uniform_image(row), overrides={"mix": 0.5}
    ),
    "uniform, two heads": Case(
        lambda row: uniform_image(row) if row.head in (0, 3) else row.weights,
        layers=(1,),
        overrides={"layers": [1], "heads": [0, 3]},
    ),
    "uniform, value gain": Case(
        lambda row: np.where(row.image, 0.5, 1.0) * uniform_image(row),
        overrides={"value_gain": 0.5},
    ),
    "knockout, last row": Case(knockout, ("last",), overrides={"rows": ["last"]}),
    "knockout, question": Case(knockout, ("question",), overrides={"rows": ["question"]}),
    "knockout, prefill": Case(knockout, ("question", "last"), overrides={"phase": "prefill"}),
    "knockout, system": Case(
        lambda row: scaled(row, row.having("system"), 0.0), overrides={"keys": ["system"]}
    ),
    "knockout, decode": Case(knockout, ("generated",), overrides={"phase": "decode"}),
}


# --- calibrations, with noise as what is calibrated ----------------------------------------------


def mean_matched(row: Row) -> Values:
    noise, inside = drawn(row, normal), row.scores[row.image]
    return rescored(row, row.image, noise - noise[row.image].mean() + inside.mean())


def moments_matched(row: Row) -> Values:
    noise, inside = drawn(row, normal), row.scores[row.image]
    standard = (noise - noise[row.image].mean()) / noise[row.image].std()
    return rescored(row, row.image, standard * inside.std() + inside.mean())


def mass_matched(row: Row) -> Values:
    return spread(row, row.image, np.exp(drawn(row, normal)))


def entropy_matched(row: Row) -> Values:
    noise = drawn(row, normal)

    def entropy(scores: Values) -> float:
        return scipy.stats.entropy(softmax(scores))

    target = entropy(row.scores[row.image])
    power = scipy.optimize.brentq(
        lambda power: entropy(np.exp(power) * noise[row.image]) - target, -20, 20
    )
    return rescored(row, row.image, np.exp(power) * noise)


def calibrated(edit: Edit, name: str) -> Case:
    parts = {
        "pattern": {"_target_": f"{PATTERN}.Normal", "std": 1.0},
        "calibration": {"_target_": f"interventions.methods.scaling.{name}"},
        "mass": {"_target_": "interventions.methods.masses.FromPattern"},
    }
    return Case(edit, layers=(1,), overrides={"layers": [1], **parts})


CALIBRATIONS = {
    "uniform, mean": calibrated(mean_matched, "MatchMean"),
    "uniform, moments": calibrated(moments_matched, "MatchMeanStd"),
    "uniform, mass": calibrated(mass_matched, "MatchMass"),
    "uniform, entropy": calibrated(entropy_matched, "MatchEntropy"),
}
EVERY = CASES | SELECTIONS | CALIBRATIONS
UNMOVED = ("learned", "caac, sure")  # equal to the unedited model

"""What a freshly loaded model must do before it is believed: one probe image, one short prompt.

As nnterp does (https://github.com/ndif-team/nnterp), a wrong entry in the family table fails here,
in the first minute and by name, instead of silently in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from solvent.core.types import Prompt
from solvent.models.features import FeatureCache
from solvent.models.prefill import EncodedBatch, Prefill
from solvent.models.refusals import ModelError
from solvent.models.unembedding import float32_logits

if TYPE_CHECKING:
    from solvent.models.vlm import VLM

PROBE = Prompt(uid="probe", images=(Image.new("RGB", (64, 48), "gray"),), text="Is it red?")
ANSWERS = ("yes", "no")
LONG_ANSWER = "No, it is grey."  # of several tokens, each of which must see all before it
OF_TEXT = ("_ids", "_mask")  # endings of inputs that have an entry per token
TOLERANCE = {  # of the spread of the logits
    torch.float32: 1e-3,
    torch.float16: 5e-2,
    torch.bfloat16: 2e-1,
}


@torch.inference_mode()
def check(vlm: VLM) -> None:
    """Raise `ModelError`, naming the field to correct, if model and description do not fit."""
    _check_decoder(vlm)
    _check_image_backend(vlm)
    _check_image_token(vlm)
    batch = vlm.encode([PROBE])
    _check_image_features(vlm, batch)
    _check_answers(vlm, batch)
    answer = vlm.chat.answer_tokens(PROBE.uid, batch.texts[0], batch.token_ids[0], LONG_ANSWER)
    own, ours = _uncached_logits(vlm, batch, answer)
    _check_unembedding(vlm, own, ours)
    _check_cache(vlm, batch, answer, ours)


def _check_decoder(vlm: VLM) -> None:
    decoder = vlm.model.get_decoder()
    layers = len(getattr(decoder, "layers", ()))
    expected = vlm.model.config.get_text_config().num_hidden_layers
    if layers != expected:
        raise ModelError(
            f"Expected the text decoder of {vlm.name!r} to have {expected} layers "
            f"(text_config.num_hidden_layers), but get_decoder() gave a {type(decoder).__name__} "
            f"with {layers}; this family cannot be patched, choose another."
        )


def _check_image_backend(vlm: VLM) -> None:
    asked = vlm.image_backend
    came = "pil" if type(vlm.processor.image_processor).__name__.endswith("Pil") else "torchvision"
    if asked != came:
        raise ModelError(
            f"Expected the {asked!r} image processor, but "
            f"{type(vlm.processor.image_processor).__name__} was loaded; set "
            f"model.image_backend={came} or install what {asked!r} needs."
        )


def _check_image_token(vlm: VLM) -> None:
    placed = getattr(vlm.processor, "image_token_id", None)
    if placed != vlm.image_token_id:
        raise ModelError(
            f"Expected the processor to place image token {vlm.image_token_id} (config.json: "
            f"image_token_id), but it places {placed}; correct `processor` of family "
            f"{vlm.family.model_type!r} in solvent/models/family.py."
        )
    if vlm.chat.image_text.count(vlm.processor.image_token) != 1:
        raise ModelError(
            f"Expected the chat template to write one {vlm.processor.image_token!r} per image, but "
            f"it writes {vlm.chat.image_text!r}; correct the checkpoint's chat_template.jinja."
        )


def _check_image_features(vlm: VLM, batch: EncodedBatch) -> None:
    pixels = {key: value for key, value in batch.inputs.items() if not key.endswith(OF_TEXT)}
    features = _rows(vlm.model.get_image_features(**pixels).pooler_output)
    if batch.image_tokens != (features,):
        raise ModelError(
            f"Expected as many image tokens as image features ({features}) for the probe image, "
            f"but the prompt has {batch.image_tokens[0]}; correct patch_size, "
            "num_additional_image_tokens, num_image_tokens or vision_feature_select_strategy in "
            "the checkpoint's processor_config.json."
        )


def _rows(features: Any) -> int:
    """Number of feature vectors: a tensor (..., hidden) or one such tensor per image."""
    parts = [features] if isinstance(features, torch.Tensor) else features
    return sum(part.numel() // part.shape[-1] for part in parts)


def _check_answers(vlm: VLM, batch: EncodedBatch) -> None:
    if vlm.chat.terminator is None:
        raise ModelError(
            f"Expected the chat template or the tokenizer of {vlm.name!r} to name the token that "
            "ends an answer, but neither does; set eos_token in tokenizer_config.json."
        )
    prompt = (PROBE.uid, batch.texts[0], batch.token_ids[0])
    answers = vlm.chat.answers_tokens([(*prompt, text) for text in ANSWERS])
    if any(len(tokens) < 2 for tokens in answers) or answers[0] == answers[1]:
        raise ModelError(
            f"Expected {ANSWERS[0]!r} and {ANSWERS[1]!r} to be different answers of at least one "
            f"token and a terminator, but they are {answers}; check the tokenizer and the chat "
            "template of the checkpoint."
        )


def _uncached_logits(
    vlm: VLM, batch: EncodedBatch, answer: Sequence[int]
) -> tuple[Float[Tensor, "token vocabulary"], Float[Tensor, "token vocabulary"]]:
    """What one plain forward over prompt and answer expects after the prompt and after each token.

    The model's own logits, and those that we compute from its hidden states. Nothing is cached,
    features come from pixels, and the model finds the positions by itself.
    """
    new = torch.tensor([answer], device=batch.inputs["input_ids"].device)
    added = {"input_ids": new, "attention_mask": torch.ones_like(new)}
    inputs = {
        key: torch.cat([value, added.get(key, torch.zeros_like(new)).to(value)], dim=1)
        if key.endswith(OF_TEXT)
        else value
        for key, value in batch.inputs.items()
    }
    count = len(answer) + 1
    seen: list[Tensor] = []
    unembedding = vlm.model.get_output_embeddings()
    handle = unembedding.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        own = vlm.model(**inputs, use_cache=False, logits_to_keep=count).logits[0, -count:].float()
    finally:
        handle.remove()
    return own, float32_logits(unembedding, seen[0][0, -count:]).to(own.device)


def _check_unembedding(
    vlm: VLM,
    own: Float[Tensor, "token vocabulary"],
    ours: Float[Tensor, "token vocabulary"],
) -> None:
    """Scores are computed from hidden states: that must be what the model itself makes of them."""
    worst = (own - ours).abs().max().item()
    if not worst <= TOLERANCE[vlm.model.dtype] * ours.std().item():
        raise ModelError(
            f"Expected the logits of {vlm.name!r} to be unembedding times hidden state, but they "
            f"differ by up to {worst:.3g}; this family scales or caps its logits and cannot be "
            "ranked, choose another."
        )


def _check_cache(
    vlm: VLM,
    batch: EncodedBatch,
    answer: Sequence[int],
    expected: Float[Tensor, "token vocabulary"],
) -> None:
    """Answers are read through a cache: that must not change what the model says.

    An argument that a release of transformers renames may be swallowed without a word. The sum that
    ranks an answer may be right by chance, so all logits are compared as well, one token at a time
    as in generation, by their root mean square: a cache that is ignored changes it by about the
    spread of the logits, rounding by a hundredth of it in bfloat16.
    """
    if vlm.features.active:  # in a cache of its own: the probe is not kept
        batch = FeatureCache(vlm.model, megabytes=1).fill(batch)
    tokens = torch.tensor([answer], device=batch.inputs["input_ids"].device)
    prompt = Prefill(vlm.model, batch)
    prompt.score([answer[::-1]])  # another candidate, of which nothing may remain
    score = prompt.score([answer]).item()
    hidden = [prompt.last]
    for read in (tokens[:, :1], tokens[:, 1:-1]):
        hidden.append(prompt.extend(read, torch.ones_like(read, dtype=torch.bool))[0])
    cached = float32_logits(vlm.model.get_output_embeddings(), torch.cat(hidden))
    cached = cached.to(expected.device)
    expected = expected[:-1]
    plain = expected.log_softmax(dim=-1).gather(-1, tokens.to(expected.device).T).sum().item()
    spread = expected.std(dim=-1)
    tolerance = TOLERANCE[vlm.model.dtype]
    apart = ((cached - expected).square().mean(dim=-1).sqrt() / spread).max().item()
    allowed = tolerance * spread.square().sum().sqrt().item()  # rounding of tokens is independent
    if not (apart <= tolerance and abs(score - plain) <= allowed):
        raise ModelError(
            f"Expected {vlm.name!r} to say the same with its key-value cache as without, but it "
            f"gives {LONG_ANSWER!r} a log-probability of {score:.6g} instead of {plain:.6g} nats "
            f"and logits that are {apart:.3g} of their spread apart; install a release of "
            "transformers that pyproject.toml admits, or correct `positions` of family "
            f"{vlm.family.model_type!r} in solvent/models/family.py."
        )

"""What a freshly loaded model must do before it is believed: one probe image, one short prompt.

As nnterp does (https://github.com/ndif-team/nnterp), a wrong entry in the family table fails here,
in the first minute and by name, instead of silently in a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from evaluation.types import Prompt
from models.errors import ModelError
from models.unembedding import float32_logits

if TYPE_CHECKING:
    from models.prefill import EncodedBatch
    from models.vlm import VLM

PROBE = Prompt(uid="probe", images=(Image.new("RGB", (64, 48), "gray"),), text="Is it red?")
ANSWERS = ("yes", "no")
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
    _check_unembedding(vlm, batch)


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
            f"{vlm.family.model_type!r} in models/families.py."
        )
    if vlm.chat.image_text.count(vlm.processor.image_token) != 1:
        raise ModelError(
            f"Expected the chat template to write one {vlm.processor.image_token!r} per image, but "
            f"it writes {vlm.chat.image_text!r}; correct the checkpoint's chat_template.jinja."
        )


def _check_image_features(vlm: VLM, batch: EncodedBatch) -> None:
    text = ("_ids", "_mask")  # endings of what belongs to the text
    pixels = {key: value for key, value in batch.inputs.items() if not key.endswith(text)}
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
    answers = [vlm.chat.answer_tokens(batch.texts[0], batch.token_ids[0], text) for text in ANSWERS]
    if any(len(tokens) < 2 for tokens in answers) or answers[0] == answers[1]:
        raise ModelError(
            f"Expected {ANSWERS[0]!r} and {ANSWERS[1]!r} to be different answers of at least one "
            f"token and a terminator, but they are {answers}; check the tokenizer and the chat "
            "template of the checkpoint."
        )


def _check_unembedding(vlm: VLM, batch: EncodedBatch) -> None:
    """Scores are computed from hidden states: that must be what the model itself makes of them."""
    seen: list[torch.Tensor] = []
    unembedding = vlm.model.get_output_embeddings()
    handle = unembedding.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        own = (
            vlm.model(**batch.inputs, position_ids=batch.positions, logits_to_keep=1)
            .logits[:, -1]
            .float()
        )
    finally:
        handle.remove()
    ours = float32_logits(unembedding, seen[0][:, -1]).to(own.device)
    worst = (own - ours).abs().max().item()
    if not worst <= TOLERANCE[vlm.model.dtype] * ours.std().item():
        raise ModelError(
            f"Expected the logits of {vlm.name!r} to be unembedding times hidden state, but they "
            f"differ by up to {worst:.3g}; this family scales or caps its logits and cannot be "
            "ranked, choose another."
        )

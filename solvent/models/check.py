"""What a freshly loaded model must do before it is believed: one probe image, one short prompt.

As nnterp does (https://github.com/ndif-team/nnterp), what is wrong about a checkpoint, or was read
wrongly from it, fails here, in the first minute and by name, instead of silently in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from interventions.patching.upstream import parameters
from solvent.core.types import Prompt
from solvent.models.features import FeatureCache, feature_rows, image_features
from solvent.models.prefill import EncodedBatch, Prefill
from solvent.models.processor import backend_of
from solvent.models.reading import PER_TOKEN
from solvent.models.refusals import ModelError, first_line

if TYPE_CHECKING:
    from solvent.models.vlm import VLM

PROBE = Prompt(uid="probe", images=(Image.new("RGB", (64, 48), "gray"),), text="Is it red?")
ANSWERS = ("yes", "no")
LONG_ANSWER = "No, it is grey."  # of several tokens, each of which must see all before it
TOLERANCE = {  # of the spread of the logits
    torch.float32: 1e-3,
    torch.float16: 5e-2,
    torch.bfloat16: 2e-1,
}


def tolerance(model: PreTrainedModel) -> float:
    """Of its precision; in 8 bits every product rounds what comes in, as the whole batch wants."""
    packed = getattr(model, "is_loaded_in_8bit", False)
    return TOLERANCE[torch.bfloat16 if packed else model.dtype]


@torch.inference_mode()
def check(vlm: VLM) -> None:
    """Raise `ModelError`, naming the field to correct, if model and description do not fit."""
    _check_decoder(vlm)
    _check_image_backend(vlm)
    batch = _probed(vlm)
    _check_image_tokens(vlm, batch)
    _check_answers(vlm, batch)
    answer = vlm.chat.answer_tokens(PROBE.uid, batch.texts[0], batch.token_ids[0], LONG_ANSWER)
    own, hidden = _uncached(vlm, batch, answer)
    _check_unembedding(vlm, own, hidden)
    ours = vlm.unembedding.logits(hidden)
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
    came = backend_of(vlm.processor.image_processor)
    if asked != came:
        raise ModelError(
            f"Expected the {asked!r} image processor, but "
            f"{type(vlm.processor.image_processor).__name__} was loaded; set "
            f"model.image_backend={came} or install what {asked!r} needs."
        )


def _probed(vlm: VLM) -> EncodedBatch:
    """The probe as the model reads it: an error here is no prompt's."""
    try:
        return vlm.encode([PROBE])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ModelError(
            f"Expected {type(vlm.processor).__name__} to read one image and a short text, but it "
            f"cannot ({first_line(error)}); correct the checkpoint's chat_template.jinja, which "
            f"writes {vlm.chat.image_text!r} for an image, or its processor_config.json."
        ) from error


def _check_image_tokens(vlm: VLM, batch: EncodedBatch) -> None:
    """As many as the vision encoder makes features, wherever in the text the image stands."""
    inputs = vlm.reader.of_pictures(PROBE.images)
    try:
        features = feature_rows(image_features(vlm.model, inputs))
    except torch.OutOfMemoryError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"Expected the vision encoder of {vlm.name!r} to take what its image processor makes "
            f"of a picture, but it does not ({first_line(error)}); correct sizes in the "
            "checkpoint's preprocessor_config.json."
        ) from error
    if batch.image_tokens != (features,):
        raise ModelError(
            f"Expected as many image tokens as image features ({features}) for the probe image, "
            f"but the prompt has {batch.image_tokens[0]} of token {vlm.image_token_id} (config.json"
            "); correct patch_size, num_additional_image_tokens, num_image_tokens or "
            "vision_feature_select_strategy in the checkpoint's processor_config.json, or "
            "what its chat template writes for an image "
            f"({vlm.chat.image_text!r})."
        )
    placed = vlm.encode([replace(PROBE, text=f"<image:1> {PROBE.text}")])
    if placed.image_tokens != batch.image_tokens:
        raise ModelError(
            f"Expected {vlm.chat.image_text!r}, which the chat template writes for an image, to "
            f"stand for one anywhere in a text, but it becomes {placed.image_tokens[0]} image "
            f"tokens instead of {features}; correct the checkpoint's chat_template.jinja."
        )


def _check_answers(vlm: VLM, batch: EncodedBatch) -> None:
    _ = vlm.chat.how_it_thinks  # raises where thoughts could not be told from answers
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


def _uncached(
    vlm: VLM, batch: EncodedBatch, answer: Sequence[int]
) -> tuple[Float[Tensor, "token vocabulary"], Float[Tensor, "token hidden"]]:
    """What one plain forward over prompt and answer says after the prompt and after each token.

    The model's own logits, and what its unembedding reads. Nothing is cached, features come from
    pixels, and the model finds the positions by itself.
    """
    ids = batch.inputs["input_ids"]
    new, count = torch.tensor([answer], device=ids.device), len(answer) + 1
    added = {"input_ids": new, "attention_mask": torch.ones_like(new)}
    if "token_type_ids" in batch.inputs:  # PaliGemma: 0 is the prefix, images included; else text
        of_images = batch.inputs["token_type_ids"][ids == vlm.image_token_id]
        added["token_type_ids"] = torch.full_like(new, int(not of_images.any()))
    inputs = {
        key: torch.cat([value, added.get(key, torch.zeros_like(new)).to(value)], dim=1)
        if key in PER_TOKEN
        else value
        for key, value in batch.inputs.items()
    }
    if "logits_to_keep" in parameters(vlm.model):
        inputs["logits_to_keep"] = count
    seen: list[Tensor] = []
    unembedding = vlm.model.get_output_embeddings()
    handle = unembedding.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        own = vlm.model(**inputs, use_cache=False).logits[0, -count:].float()
    finally:
        handle.remove()
    return own, seen[0][0, -count:]


def _check_unembedding(
    vlm: VLM, own: Float[Tensor, "token vocabulary"], hidden: Float[Tensor, "token hidden"]
) -> None:
    """Scores are computed from hidden states: that must be what the model itself makes of them."""
    worst = vlm.unembedding.fit(hidden, own)
    if not worst <= tolerance(vlm.model) * own.std().item():
        raise ModelError(
            f"Expected the logits of {vlm.name!r} to be unembedding times hidden state, but they "
            f"differ by up to {worst:.3g}; this family does more to its logits than its "
            "configuration says and cannot be ranked, choose another."
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
        batch = FeatureCache(vlm.model, vlm.reader, megabytes=1).fill(batch)
    tokens = torch.tensor([answer], device=batch.inputs["input_ids"].device)
    prompt = Prefill(vlm.model, batch, vlm.unembedding)
    prompt.score([answer[::-1]])  # another candidate, of which nothing may remain
    score = prompt.score([answer]).item()
    hidden = [prompt.last]
    for read in (tokens[:, :1], tokens[:, 1:-1]):
        hidden.append(prompt.extend(read, torch.ones_like(read, dtype=torch.bool))[0])
    cached = vlm.unembedding.logits(torch.cat(hidden)).to(expected.device)
    expected = expected[:-1]
    plain = expected.log_softmax(dim=-1).gather(-1, tokens.to(expected.device).T).sum().item()
    spread = expected.std(dim=-1)
    share = tolerance(vlm.model)
    apart = ((cached - expected).square().mean(dim=-1).sqrt() / spread).max().item()
    allowed = share * spread.square().sum().sqrt().item()  # rounding of tokens is independent
    if not (apart <= share and abs(score - plain) <= allowed):
        raise ModelError(
            f"Expected {vlm.name!r} to say the same with its key-value cache as without, but it "
            f"gives {LONG_ANSWER!r} a log-probability of {score:.6g} instead of {plain:.6g} nats "
            f"and logits that are {apart:.3g} of their spread apart; install a release of "
            f"transformers that pyproject.toml admits, or choose another family than {vlm.family}."
        )

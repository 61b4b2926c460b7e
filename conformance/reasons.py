"""Why a family is not certified, where the error that stops it would say too little: data."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "blip": "Its decoder sees the image through cross-attention, not as tokens of its sequence.",
    "blip-2": "Its forward requires an image, so which modules are the decoder's attention cannot "
    "be told by reading text alone.",
    "diffusion_gemma": "It generates by block diffusion, from a prompt and a canvas in separate "
    "arguments, not as one growing sequence.",
    "dots3_note": "Its sparse attention picks its keys by the name of the attention function (it "
    "compares it with sdpa and eager), which a hook has to change.",
    "evolla": "It reads proteins, not images, and reads them through cross-attention.",
    "git": "It puts image features before the token embeddings, without image tokens among the "
    "input ids.",
    "idefics": "Its decoder sees the image through cross-attention, not as tokens of its sequence.",
    "instructblip": "Its forward requires an image, so which modules are the decoder's attention "
    "cannot be told by reading text alone.",
    "instructblipvideo": "It takes videos only.",
    "kosmos-2": "It marks image positions by the argument image_embeds_position_mask, not by a "
    "token id of its configuration.",
    "kosmos-2.5": "It marks image positions by the argument image_embeds_position_mask, not by a "
    "token id of its configuration.",
    "llama4": "Its own forward fails in transformers 5.24, patched or not: the output of its text "
    "decoder has no image_outputs.",
    "mistral4": "It is a text-only model.",
    "pi0": "It is a robot policy that denoises actions; it gives no logits over tokens.",
}

UNEVALUATED: Mapping[str, str] = {
    "chameleon": "Its own forward forbids the codes of pictures as next tokens, so that its "
    "log-probabilities are others than those of unembedding times hidden state.",
    "fuyu": "Its processor puts the picture before the text by itself, so no chat template can say "
    "where it stands.",
    "pp_chart2table": "Its processor in transformers 5.24 writes one token for a picture of 256 "
    "features, which its own forward refuses.",
    "shieldgemma2": "It classifies pictures by policies: its processor writes the prompts itself, "
    "and it gives no logits over tokens.",
}

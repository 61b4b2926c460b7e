"""Tiny, randomly initialised vision-language models of the real architectures, for tests.

Weights are drawn on the CPU from a seed, so two calls give the same model bit for bit. Inputs are
made without any processor of ours or of transformers, as an independent reference:

    model = random_model("llava")
    inputs = random_inputs(model, prompt_lengths=(9, 6), padding="left")
    logits = model(**inputs).logits                             # (2, longest row, 320)

`save_random_checkpoint("llava", folder)` writes the same model as a complete checkpoint: weights,
tokenizer, chat template and processor settings as the hub has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from packaging.version import Version
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

FAMILIES = ("llava", "llava_onevision", "qwen2_5_vl")
CACHE = "cache" if Version(transformers.__version__) >= Version("5.24") else "past_key_values"
"""What this release calls a cache, in the arguments and in the output of a forward."""

SPECIALS = (
    "<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<image>", "<video>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
IDS = {token: identifier for identifier, token in enumerate(SPECIALS)}
FIRST_TEXT_ID = len(SPECIALS)  # ids from here to VOCABULARY are bytes and merged bytes
VOCABULARY = 320

LAYERS, HIDDEN, HEADS, KEY_HEADS = 3, 32, 4, 2
PATCH = 8  # pixels per side of a patch, llava and llava_onevision
IMAGE = 16  # pixels per side of a tile: 2 x 2 patches
QWEN_PATCH, QWEN_MERGE, QWEN_TIME = 4, 2, 2  # one image token covers 8 x 8 pixels

_DECODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 1024,
    "initializer_range": 0.25,  # large enough that attention is far from uniform
}
_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": IMAGE,
    "patch_size": PATCH,
    "initializer_range": 0.2,
}
_PINPOINTS = [[16, 16], [16, 32], [32, 16], [32, 32]]


def _llava() -> PreTrainedModel:
    special = {
        "bos_token_id": IDS["<s>"],
        "eos_token_id": IDS["</s>"],
        "pad_token_id": IDS["<pad>"],
    }
    config = LlavaConfig(
        text_config={"model_type": "llama", **_DECODER, **special},
        vision_config={"model_type": "clip_vision_model", **_TOWER},
        image_token_index=IDS["<image>"],
        image_seq_length=4,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    return LlavaForConditionalGeneration(config)


def _llava_onevision() -> PreTrainedModel:
    special = {"bos_token_id": None, "eos_token_id": IDS["<|im_end|>"]}
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_DECODER, **special},
        vision_config={"model_type": "siglip_vision_model", **_TOWER, "vision_use_head": False},
        image_token_index=IDS["<image>"],
        video_token_index=IDS["<video>"],
        image_grid_pinpoints=_PINPOINTS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaOnevisionForConditionalGeneration(config)


def _qwen2_5_vl() -> PreTrainedModel:
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [1, 1, 2],
    }  # half a head
    special = {"bos_token_id": IDS["<|endoftext|>"], "eos_token_id": IDS["<|im_end|>"]}
    config = Qwen2_5_VLConfig(
        text_config={**_DECODER, **special, "rope_parameters": rope},
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "patch_size": QWEN_PATCH, "spatial_merge_size": QWEN_MERGE,
            "temporal_patch_size": QWEN_TIME,
            "window_size": 16, "fullatt_block_indexes": [1], "out_hidden_size": HIDDEN,
            "initializer_range": 0.2,
        },
        image_token_id=IDS["<|image_pad|>"],
        video_token_id=IDS["<|video_pad|>"],
        vision_start_token_id=IDS["<|vision_start|>"],
        vision_end_token_id=IDS["<|vision_end|>"],
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


_BUILDERS = {"llava": _llava, "llava_onevision": _llava_onevision, "qwen2_5_vl": _qwen2_5_vl}


def random_model(family: str, seed: int = 0) -> PreTrainedModel:
    """A float32 model in evaluation mode: 3 layers, 4 query and 2 key heads, hidden size 32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _BUILDERS[family]()
    with torch.no_grad():  # like a trained model, it never answers with an image
        for token in ("<image>", "<video>", "<|image_pad|>", "<|video_pad|>"):
            model.get_output_embeddings().weight[IDS[token]] = 0.0
    return model.to(torch.float32).eval()


def _image_rows(family: str, count: int) -> tuple[list[int], int]:
    """Token ids that one image occupies in a row, and how many carry image features."""
    if family == "llava":
        features = (IMAGE // PATCH) ** 2  # the class token is dropped
        return [IDS["<image>"]] * features, features
    if (
        family == "llava_onevision"
    ):  # one image: base tile + one tile with a newline per row; more: base + newline
        features = 4 + 4 + 2 if count == 1 else 4 + 1
        return [IDS["<image>"]] * features, features
    features = 2 * 3  # a grid of 4 x 6 patches, merged 2 x 2
    return [
        IDS["<|vision_start|>"],
        *[IDS["<|image_pad|>"]] * features,
        IDS["<|vision_end|>"],
    ], features


def _pixels(
    family: str, images: Sequence[int], generator: torch.Generator
) -> dict[str, torch.Tensor]:
    total = sum(images)
    if total == 0:
        return {}
    if family == "llava":
        return {"pixel_values": torch.randn(total, 3, IMAGE, IMAGE, generator=generator)}
    if family == "llava_onevision":
        return {
            "pixel_values": torch.randn(total, 2, 3, IMAGE, IMAGE, generator=generator),
            "image_sizes": torch.full((total, 2), IMAGE),
            "batch_num_images": torch.tensor([count for count in images if count]),
        }
    width = 3 * QWEN_TIME * QWEN_PATCH**2
    return {
        "pixel_values": torch.randn(total * 24, width, generator=generator),
        "image_grid_thw": torch.tensor([[1, 4, 6]] * total),
    }


def random_inputs(
    model: PreTrainedModel,
    prompt_lengths: Sequence[int] = (9, 6),
    images: Sequence[int] | None = None,
    padding: Literal["left", "right"] = "left",
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Valid keyword arguments for `model(**inputs)`, padded to the longest row.

    Arguments:
        prompt_lengths: text tokens of each row (image tokens come on top), at least 2.
        images: images of each row (default: one each); they stand after the first text token.
        padding: the side on which shorter rows are padded with `<pad>` and mask 0.

    Text and pixels do not depend on the padding side.
    """
    family = model.config.model_type
    images = [1] * len(prompt_lengths) if images is None else list(images)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for length, count in zip(prompt_lengths, images, strict=True):
        text = torch.randint(FIRST_TEXT_ID, VOCABULARY, (length,), generator=generator).tolist()
        rows.append([text[0], *_image_rows(family, count)[0] * count, *text[1:]])
    longest = max(len(row) for row in rows)
    pads = [[IDS["<pad>"]] * (longest - len(row)) for row in rows]
    left = padding == "left"
    ids = torch.tensor(
        [pad + row if left else row + pad for pad, row in zip(pads, rows, strict=True)]
    )
    inputs = {"input_ids": ids, "attention_mask": (ids != IDS["<pad>"]).long()}
    if family == "qwen2_5_vl":
        inputs["mm_token_type_ids"] = (ids == IDS["<|image_pad|>"]).int()
    return {**inputs, **_pixels(family, images, generator)}


def single_row(
    inputs: dict[str, torch.Tensor], row: int, images: Sequence[int]
) -> dict[str, torch.Tensor]:
    """One row of a batch without padding and with only its own pixels: a batch of one."""
    keep = inputs["attention_mask"][row].bool()
    per_token = ("input_ids", "attention_mask", "mm_token_type_ids")
    single = {key: inputs[key][row : row + 1, keep] for key in per_token if key in inputs}
    if images[row] == 0:
        return single
    first, last = sum(images[:row]), sum(images[: row + 1])
    patches = 24 if "image_grid_thw" in inputs else 1
    single["pixel_values"] = inputs["pixel_values"][first * patches : last * patches]
    for key in ("image_sizes", "image_grid_thw"):
        if key in inputs:
            single[key] = inputs[key][first:last]
    if "batch_num_images" in inputs:
        single["batch_num_images"] = torch.tensor([images[row]])
    return single


_CORPUS = (
    "What colour is the circle? Answer with a single word.",
    "Is there a red square in the picture? Answer yes or no.",
    "How many triangles are there? one two three four five",
    "The cat sat on the mat. A dog, a house and a green tree.",
)

# The templates of llava-hf/llava-1.5-7b-hf, llava-hf/llava-onevision-qwen2-7b-ov-hf and
# Qwen/Qwen2.5-VL-7B-Instruct, shortened to turns of image and text parts.
_TEMPLATES = {
    "llava": (
        "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
        "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}"
        "{% endfor %}"
        "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
        "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
    "llava_onevision": (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
        "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>' }}{% endfor %}"
        "{% for part in message['content'] if part['type'] == 'text' %}{{ '\n' + part['text'] }}"
        "{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "qwen2_5_vl": (
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
        "<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
}


def _tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Byte-level pairs, 320 entries; llava's opens every text with `<s>`, as the real one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    if family == "llava":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", IDS["<s>"])]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
        )
    # onevision's does not name the token that ends a turn: only its template does
    end = "<|endoftext|>" if family == "llava_onevision" else "<|im_end|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token="<|endoftext|>"
    )


def _image_settings(family: str) -> dict[str, Any]:
    """`preprocessor_config.json` as the hub's checkpoints write it."""
    if family == "llava":
        return {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": IMAGE},
            "crop_size": {"height": IMAGE, "width": IMAGE},
            "processor_class": "LlavaProcessor",
        }
    if family == "llava_onevision":
        return {
            "image_processor_type": "LlavaOnevisionImageProcessor",
            "size": {"height": IMAGE, "width": IMAGE},
            "image_grid_pinpoints": _PINPOINTS,
            "processor_class": "LlavaOnevisionProcessor",
        }
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": 128,
        "max_pixels": 1024,
        "patch_size": QWEN_PATCH,
        "merge_size": QWEN_MERGE,
        "temporal_patch_size": QWEN_TIME,
        "processor_class": "Qwen2_5_VLProcessor",
    }


_PROCESSOR_SETTINGS = {
    "llava": {
        "processor_class": "LlavaProcessor",
        "image_token": "<image>",
        "patch_size": PATCH,
        "num_additional_image_tokens": 1,
        "vision_feature_select_strategy": "default",
    },
    "llava_onevision": {
        "processor_class": "LlavaOnevisionProcessor",
        "image_token": "<image>",
        "video_token": "<video>",
        "num_image_tokens": 4,
        "vision_feature_select_strategy": "full",
    },
}  # Qwen's checkpoints have no processor_config.json


def save_random_checkpoint(family: str, folder: Path, seed: int = 0) -> Path:
    """Write `random_model(family, seed)` as a complete checkpoint into `folder`; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(family, seed)
    if family == "qwen2_5_vl":  # as shipped: greedy decoding must not be bent by any of these
        model.generation_config.update(
            do_sample=True, temperature=0.1, top_p=0.5, repetition_penalty=3.0
        )
    model.save_pretrained(folder)
    _tokenizer(family).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(_TEMPLATES[family], encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(
        json.dumps(_image_settings(family)), encoding="utf-8"
    )
    if family in _PROCESSOR_SETTINGS:
        settings = json.dumps(_PROCESSOR_SETTINGS[family])
        (folder / "processor_config.json").write_text(settings, encoding="utf-8")
    return folder

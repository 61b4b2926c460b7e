"""Random checkpoints of the shapes that people run, in folders such as the hub's.

Written in seconds: every matrix is a stretch of the same random numbers, and many files are written
at once, so that sixteen gigabytes cost little more than copying them.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import GenerationConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from conformance.builders import merged
from conformance.folders import (
    ENDS,
    image_processor,
    image_settings,
    make_tokenizer,
    placed,
    processor_settings,
    save,
)
from conformance.vocabularies import VOCABULARIES

SPREAD = 0.02  # standard deviation of weights
NUMBERS = 2**28  # that are drawn
SHARD = 2**30  # bytes of a file, about
NAMES = {torch.bfloat16: "BF16", torch.float32: "F32"}  # in safetensors
ROPE = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20],
        "mrope_interleaved": True}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A checkpoint: its family, and what of its configuration and processor is not the default."""

    family: str
    text: Mapping[str, Any]
    tower: Mapping[str, Any]
    processor: Mapping[str, Any]  # of preprocessor_config.json


WHOLE: Mapping[str, Whole] = {
    "qwen3_vl_8b": Whole(
        family="qwen3_vl",
        text={
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "vocab_size": 151936, "rope_parameters": ROPE,
        },
        tower={"out_hidden_size": 4096},
        processor={"size": {"shortest_edge": 672 * 448, "longest_edge": 2**24}},
    ),
    "internvl3_8b": Whole(
        family="internvl",
        text={
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 151680,
        },
        tower={},
        processor={"crop_to_patches": True, "min_patches": 4},
    ),
    "gemma3_12b": Whole(
        family="gemma3",
        text={
            "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48,
            "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256,
            "vocab_size": 262208, "sliding_window": 1024,
        },
        tower={
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
            "num_attention_heads": 16, "image_size": 896, "patch_size": 14,
            "vision_use_head": False,
        },
        processor={},
    ),
}  # fmt: skip
NARROW = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_heads": 4,
          "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1024, "vision_use_head": False,
          "num_hidden_layers": 2, "depth": 3, "deepstack_visual_indexes": [0, 1],
          "out_hidden_size": 64,
          "rope_parameters": {**ROPE, "mrope_section": [4, 2, 2]}}  # fmt: skip


def narrow(whole: Whole) -> Whole:
    """The same, so small that a CPU gets through."""
    known = CONFIG_MAPPING[whole.family]().to_dict()
    parts = {
        part: {
            key: value
            for key, value in NARROW.items()
            if key in known[part] and (key != "rope_parameters" or key in getattr(whole, name))
        }
        for part, name in (("text_config", "text"), ("vision_config", "tower"))
    }
    return Whole(
        family=whole.family,
        text={**whole.text, **parts["text_config"]},
        tower={**whole.tower, **parts["vision_config"]},
        processor=whole.processor,
    )


def write(whole: Whole, folder: Path, dtype: torch.dtype, device: torch.device) -> int:
    """Write the checkpoint, and return the bytes of its weights."""
    vocabulary = VOCABULARIES[whole.family]
    tokenizer = make_tokenizer(vocabulary)
    config = configuration(whole)
    with torch.device("meta"):
        kind = getattr(transformers, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[whole.family])
        model = kind(config).to(dtype)
    config.dtype = dtype
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    stops = [tokenizer.convert_tokens_to_ids(end) for end in vocabulary.turns.ends]
    GenerationConfig(eos_token_id=stops).save_pretrained(folder)
    tokenizer.chat_template = vocabulary.turns.template(vocabulary.placeholder or vocabulary.image)
    tokenizer.save_pretrained(folder)
    name, processor, _ = image_processor(whole.family)
    pictures = {**image_settings(processor, config), **whole.processor}
    save(folder / "preprocessor_config.json", {**pictures, "image_processor_type": name})
    save(folder / "processor_config.json", processor_settings(whole.family, config))
    return write_weights(dict(model.named_parameters()), folder, dtype, device)


def configuration(whole: Whole) -> PreTrainedConfig:
    """With the ids that the tokenizer gives to what stands for a picture."""
    vocabulary = VOCABULARIES[whole.family]
    tokenizer = make_tokenizer(vocabulary)
    defaults = CONFIG_MAPPING[whole.family]()
    changed = merged(defaults.to_dict(), {"text_config": whole.text, "vision_config": whole.tower})
    if whole.family == "internvl":  # its class says otherwise of an unembedding of its own
        changed["tie_word_embeddings"] = False
    changed["text_config"].pop("layer_types", None)  # of the default number of layers
    tokens = {"image_token": vocabulary.image, **vocabulary.named}
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}
    ids |= {name.removesuffix("_id"): getattr(tokenizer, name) for name in ENDS}
    unused = iter(range(len(tokenizer), whole.text["vocab_size"]))
    return type(defaults).from_dict(placed(changed, ids, unused))


def write_weights(
    weights: Mapping[str, Tensor], folder: Path, dtype: torch.dtype, device: torch.device
) -> int:
    """Files of about `SHARD` bytes and their index; returns the bytes of all weights."""
    draw = torch.Generator(device).manual_seed(0)
    drawn = torch.empty(min(NUMBERS, sum(w.numel() for w in weights.values())), device=device)
    drawn = drawn.normal_(0.0, SPREAD, generator=draw).to(dtype).cpu()
    shards: list[list[str]] = [[]]
    room = SHARD
    for name, weight in weights.items():
        if shards[-1] and weight.numel() * dtype.itemsize > room:
            shards.append([])
            room = SHARD
        shards[-1].append(name)
        room -= weight.numel() * dtype.itemsize
    files = [f"model-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    index = {name: file for file, names in zip(files, shards, strict=True) for name in names}
    total = sum(weight.numel() for weight in weights.values()) * dtype.itemsize
    save(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": index},
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(write_shard, folder / file, names, weights, drawn)
            for file, names in zip(files, shards, strict=True)
        ]
        for job in jobs:
            job.result()
    return total


def write_shard(
    path: Path, names: Sequence[str], weights: Mapping[str, Tensor], drawn: Tensor
) -> None:
    """A safetensors file: the length of its header, the header, and the numbers behind it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end, size = 0, drawn.dtype.itemsize
    for name in names:
        start, end = end, end + weights[name].numel() * size
        shape = list(weights[name].shape)
        header[name] = {"dtype": NAMES[drawn.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            write_numbers(file, name, weights[name], drawn)


def write_numbers(file: Any, name: str, weight: Tensor, drawn: Tensor) -> None:
    """What is drawn, again and again; scales of norms are 1, and biases 0."""
    if weight.ndim == 1:
        value = 0.0 if name.endswith("bias") else 1.0
        file.write(_bytes(torch.full((weight.numel(),), value, dtype=drawn.dtype)))
        return
    left = weight.numel()
    start = zlib.crc32(name.encode()) % max(1, drawn.numel() - left)  # the same at every run
    while left:
        part = drawn[start : start + left]
        file.write(_bytes(part))
        left -= part.numel()
        start = 0


def _bytes(numbers: Tensor) -> memoryview:
    return memoryview(numbers.contiguous().view(torch.uint8).numpy())

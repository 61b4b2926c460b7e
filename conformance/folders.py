"""A tiny random checkpoint of any family, in a folder such as the hub's: `write(family, folder)`.

config.json, safetensors, a tokenizer made on the spot, a chat template, and the files of the
family's real processor with the settings that its class and the configuration give. It is for
what a processor does with text and pictures; its answers mean nothing.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.image_processing_auto import (
    IMAGE_PROCESSOR_MAPPING_NAMES,
    get_image_processor_class_from_name,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from conformance.builders import TOKEN, draw, merged, shrunken
from conformance.sizes import FAMILIES
from conformance.tiles import (
    IMAGE_PROCESSORS,
    IMAGE_SETTINGS,
    PROCESSORS,
    SMALL_TEXT,
    SMALL_TOWER,
    TILES,
    VOCABULARY,
    without_tiles,
)
from conformance.vocabularies import VOCABULARIES, Vocabulary

SAMPLE = "What is in the picture? Answer yes or no. The quick brown fox jumps over the lazy dog."
LEARNED = 600  # tokens of the tokenizer, special ones included
TORCHVISION = "needs torchvision"
TILE = 100  # pixels: a patch this wide is a tile, which some image processors call a patch
ENDS = ("pad_token_id", "bos_token_id", "eos_token_id")


class UnwritableError(Exception):
    """No checkpoint of this family can be made here, for the reason given in one sentence."""


def write(family: str, folder: Path) -> str:
    """Write the checkpoint, and say what its pictures are read with: pil, or torchvision.

    Raises `UnwritableError`.
    """
    vocabulary = VOCABULARIES.get(family)
    if vocabulary is None:
        raise UnwritableError("What its tokenizer writes for a picture is not known here.")
    name, kind, backend = image_processor(family)
    tokenizer = make_tokenizer(vocabulary)
    config = make_config(family, vocabulary, tokenizer)
    model = make_model(family, config)
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.convert_tokens_to_ids(end) for end in vocabulary.turns.ends],
    )
    model.save_pretrained(folder)
    if vocabulary.turns.chats:
        image = vocabulary.placeholder or vocabulary.image
        tokenizer.chat_template = vocabulary.turns.template(image)
    tokenizer.save_pretrained(folder)
    images = {**image_settings(kind, config), **IMAGE_SETTINGS.get(family, {})}
    save(folder / "preprocessor_config.json", {**images, "image_processor_type": name})
    save(folder / "processor_config.json", processor_settings(family, config))
    return backend


def save(path: Path, settings: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def make_tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """Bytes, a few merges, and the special tokens: it reads any text."""
    turns, named = vocabulary.turns, {"image_token": vocabulary.image, **vocabulary.named}
    extra = turns.special if not turns.thinks else (*turns.special, "<think>", "</think>")
    special = list(dict.fromkeys([*extra, *named.values(), *vocabulary.others]))
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=LEARNED,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator([SAMPLE], trainer)
    if turns.adds_bos and turns.bos is not None:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{turns.bos} $A",
            special_tokens=[(turns.bos, backend.token_to_id(turns.bos))],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=turns.special[0],
        bos_token=turns.bos,
        eos_token=turns.eos,
        padding_side="left",
        extra_special_tokens=named if vocabulary.known_to_tokenizer else {},
    )


def make_config(
    family: str, vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedConfig:
    """The family's configuration with real tiles and patches, and nothing else large."""
    defaults = CONFIG_MAPPING[family]()
    small = shrunken(defaults.to_dict(), {}, False, (SMALL_TEXT, SMALL_TOWER))
    small = merged(small, without_tiles(FAMILIES.get(family, {})))
    small = merged(small, TILES.get(family, {}))
    names = {"image_token": vocabulary.image, "image_patch": vocabulary.image, **vocabulary.named}
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
    ids |= {name.removesuffix("_id"): getattr(tokenizer, name) for name in ENDS}
    unused = iter(range(len(tokenizer), VOCABULARY))
    config = type(defaults).from_dict(placed(small, ids, unused))
    if getattr(config, "image_token_id", None) is None:
        config.image_token_id = ids["image_token"]
    return config


def placed(config: Mapping[str, Any], ids: dict[str, int], unused: Iterator[int]) -> dict[str, Any]:
    """With the tokenizer's ids: those of tokens that it does not have are used by nothing else."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        name = TOKEN.sub("", str(key))
        if isinstance(value, Mapping) and key not in ("vocabulary_map", "id2label", "label2id"):
            result[key] = placed(value, ids, unused)
        elif key == "vocabulary_map":  # of tokens and of the codes that a picture becomes
            result[key] = {**value, "<image>": ids["image_token"]}
        elif key in ENDS:
            result[key] = ids[name]
        elif name != str(key) and type(value) is int and not name.endswith("layer"):
            if name not in ids:
                ids[name] = next(unused)
            result[key] = ids[name]
        else:
            result[key] = value
    return result


def make_model(family: str, config: PreTrainedConfig) -> PreTrainedModel:
    """Random weights in float32, the same bit for bit at every call."""
    architecture = getattr(transformers, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[family])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architecture(config).to(torch.float32).eval()
        draw(model)
    return model


def image_settings(kind: Any, config: PreTrainedConfig) -> dict[str, Any]:
    """preprocessor_config.json: the class's own settings, at the picture size of the tower."""
    settings = json.loads(kind().to_json_string())
    tower = getattr(config, "vision_config", None)
    patch, side = (single(getattr(tower, field, None)) for field in ("patch_size", "image_size"))
    wanted = settings.get("patch_size")
    if patch and isinstance(wanted, Mapping):
        settings["patch_size"] = {"height": patch, "width": patch}
    elif patch and isinstance(wanted, int) and wanted < TILE:
        settings["patch_size"] = patch
    size, crop = settings.get("size"), settings.get("crop_size")
    if side and size and size.keys() == {"height", "width"}:
        settings["size"] = {"height": side, "width": side}
    elif side and size and size.keys() == {"shortest_edge"} and crop:
        settings["size"] = {"shortest_edge": side}
    elif side and size and size.keys() == {"longest_edge"} and "pixtral" in str(kind).lower():
        settings["size"] = {"longest_edge": side}
    if side and crop:
        settings["crop_size"] = {"height": side, "width": side}
    return settings


def image_processor(family: str) -> tuple[str, Any, str]:
    """Name in checkpoints, the class that runs here, and its backend. Raises `UnwritableError`."""
    names = IMAGE_PROCESSOR_MAPPING_NAMES.get(family)
    if family in IMAGE_PROCESSORS:
        wanted = IMAGE_PROCESSORS[family]
        every = IMAGE_PROCESSOR_MAPPING_NAMES.values()
        names = next(each for each in every if each.get("torchvision") == wanted)
    if names is None:
        raise UnwritableError("transformers maps no image processor to it.")
    for backend in ("pil", "torchvision"):
        kind = names.get(backend) and get_image_processor_class_from_name(names[backend])
        if kind and not getattr(kind, "is_dummy", False):
            return names.get("torchvision", names[backend]), kind, backend
    raise UnwritableError(
        f"Its image processor, {names['torchvision']}, {TORCHVISION}: transformers has none "
        "for it that runs on PIL."
    )


def processor_settings(family: str, config: PreTrainedConfig) -> dict[str, Any]:
    """processor_config.json: the class, and what its constructor asks for and the sizes say."""
    name = PROCESSORS.get(family) or PROCESSOR_MAPPING_NAMES[family]
    tower = getattr(config, "vision_config", None)
    patch, side = (single(getattr(tower, field, None)) for field in ("patch_size", "image_size"))
    known = {
        "patch_size": patch,
        "num_image_tokens": (side // patch) ** 2 if side and patch else None,
        "num_additional_image_tokens": int("clip" in getattr(tower, "model_type", "")),
        "vision_feature_select_strategy": getattr(
            config, "vision_feature_select_strategy", "default"
        ),
        "img_size": side,
        "downsample_factor": getattr(config, "downsample_factor", None),
        "spatial_merge_size": getattr(config, "spatial_merge_size", None),
    }
    asked = constructor_arguments(name)
    given = {key: value for key, value in known.items() if key in asked and value is not None}
    return {**given, "processor_class": name}


def constructor_arguments(name: str) -> frozenset[str]:
    """Read from the module's text: some cannot be imported without torchvision."""
    module = importlib.util.find_spec(getattr(transformers, name).__module__)
    source = Path(str(module and module.origin)).read_text(encoding="utf-8")
    return frozenset(
        argument.arg
        for kind in ast.parse(source).body
        if isinstance(kind, ast.ClassDef) and kind.name == name
        for function in kind.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for argument in function.args.args
    )


def single(size: Any) -> int | None:
    """One side of a square that is given as a number or as (height, width)."""
    return size[0] if isinstance(size, (list, tuple)) else size

"""A checkpoint in a folder: where it is, and which of its files decide an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solvent.core import paths
from solvent.core.digests import combined, digests

DECIDING = ("*.safetensors", "*.json", "*.jinja", "additional_chat_templates/*.jinja", "*.model",
            "*.spm", "*.tiktoken", "*.bpe", "vocab.txt", "merges.txt")  # fmt: skip
CODE = "*.py"  # decides, too, where code of the checkpoint is trusted


def folder_of(checkpoint: str) -> Path:
    """The folder that a checkpoint's name stands for, if it is one; see `paths.resolve`.

    The working directory counts only where the name is written as a path (`./...`, `../...`): a
    folder that happens to lie there must not be taken for a model of that name on the hub.
    """
    try:
        return paths.resolve(checkpoint, here=checkpoint.startswith("."))
    except ValueError as error:
        raise ValueError(f"model.checkpoint={checkpoint!r}: {error}") from error


def is_folder(checkpoint: str) -> bool:
    """Whether a checkpoint is a folder with a model; else it is a name on the hub."""
    return (folder_of(checkpoint) / "config.json").is_file()


def content(checkpoint: str, trusts_code: bool) -> dict[str, str]:
    """SHA-256 of every file that decides an answer, by its name; nothing for a name on the hub.

    Weights, configuration, processor, tokenizer, chat templates and adapters, and the checkpoint's
    own code where it is trusted. Not its README, nor what its training left.
    """
    if not is_folder(checkpoint):
        return {}
    folder = folder_of(checkpoint)
    patterns = (*DECIDING, CODE) if trusts_code else DECIDING
    names = {
        file.relative_to(folder).as_posix() for pattern in patterns for file in folder.glob(pattern)
    }
    names |= {shard for index in folder.glob("*.index.json") for shard in _shards(index)}
    files = {folder / name: name for name in sorted(names) if not name.startswith(".")}
    return {files[file]: made for file, made in digests(files).items() if made}


def _shards(index: Path) -> set[str]:
    """Names of the files that hold weights, by the index of a checkpoint; none by a damaged one."""
    try:
        return set(map(str, json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # loading it says why
        return set()


def digest_of(model: Mapping[str, Any]) -> str:
    """One text for the checkpoint of a model's configuration: a digest, or its commit's name."""
    found = content(model["checkpoint"], model["trust_remote_code"])
    return combined(found) if found else f"{model['checkpoint']}@{model['revision']}"

"""The files that an intervention reads: what is in them decides a result, not where they lie."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from interventions.methods.shipped import located
from solvent.core.digests import digest
from solvent.core.types import Sample

FILE = "file"  # name of the settings that hold paths

log = logging.getLogger("solvent")


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file that a field of an intervention names."""

    field: str  # dotted name
    path: Path

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return digest(self.path)

    @property
    def metadata(self) -> dict[str, str]:
        """What its maker wrote into a safetensors file; nothing for any other file."""
        return read_metadata(self.path)

    @property
    def uids(self) -> frozenset[str]:
        """Samples that it was made from, if its maker said so."""
        return frozenset(json.loads(self.metadata.get("uids", "[]")))


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for any other file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError:
        return {}


def input_files(intervention: Mapping[str, Any]) -> list[InputFile]:
    """Every file that the settings of an intervention name, missing ones included."""
    return [InputFile(field=field, path=located(path)) for field, path in _files(intervention)]


def _files(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    pairs = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for name, value in pairs:
        if isinstance(value, Mapping | list):
            yield from _files(value, f"{prefix}{name}.")
        elif name == FILE and value is not None:
            yield f"{prefix}{name}", str(value)


def check_inputs(name: str, files: Sequence[InputFile], command: str | None) -> None:
    """Raise `FileNotFoundError` where a file is missing, with the command that makes it."""
    for file in files:
        if not file.path.is_file():
            remedy = f"make it with `{command}`" if command else f"name one with {_field(file)}=..."
            raise FileNotFoundError(
                f"There is no file {file.path}, which the intervention {name!r} reads; {remedy}"
            )


def check_disjoint(files: Sequence[InputFile], samples: Sequence[Sample]) -> None:
    """Raise `ValueError` where a sample is evaluated that a file was made from.

    A refusal, not a warning: nobody reads the warnings of a thousand cells, and a pattern that has
    seen its test looks better than it is.
    """
    for file in files:
        if seen := [sample.uid for sample in samples if sample.uid in file.uids]:
            raise ValueError(
                f"{len(seen)} of {len(samples)} evaluated samples (first {seen[0]}) are among "
                f"those that {file.path} was made from: evaluate others, with the limit or the "
                "seed that it was made with, or make it again with calibration.overwrite=true"
            )


def warn_of_other_checkpoints(files: Sequence[InputFile], checkpoint: str) -> None:
    """Say it where a file was made with another model: that may be meant, or be left over."""
    for file in files:
        made_with = file.metadata.get("checkpoint")
        if made_with and made_with != checkpoint:
            log.warning(
                "%s was made with another checkpoint than this model's; if that is not meant, "
                "make it again with calibration.overwrite=true",
                file.path,
            )


def by_content(tree: Any) -> Any:
    """An intervention's settings with a digest in the place of every path, however it is spelt."""
    if isinstance(tree, Mapping):
        return {
            name: f"sha256:{digest(located(value))}"
            if name == FILE and value is not None
            else by_content(value)
            for name, value in tree.items()
        }
    return [by_content(value) for value in tree] if isinstance(tree, list) else tree


def record(files: Sequence[InputFile]) -> dict[str, Any]:
    """What is written beside a result: path, digest and metadata of every file, by field."""
    return {
        file.field: {
            "path": str(file.path),
            "sha256": file.digest,
            "metadata": {key: value for key, value in file.metadata.items() if key != "uids"},
        }
        for file in files
    }


def _field(file: InputFile) -> str:
    return f"intervention.{file.field}"

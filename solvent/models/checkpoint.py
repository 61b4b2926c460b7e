"""Where a checkpoint comes from, and what exactly was loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

from solvent.core.checkpoints import content, folder_of, is_folder
from solvent.core.names import closest
from solvent.models.devices import Placement, explained_placing, refuse_packed_unembedding
from solvent.models.precision import refuse_tf32
from solvent.models.refusals import ModelError, first_line

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)  # reading files

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint that exists: a folder on disk, or a name on the hub."""

    location: str  # absolute folder, or hub id
    revision: str | None  # branch, tag or commit; None for a folder
    trust_remote_code: bool

    @property
    def hub(self) -> dict[str, Any]:
        """Keyword arguments that every `from_pretrained` shares."""
        return {"revision": self.revision or "main", "trust_remote_code": self.trust_remote_code}


def find_source(checkpoint: str, revision: str, trust_remote_code: bool) -> Source:
    """Folder or hub id?

    A relative name is first looked up as a folder, see `checkpoints.folder_of`; if there is none it
    is a hub id, unless it is written as a path (`/...`, `./...`, `../...`, `~...`).
    """
    folder = folder_of(checkpoint)
    if is_folder(checkpoint):
        return Source(location=str(folder), revision=None, trust_remote_code=trust_remote_code)
    if folder.is_dir() or checkpoint.startswith(("/", ".", "~")):
        what = "has no config.json" if folder.is_dir() else "does not exist"
        raise ModelError(
            f"Expected model.checkpoint={checkpoint!r} to be a folder with a model, but {folder} "
            f"{what}; give a folder written by save_pretrained (./NAME from the working directory) "
            "or a hub id owner/name."
        )
    return Source(location=checkpoint, revision=revision, trust_remote_code=trust_remote_code)


def read_config(source: Source) -> PreTrainedConfig:
    """The checkpoint's config.json. Raises `ModelError` if neither disk nor hub has it."""
    try:
        return AutoConfig.from_pretrained(source.location, **source.hub)
    except (OSError, ValueError) as error:
        if source.revision is None:
            raise ModelError(
                f"Expected {source.location}/config.json to name a model family that transformers "
                f"knows, but reading it failed ({first_line(error)}); check the folder."
            ) from error
        if "gated repo" in str(error):
            raise ModelError(
                f"Expected to be let into {source.location!r}, but it is gated and no token opens "
                f"it; accept its terms at https://huggingface.co/{source.location}, then run `hf "
                "auth login` or set HF_TOKEN."
            ) from error
        raise ModelError(
            f"Expected {source.location!r} (revision {source.revision!r}) in the local cache or "
            f"on the hub, but neither has it ({first_line(error)}); run `hf download "
            f"{source.location} --revision {source.revision}` where there is a network, set "
            "model.revision=main if that revision is another checkpoint's, or set "
            "model.checkpoint to a folder."
        ) from error


def check_family(config: PreTrainedConfig) -> None:
    """Raise `ModelError` unless transformers has a model with images and text of this family."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    family = config.model_type
    if family in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return
    near = closest(family, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    nearest = f" (nearest known: {near!r})" if near else ""
    raise ModelError(
        f"Expected a vision-language checkpoint, but transformers has no model of images and text "
        f"for its family {family!r}{nearest}; set model.checkpoint to one of the families that "
        "`solvent families` lists."
    )


@contextmanager
def explained(source: Source, part: str, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """What goes wrong in the block with a part of the checkpoint, as a `ModelError`."""
    try:
        yield
    except ModelError:
        raise
    except kinds as error:
        raise ModelError(
            f"Expected {source.location!r} to hold a whole {part}, but it cannot be used "
            f"({type(error).__name__}: {first_line(error)}); copy the files of the checkpoint "
            "again, or save them with save_pretrained."
        ) from error


def refuse_adapter(source: Source) -> None:
    """Raise `ModelError` for an adapter that would be left out, or put on another model."""
    place = Path(source.location) / "adapter_config.json"
    if source.revision is None and place.is_file():
        raise ModelError(
            f"Expected a whole model in {source.location!r}, but it holds an adapter "
            "(adapter_config.json), which is applied only where peft is installed; merge it with "
            "peft's merge_and_unload(), save_pretrained the result, and give that folder."
        )


def load_weights(source: Source, placement: Placement, attention: str) -> PreTrainedModel:
    """The model in evaluation mode, from safetensors only, placed by accelerate.

    From then on TF32 is off in this process: the unembedding and many interventions compute in
    float32 whatever the precision of the weights.
    """
    refuse_adapter(source)
    refuse_tf32()
    try:
        with explained_placing(source.location, placement):
            model, report = AutoModelForImageTextToText.from_pretrained(
                source.location,
                attn_implementation=attention,
                use_safetensors=True,
                output_loading_info=True,
                **placement.arguments(),
                **source.hub,
            )
    except ValueError as error:
        if "attn_implementation" not in str(error):
            raise
        raise ModelError(
            f"Expected a model of transformers that runs on model.attention={attention}, but that "
            f"of {source.location!r} does not ({first_line(error)}); set model.attention=eager."
        ) from error
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"Expected whole safetensors weights in {source.location!r}, but none could be read "
            f"({first_line(error)}); convert the checkpoint with save_pretrained, or complete "
            "the download."
        ) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"Expected {source.location!r} to hold every weight, but {len(missing)} are missing "
            f"(first: {missing[0]}); a model with random parts measures nothing, so use a "
            "complete checkpoint."
        )
    refuse_packed_unembedding(model)
    return model.eval()


def loaded_version(source: Source) -> dict[str, Any]:
    """The commit loaded from the hub, or the SHA-256 of each file of a folder that decides."""
    if source.revision is None:
        found = content(source.location, source.trust_remote_code)
        return {"revision": None, "sha256": found}
    cached = try_to_load_from_cache(source.location, "config.json", revision=source.revision)
    commit = Path(cached).parent.name if isinstance(cached, str) else None
    return {"revision": source.revision, "commit": commit}


def library_versions() -> dict[str, str]:
    """Versions of what computes the numbers; torch says which build it is (2.13.0+cpu)."""
    names = ("transformers", "accelerate", "tokenizers", "safetensors", "pillow", "numpy")
    packing = ("bitsandbytes",) if importlib.util.find_spec("bitsandbytes") else ()
    versions = {name: importlib.metadata.version(name) for name in (*names, *packing)}
    return {"torch": str(torch.__version__), **versions}

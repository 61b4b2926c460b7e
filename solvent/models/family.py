"""What differs between model families, as a table: adding a family is one row here and one YAML.

The load-time check (`check`) tells which entry of a new row is wrong. Everything else that
differs (image token, terminator, patch sizes, templates) is read from the checkpoint itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from solvent.core.names import closest
from solvent.models.refusals import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, ProcessorMixin


@dataclass(frozen=True, kw_only=True)
class Family:
    """One row of the table."""

    model_type: str  # as in the checkpoint's config.json
    processor: str  # class in transformers that places image tokens in the text
    positions: Literal[
        "sequence", "grid"
    ]  # one index per token, or time, height and width of image tokens (M-RoPE)
    pixel_budget: bool  # whether the number of image tokens follows min_pixels and max_pixels


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.model_type: family
        for family in (
            Family(
                model_type="llava",
                processor="LlavaProcessor",
                positions="sequence",
                pixel_budget=False,
            ),
            Family(
                model_type="llava_onevision",
                processor="LlavaOnevisionProcessor",
                positions="sequence",
                pixel_budget=False,
            ),
            Family(
                model_type="qwen2_5_vl",
                processor="Qwen2_5_VLProcessor",
                positions="grid",
                pixel_budget=True,
            ),
        )
    }
)


def find_family(config: PreTrainedConfig) -> Family:
    """The row of a checkpoint. Raises `ModelError` for text-only models and unknown families."""
    name = config.model_type
    if name in FAMILIES:
        return FAMILIES[name]
    known = ", ".join(FAMILIES)
    if not hasattr(config, "vision_config"):
        raise ModelError(
            f"Expected a vision-language checkpoint (families: {known}), but {name!r} has no "
            "vision tower; set model.checkpoint to a vision-language model."
        )
    near = closest(name, FAMILIES)
    nearest = f" (nearest known: {near!r})" if near else ""
    raise ModelError(
        f"Expected one of the families {known}, but the checkpoint is of family "
        f"{name!r}{nearest}; choose another model.checkpoint or add a row to "
        "solvent/models/family.py."
    )


class ImagesOnly:
    """Mixed into a family's processor class: it takes images and text, and has no video processor.

    The video processors of transformers need torchvision, so without it the plain classes of
    several families cannot even be built. A processor's parts are whatever `get_attributes` lists.
    """

    @classmethod
    def get_attributes(cls) -> list[str]:
        return [name for name in super().get_attributes() if name != "video_processor"]


def load_processor(
    family: Family,
    location: str,
    *,
    image_backend: str,
    min_pixels: int | None,
    max_pixels: int | None,
    **hub: Any,
) -> ProcessorMixin:
    """The family's processor for images and text, padding on the left.

    Arguments:
        image_backend: "pil" (the same numbers everywhere) or "torchvision".
        min_pixels, max_pixels: of an image after resizing; None keeps the checkpoint's limit.
        hub: `revision` and `trust_remote_code`.
    """
    import transformers

    pixels = _pixel_limits(family, min_pixels, max_pixels)
    _check_backend(image_backend)
    base = getattr(transformers, family.processor)
    processor_class = type(base.__name__, (ImagesOnly, base), {})
    images = transformers.AutoImageProcessor.from_pretrained(
        location, backend=image_backend, **pixels, **hub
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(location, padding_side="left", **hub)
    settings, _ = processor_class.get_processor_dict(location, revision=hub["revision"])
    settings.pop("video_processor", None)
    settings.setdefault("chat_template", tokenizer.chat_template)
    return processor_class.from_args_and_dict([images, tokenizer], settings)


def _pixel_limits(family: Family, low: int | None, high: int | None) -> dict[str, int]:
    limits = {"min_pixels": low, "max_pixels": high}
    given = {name: value for name, value in limits.items() if value is not None}
    if given and not family.pixel_budget:
        raise ModelError(
            f"Expected model.min_pixels and model.max_pixels to be null, because images of family "
            f"{family.model_type!r} have a fixed resolution, but {given} came; set both to null."
        )
    return given


def _check_backend(name: str) -> None:
    if name not in ("pil", "torchvision"):
        raise ModelError(
            f"Expected model.image_backend to be 'pil' or 'torchvision', but {name!r} came; "
            "use 'pil' unless you need torchvision's resizing."
        )
    if name == "torchvision" and importlib.util.find_spec("torchvision") is None:
        raise ModelError(
            "Expected torchvision for model.image_backend=torchvision, but it is not installed; "
            "run `pip install torchvision` or set model.image_backend=pil."
        )

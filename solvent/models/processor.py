"""The processor of a checkpoint, for images and text, whatever its family.

Its class is the one that the checkpoint names. Parts that only videos or sound need are stood in
for: those of transformers want torchvision or an audio library, and nothing here is asked of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from solvent.models.refusals import ModelError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, ProcessorMixin

LIMITS = ("min_pixels", "max_pixels")
SAME_FOR_PICTURES = {  # the first needs num2words, for videos
    "SmolVLMProcessor": "Idefics3Processor",
}


class Absent:
    """In the place of a part that images and text do not need; whatever it is asked is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class Lenient:
    """Mixed into a processor class: takes an `Absent` part for the real one."""

    def check_argument_for_proper_class(self, name: str, part: Any) -> Any:
        """As transformers checks it."""
        if isinstance(part, Absent):
            return Absent
        return super().check_argument_for_proper_class(name, part)  # type: ignore[misc]


def load_processor(
    config: PreTrainedConfig,
    location: str,
    *,
    image_backend: str,
    image_settings: Mapping[str, Any],
    revision: str,
    trust_remote_code: bool,
) -> ProcessorMixin:
    """The checkpoint's processor for images and text, padding on the left.

    Arguments:
        image_backend: "pil" (the same numbers everywhere) or "torchvision".
        image_settings: of the image processor, in the place of the checkpoint's own.

    Raises `ModelError`, also where torchvision or another library is needed.
    """
    from transformers import AutoTokenizer

    hub = {"revision": revision, "trust_remote_code": trust_remote_code}
    check_backend(image_backend)
    images = _image_processor(location, image_backend, image_settings, hub)
    tokenizer = AutoTokenizer.from_pretrained(location, padding_side="left", **hub)
    name = _class_name(config, location, hub)
    base = _class(SAME_FOR_PICTURES.get(name, name))
    settings, _ = base.get_processor_dict(location, **hub)
    settings.setdefault("chat_template", tokenizer.chat_template)
    parts = {"image_processor": images, "tokenizer": tokenizer}
    arguments = {name: parts.get(name) or Absent() for name in base.get_attributes()}
    accepted = set(base.__init__.__code__.co_varnames[: base.__init__.__code__.co_argcount])
    arguments |= {
        name: value
        for name, value in settings.items()
        if name in accepted and name not in arguments
    }
    processor = type(base.__name__, (Lenient, base), {})(**arguments)
    if processor.chat_template is None:  # some take none where they are made
        processor.chat_template = settings["chat_template"]
    return processor


def check_backend(name: str) -> None:
    """Raise `ModelError` for another backend than the two, and for one that is not installed."""
    if name not in ("pil", "torchvision"):
        raise ModelError(
            f"Expected model.image_backend to be 'pil' or 'torchvision', but {name!r} came; "
            "use 'pil' unless you need torchvision's resizing."
        )
    if name == "torchvision" and not _has_torchvision():
        raise ModelError(
            "Expected torchvision for model.image_backend=torchvision, but it is not installed; "
            f"run {TORCHVISION} or set model.image_backend=pil."
        )


TORCHVISION = (
    "`pip install torchvision` beside a CUDA build of torch (beside a CPU build from "
    "https://download.pytorch.org/whl/cpu)"
)


def _has_torchvision() -> bool:
    return importlib.util.find_spec("torchvision") is not None


def _image_processor(
    location: str, backend: str, settings: Mapping[str, Any], hub: Mapping[str, Any]
) -> Any:
    from transformers import AutoImageProcessor

    try:
        found = AutoImageProcessor.from_pretrained(location, backend=backend, **settings, **hub)
    except (ImportError, ValueError, OSError, TypeError, KeyError) as error:
        if "torchvision" in str(error).lower():
            raise ModelError(_needs_torchvision(location)) from error
        if not settings:
            raise
        raise ModelError(
            f"Expected values that the image processor of {location!r} takes in "
            f"model.image_settings, but {dict(settings)} came ({first_line(error)}); "
            "write them as the checkpoint's preprocessor_config.json does."
        ) from error
    came = backend_of(found)
    if backend == "pil" and came != backend:
        raise ModelError(_needs_torchvision(location))
    known = {*found.to_dict(), *getattr(found.valid_kwargs, "__annotations__", ())}
    unknown = sorted(set(settings) - known)
    if unknown:
        fixed = "; images of this family have a fixed resolution" if unknown[0] in LIMITS else ""
        raise ModelError(
            f"Expected settings of {type(found).__name__} in model.image_settings, model.min_pixels"
            f" and model.max_pixels, but it has no {', '.join(unknown)}{fixed}; leave them out, or "
            f"choose among {', '.join(sorted(known - {'image_processor_type'}))}."
        )
    return found


def backend_of(image_processor: Any) -> str:
    """What an image processor works with, told by its bases: names do not say it everywhere."""
    bases = {base.__name__ for base in type(image_processor).__mro__}
    return "torchvision" if "TorchvisionBackend" in bases else "pil"


def _needs_torchvision(location: str) -> str:
    advice = "set" if _has_torchvision() else f"run {TORCHVISION} and set"
    return (
        f"Expected an image processor of {location!r} that works with PIL, but transformers has "
        f"one only for torchvision; {advice} model.image_backend=torchvision."
    )


def _class_name(config: PreTrainedConfig, location: str, hub: Mapping[str, Any]) -> str:
    """What the checkpoint calls its processor, else the class that goes with its family."""
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.tokenization_auto import get_tokenizer_config
    from transformers.processing_utils import ProcessorMixin

    revision = hub["revision"]
    readers = (
        lambda: ProcessorMixin.get_processor_dict(location, revision=revision)[0],
        lambda: ImageProcessingMixin.get_image_processor_dict(location, revision=revision)[0],
        lambda: get_tokenizer_config(location, revision=revision),
    )
    for read in readers:
        try:
            name = read().get("processor_class")
        except OSError:  # a checkpoint need not have all of the three files
            continue
        if name:
            return name
    if config.model_type in PROCESSOR_MAPPING_NAMES:
        return PROCESSOR_MAPPING_NAMES[config.model_type]
    raise ModelError(
        f"Expected {location!r} to name its processor class (processor_class in "
        f"processor_config.json), but it does not, and transformers "
        f"knows none for {config.model_type!r}; add the name to that file."
    )


def _class(name: str) -> Any:
    """A processor class of transformers, also where its module wants torchvision for videos."""
    import transformers

    found = getattr(transformers, name, None)
    if found is None:
        raise ModelError(
            f"Expected a processor class that transformers {transformers.__version__} has, but the "
            f"checkpoint names {name!r}; install a release that has it, or correct "
            "processor_class in its processor_config.json."
        )
    if not getattr(found, "is_dummy", False):
        return found
    try:
        return _with_pil_twin(name)
    except ImportError as error:
        raise ModelError(
            f"Expected what {name} needs to be installed, but it is not ({error}); run "
            f"{TORCHVISION}, or install what the message names."
        ) from error


def _with_pil_twin(name: str) -> Any:
    """The class from its module, with functions on images from their PIL twin of the same names."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    package = next(key for key, value in PROCESSOR_MAPPING_NAMES.items() if value == name)
    home = f"transformers.models.{package}"
    images = f"{home}.image_processing_{package}"
    if images not in sys.modules and not _has_torchvision():
        sys.modules[images] = importlib.import_module(f"{home}.image_processing_pil_{package}")
    return getattr(importlib.import_module(f"{home}.processing_{package}"), name)
